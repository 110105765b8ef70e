"""Inputs that wait because their key is parked: kept as records, so that one table and one form hold them all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from libs.contracts import events
from libs.ledger.service import Command, Due, Fact, Input, Record, Recover, Result, Stopped

_encoder = msgspec.msgpack.Encoder()
_FORMS: dict[str, type[Any]] = {"Due": Due, "Recover": Recover, "Stopped": Stopped}


class _FactForm(msgspec.Struct, frozen=True):
    topic: str
    envelope: events.Envelope
    type: str
    body: msgspec.Raw
    hash: bytes


class _ResultForm(msgspec.Struct, frozen=True):
    key: bytes
    attempt: int
    answer: events.ToolAnswer


def as_record(item: Input) -> Record:
    """A record that holds the input. Raw records stay as they are; the rest becomes msgpack under `parked/<form>`."""
    match item:
        case Command():
            return item.record
        case Fact():
            body = msgspec.Raw(_encoder.encode(item.body))
            form = _FactForm(item.topic, item.envelope, type(item.body).__name__, body, item.hash)
            return _wrap("Fact", item.envelope.intent_id, item.envelope.seq, _encoder.encode(form))
        case Result():
            return _wrap("Result", item.key, item.attempt, _encoder.encode(item))
        case Due() | Recover() | Stopped():
            return _wrap(type(item).__name__, item.key, 0, _encoder.encode(item))


def as_input(record: Record, prepare: Callable[[Record], Command | None]) -> Input | None:
    """The input again. `prepare` is the service's own, for raw records."""
    if not record.topic.startswith("parked/"):
        return prepare(record)
    name = record.topic.removeprefix("parked/")
    if name == "Fact":
        form = msgspec.msgpack.decode(record.value, type=_FactForm)
        body = msgspec.msgpack.decode(form.body, type=getattr(events, form.type))
        return Fact(form.topic, form.envelope, body, form.hash)
    if name == "Result":
        result = msgspec.msgpack.decode(record.value, type=_ResultForm)
        return Result(result.key, result.attempt, result.answer)
    decoded: Input = msgspec.msgpack.decode(record.value, type=_FORMS[name])
    return decoded


def _wrap(name: str, key: bytes, position: int, value: bytes) -> Record:
    return Record(topic=f"parked/{name}", partition=0, offset=position, timestamp_at=0, key=key, value=value)

