"""Bytes of records and the types they stand for: Confluent's wire format (a zero byte, a 4-byte schema id, Avro) with
the pinned ids of `schemas/ids.lock.json`. Nothing is ever fetched because a record names it; a record must be exactly
one thing that its topic may carry, from its first byte to its last, or it is refused with a CodecError.

An event is its envelope followed by its body, so `seq` and `prev_hash` are the first bytes after the schema id.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import Any, TypeVar

from libs.contracts.avro import Reader, Writer, read_long
from libs.contracts.errors import (
    BadValue,
    CodecError,
    Oversize,
    TrailingBytes,
    Truncated,
    UnknownSchema,
    WrongMagic,
)
from libs.contracts.events import Envelope
from libs.contracts.table import TYPES, TypeRow
from libs.ledger.service import Fact

__all__ = [
    "CATALOGUE",
    "RECORD_BYTES_MAX",
    "BadValue",
    "Catalogue",
    "CodecError",
    "Oversize",
    "TrailingBytes",
    "Truncated",
    "UnknownSchema",
    "WrongMagic",
    "allowed",
    "allowed_types",
    "decode_event",
    "decode_message",
    "encode_event",
    "encode_message",
    "event_hash",
    "frame",
]

T = TypeVar("T")

RECORD_BYTES_MAX = 1024 * 1024
HEAD = 5
HASH_BYTES = 32


def event_hash(value: bytes) -> bytes:
    """What the next event of the partition names as its predecessor."""
    return sha256(value).digest()


def frame(value: bytes) -> tuple[int, int, bytes]:
    """Schema id, seq and prev_hash of an event, without decoding the rest."""
    _check_head(value)
    try:
        seq, start = read_long(value, HEAD)
    except IndexError as error:
        raise Truncated("ends within seq") from error
    prev_hash = value[start : start + HASH_BYTES]
    if len(prev_hash) < HASH_BYTES:
        raise Truncated("ends within prev_hash")
    return int.from_bytes(value[1:HEAD]), seq, prev_hash


def _check_head(value: bytes) -> None:
    if value[:1] != b"\x00":
        raise WrongMagic(f"begins with {value[:1].hex() or 'nothing'} instead of 00")
    if len(value) < HEAD:
        raise Truncated("ends within the schema id")


class Catalogue:
    """The types that each topic may carry, by pinned id. Values larger than `size_max` bytes are refused, unread or
    unsent: after a commit they would block the lane."""

    def __init__(self, rows: Iterable[TypeRow] = TYPES, size_max: int = RECORD_BYTES_MAX) -> None:
        self._size_max = size_max
        self._event_readers: dict[str, dict[int, tuple[Reader[Envelope], Reader[Any]]]] = {}
        self._message_readers: dict[str, dict[int, Reader[Any]]] = {}
        self._event_writers: dict[type, tuple[bytes, Writer[Envelope], Writer[Any]]] = {}
        self._message_writers: dict[type, tuple[bytes, Writer[Any]]] = {}
        self._types: dict[str, set[type]] = {}
        for row in rows:
            self._add(row)

    def allowed(self, topic: str) -> frozenset[int]:
        """Ids that the topic may carry; none for a topic that is not ours."""
        return frozenset((*self._event_readers.get(topic, ()), *self._message_readers.get(topic, ())))

    def allowed_types(self, topic: str) -> frozenset[type]:
        """Types that may be written to the topic."""
        return frozenset(self._types.get(topic, ()))

    def encode_event(self, envelope: Envelope, body: Any) -> bytes:
        """The record value of an event. Raises BadValue, Oversize, UnknownSchema (not the type of an event)."""
        found = self._event_writers.get(body.__class__)
        if found is None:
            raise UnknownSchema(f"{type(body).__name__} is no event")
        prefix, write_envelope, write_body = found
        try:
            return self._checked(prefix + write_envelope(envelope) + write_body(body))
        except (AttributeError, KeyError, TypeError) as error:
            raise BadValue(f"{type(body).__name__} holds something else than its type says: {error}") from error

    def decode_event(self, value: bytes, topic: str) -> Fact:
        """The event that a record of `topic` holds. Raises a CodecError for anything else."""
        readers = self._find(value, topic, self._event_readers)
        try:
            envelope, at = readers[0](value, HEAD)
            body, at = readers[1](value, at)
        except IndexError as error:
            raise Truncated("ends within a value") from error
        except KeyError as error:
            raise BadValue("no such symbol of an enum") from error
        _check_end(value, at)
        return Fact(topic, envelope, body, sha256(value).digest())

    def encode_message(self, body: Any) -> bytes:
        """The record value of a message without envelope. Raises as encode_event does."""
        found = self._message_writers.get(body.__class__)
        if found is None:
            raise UnknownSchema(f"{type(body).__name__} is no message")
        prefix, write = found
        try:
            return self._checked(prefix + write(body))
        except (AttributeError, KeyError, TypeError) as error:
            raise BadValue(f"{type(body).__name__} holds something else than its type says: {error}") from error

    def decode_message(self, value: bytes, topic: str) -> Any:
        """The message that a record of `topic` holds. Raises a CodecError for anything else."""
        read = self._find(value, topic, self._message_readers)
        try:
            body, at = read(value, HEAD)
        except IndexError as error:
            raise Truncated("ends within a value") from error
        except KeyError as error:
            raise BadValue("no such symbol of an enum") from error
        _check_end(value, at)
        return body

    def _find(self, value: bytes, topic: str, readers: dict[str, dict[int, T]]) -> T:
        if len(value) > self._size_max:
            raise Oversize(f"{len(value)} bytes, at most {self._size_max} allowed")
        _check_head(value)
        number = int.from_bytes(value[1:HEAD])
        try:
            return readers[topic][number]
        except KeyError as error:
            raise UnknownSchema(f"schema id {number} is not allowed on {topic}") from error

    def _checked(self, value: bytes) -> bytes:
        if len(value) > self._size_max:
            raise Oversize(f"{len(value)} bytes, at most {self._size_max} allowed")
        return value

    def _add(self, row: TypeRow) -> None:
        prefix = b"\x00" + row.id.to_bytes(4)
        for topic in row.topics:
            if row.read_envelope:
                self._event_readers.setdefault(topic, {})[row.id] = row.read_envelope, row.read
            else:
                self._message_readers.setdefault(topic, {})[row.id] = row.read
            if row.written:
                self._types.setdefault(topic, set()).add(row.struct)
        if row.write and row.write_envelope:
            self._event_writers[row.struct] = prefix, row.write_envelope, row.write
        elif row.write:
            self._message_writers[row.struct] = prefix, row.write


def _check_end(value: bytes, at: int) -> None:
    if at < len(value):
        raise TrailingBytes(f"{len(value) - at} bytes after the end")
    if at > len(value):
        raise Truncated("ends within a value")


CATALOGUE = Catalogue()
allowed = CATALOGUE.allowed
allowed_types = CATALOGUE.allowed_types
encode_event = CATALOGUE.encode_event
decode_event = CATALOGUE.decode_event
encode_message = CATALOGUE.encode_message
decode_message = CATALOGUE.decode_message
