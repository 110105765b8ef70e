"""The hash chain of one partition: what a reader does with each record (lane_rules 7, 8).

A record's hash is SHA-256 of its whole value, which begins with its `seq` and the hash of the record before it.
An identical repeat is legal (a publisher that was not sure), a skipped number is not.
"""

from __future__ import annotations

import hashlib
import struct
from enum import StrEnum

import msgspec

ZERO = bytes(32)
_SEQ = struct.Struct(">Q")


def event_hash(value: bytes) -> bytes:
    """SHA-256 of the whole record value: 32 bytes."""
    return hashlib.sha256(value).digest()


class Anchor(msgspec.Struct, frozen=True, array_like=True):
    """A record that was really seen: its offset, its seq (0 in a topic without a chain) and its hash."""

    offset: int
    seq: int
    hash: bytes


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """How far a reader is in one partition: the last event applied, and where to go on reading."""

    last_seq: int = 0
    last_hash: bytes = ZERO
    anchor: Anchor | None = None

    @property
    def next_offset(self) -> int | None:
        """The offset to read from; None = from the start of the log."""
        return None if self.anchor is None else self.anchor.offset + 1


class Seen(StrEnum):
    """What the reader's rule says of a record."""

    APPLY = "APPLY"
    DROP = "DROP"
    GAP = "GAP"
    HALT = "HALT"


def look(cursor: Cursor, seq: int, prev_hash: bytes) -> Seen:
    """The reader's rule (lane_rules 8). A GAP is an alarm, not an end: read on until last_seq + 1 appears."""
    if seq <= cursor.last_seq:
        return Seen.DROP
    if seq > cursor.last_seq + 1:
        return Seen.GAP
    return Seen.APPLY if prev_hash == cursor.last_hash else Seen.HALT


def applied(offset: int, seq: int, digest: bytes) -> Cursor:
    """The cursor after a chained record was applied. A dropped record never becomes the anchor (rule 7)."""
    return Cursor(seq, digest, Anchor(offset, seq, digest))


def handed_over(cursor: Cursor, seq: int, digest: bytes) -> Cursor:
    """The cursor after an event was handed over in memory: its record has no offset yet, so the anchor stays."""
    return Cursor(seq, digest, cursor.anchor)


def consumed(offset: int, value: bytes) -> Cursor:
    """The cursor after a record of a topic without a chain."""
    return Cursor(0, ZERO, Anchor(offset, 0, event_hash(value)))


def derived_id(namespace: bytes, name: str, number: int) -> bytes:
    """uuid5 of a cause's id, a topic and a sequence number: 16 bytes, the same whoever computes it."""
    digest = bytearray(hashlib.sha1(namespace + name.encode() + _SEQ.pack(number), usedforsecurity=False).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    return bytes(digest)
