"""The form in which inputs of a parked key wait: as records, so that one table and one form hold them all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from libs.contracts import events
from libs.ledger.service import Command, Due, Fact, Input, Record, Recover, Result, Service, Stopped

_encoder = msgspec.msgpack.Encoder()
_FORMS: dict[str, type[Any]] = {"Due": Due, "Recover": Recover, "Stopped": Stopped}
_PREFIX = "parked/"


class _ResultForm(msgspec.Struct, frozen=True):
    key: bytes
    attempt: int
    answer: events.ToolAnswer


def as_record(item: Input, encode: Callable[[events.Envelope, Any], bytes]) -> Record:
    """A record that holds the input: records stay as they are, events become their bytes again, the rest msgpack."""
    match item:
        case Command():
            return item.record
        case Fact():
            value = encode(item.envelope, item.body)
            return Record(item.topic, 0, item.envelope.seq, 0, item.envelope.intent_id, value)
        case Result() | Due() | Recover() | Stopped():
            return Record(f"{_PREFIX}{type(item).__name__}", 0, 0, 0, item.key, _encoder.encode(item))


def as_input(
    record: Record,
    service: Service,
    decode: Callable[[str, bytes], Fact],
    prepare: Callable[[Service, Record], Command | None],
) -> Input | None:
    """The input again."""
    if record.topic in service.reads:
        return decode(record.topic, record.value)
    if not record.topic.startswith(_PREFIX):
        return prepare(service, record)
    name = record.topic.removeprefix(_PREFIX)
    if name == "Result":
        result = msgspec.msgpack.decode(record.value, type=_ResultForm)
        return Result(result.key, result.attempt, result.answer)
    decoded: Input = msgspec.msgpack.decode(record.value, type=_FORMS[name])
    return decoded
