"""Records that the lane itself writes or understands besides events: dead letters, late results, unpark commands."""

from __future__ import annotations

from libs.contracts.events import ActorKind, DeadLetter, LateResult, Principal, Unpark
from libs.ledger.batch import derived_id
from libs.ledger.codec import CATALOGUE, CodecError
from libs.ledger.service import Fact, Record, Result

CREDENTIALS = frozenset({"authorization", "cookie", "x-api-key", "signature"})


def decode_fact(topic: str, value: bytes) -> Fact:
    """The event in a record of a ledger topic. Raises CodecError."""
    return CATALOGUE.decode_event(value, topic)


def dead_letter(service: str, code: str, reason: str, record: Record) -> bytes:
    """A record of `dead.<service>`: the original bytes with the reason; headers without credentials."""
    headers = {name: value for name, value in record.headers if name.lower() not in CREDENTIALS}
    letter = DeadLetter(
        service=service, code=code, reason=reason[:1000], topic=record.topic, partition=record.partition,
        offset=record.offset, timestamp_at=record.timestamp_at, value=record.value, headers=headers, key=record.key,
    )  # fmt: skip
    return CATALOGUE.encode_message(letter)


def decode_unpark(record: Record) -> Unpark | None:
    """The Unpark in a record of `commands`, if it is one. What cannot be read is for the services to refuse."""
    try:
        body = CATALOGUE.decode_message(record.value, "commands")
    except CodecError:
        return None
    return body if isinstance(body, Unpark) else None


def late_result(result: Result, now_at: int) -> LateResult:
    """Rule 20: a result for the lane's present owner. The same result gives the same command id."""
    worker = Principal(tenant="", subject="deedbook/execution", kind=ActorKind.SYSTEM, accounts=(), roles=("worker",))
    return LateResult(
        command_id=derived_id(result.key, "late", result.attempt), intent_id=result.key, principal=worker,
        reason="the worker lost the lane while the tool was being called", issued_at=now_at, attempt=result.attempt,
        answer=result.answer,
    )  # fmt: skip


def encode_late(result: Result, now_at: int) -> bytes:
    """The same as a record of `commands`."""
    return CATALOGUE.encode_message(late_result(result, now_at))
