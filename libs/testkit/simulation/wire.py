"""Records of the simulation: the real envelope and events, in a cheap encoding, each decoded once."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from libs.contracts import events as e
from libs.ledger.service import Fact, Record

BODIES: tuple[type[Any], ...] = (
    e.IntentAccepted, e.SubmissionRejected, e.BudgetReserved, e.BudgetDenied, e.BudgetSettled, e.BudgetReleased,
    e.ExecutionDispatched, e.ExecutionRetryScheduled, e.ExecutionSucceeded, e.ExecutionFailed, e.ExecutionRefused,
    e.ExecutionCancelled, e.ExecutionExpired, e.ExecutionInDoubt, e.ExecutionResolved, e.LateAnswerRecorded,
    e.CancelRequested, e.OutcomeRecorded, e.KeyParked, e.KeyUnparked, e.CommandRejected,
)  # fmt: skip
MESSAGES: tuple[type[Any], ...] = (e.Cancel, e.Resolve, e.LateResult, e.Unpark, e.DeadLetter)
_NUMBERS = {kind: number for number, kind in enumerate(BODIES + MESSAGES)}
_encode = msgspec.msgpack.Encoder().encode
_events = [msgspec.msgpack.Decoder(tuple[e.Envelope, kind]) for kind in BODIES]  # type: ignore[valid-type]
_messages = [msgspec.msgpack.Decoder(kind) for kind in MESSAGES]


class Unreadable(ValueError):
    """Not exactly one thing that the topic may carry."""


class Codec:
    """Remembers what it has decoded: in a simulation the same record is read many times."""

    def __init__(self) -> None:
        self._facts: dict[bytes, Fact] = {}

    def encode(self, envelope: e.Envelope, body: Any) -> bytes:
        """The record value of an event."""
        return bytes((_NUMBERS[type(body)],)) + _encode((envelope, body))

    def decode(self, topic: str, value: bytes) -> Fact:
        """The event in a record."""
        fact = self._facts.get(value)
        if fact is None:
            if not value or value[0] >= len(BODIES):
                raise Unreadable("no event")
            envelope, body = _events[value[0]].decode(value[1:])
            fact = self._facts[value] = Fact(topic, envelope, body, hashlib.sha256(value).digest())
        return fact


def message(body: Any) -> bytes:
    """The record value of a message without envelope."""
    return bytes((_NUMBERS[type(body)],)) + _encode(body)


def read_message(value: bytes) -> Any:
    """The message in a record; raises Unreadable."""
    number = value[0] - len(BODIES) if value else -1
    if not 0 <= number < len(MESSAGES):
        raise Unreadable("no message")
    return _messages[number].decode(value[1:])


def read_unpark(record: Record) -> e.Unpark | None:
    """The Unpark in a record of `commands`, if it is one."""
    try:
        body = read_message(record.value)
    except Unreadable:
        return None
    return body if isinstance(body, e.Unpark) else None


def dead_letter(service: str, code: str, reason: str, record: Record) -> bytes:
    """A record of `dead.<service>`."""
    return message(e.DeadLetter(
        service=service, code=code, reason=reason, topic=record.topic, partition=record.partition,
        offset=record.offset, timestamp_at=record.timestamp_at, value=record.value, headers={}, key=record.key,
    ))  # fmt: skip
