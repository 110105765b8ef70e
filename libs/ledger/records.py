"""Records that the lane itself writes or understands besides events: dead letters, late results, unpark commands."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from libs.contracts.events import ActorKind, DeadLetter, LateResult, Principal, Unpark
from libs.ledger.chain import derived_id
from libs.ledger.codec import CATALOGUE, CodecError
from libs.ledger.service import Fact, Record, Result
from libs.runtime.batches import flaw_of

CREDENTIALS = frozenset({"authorization", "cookie", "x-api-key", "signature"})

# What of a record goes into a dead letter, in bytes: all of it together stays below what a producer sends.
VALUE_MAX = 524_288
SHORT_VALUE_MAX = 65_536  # where even that is too much for a topic
KEY_MAX = 4_096
HEADERS_MAX = 32
HEADER_MAX = 4_096
REASON_MAX = 1_000
TIME_MAX = (1 << 63) - 1


def decode_fact(topic: str, value: bytes) -> Fact:
    """The event in a record of a ledger topic. Raises CodecError."""
    return CATALOGUE.decode_event(value, topic)


def from_log(found: Any) -> Record:
    """A consumer's record as services see it: a header without a value has an empty one."""
    headers = tuple([(name, value or b"") for name, value in found.headers])
    at, value = found.timestamp * 1000, found.value or b""
    return Record(found.topic, found.partition, found.offset, at, found.key, value, headers, flaw_of(found))


def dead_letter(service: str, code: str, reason: str, record: Record, value_max: int = VALUE_MAX) -> bytes:
    """A record of `dead.<service>`: the original bytes with the reason; headers without credentials. There is one for
    every record whatever is in it: what is too much is cut, and the reason says what there was."""
    headers = {_text(name, HEADER_MAX): bytes(value or b"")[:HEADER_MAX] for name, value in _shown(record).items()}
    value, at = bytes(record.value or b""), min(max(record.timestamp_at, -TIME_MAX), TIME_MAX)
    reason = _text(reason, REASON_MAX)
    if len(value) > value_max:
        digest = sha256(value).hexdigest()
        reason = f"{reason} (the first {value_max} of {len(value)} bytes; SHA-256 of all: {digest})"
    letter = DeadLetter(
        service=service, code=_text(code, HEADER_MAX), reason=reason, topic=record.topic,
        partition=record.partition, offset=record.offset, timestamp_at=at, value=value[:value_max],
        headers=headers, key=None if record.key is None else record.key[:KEY_MAX],
    )  # fmt: skip
    return CATALOGUE.encode_message(letter)


def shorter(topic: str, value: bytes) -> bytes | None:
    """A dead letter that its topic does not take, with less of its record; None: there is nothing to leave out."""
    if len(value) <= SHORT_VALUE_MAX:
        return None
    try:
        letter: DeadLetter = CATALOGUE.decode_message(value, topic)
    except CodecError:
        return None
    record = Record(letter.topic, letter.partition, letter.offset, letter.timestamp_at, letter.key, letter.value)
    return dead_letter(letter.service, letter.code, letter.reason, record, SHORT_VALUE_MAX)


def _shown(record: Record) -> Mapping[str, bytes]:
    shown = [(name, value) for name, value in record.headers if name.lower() not in CREDENTIALS]
    return dict(shown[:HEADERS_MAX])


def _text(text: str, longest: int) -> str:
    """As bytes of UTF-8 that end between two characters."""
    return text.encode("utf-8", "replace")[:longest].decode("utf-8", "ignore")


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
