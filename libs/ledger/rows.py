"""What the database and the log hold for a lane, as the protocol sees it."""

from __future__ import annotations

import msgspec

from libs.ledger.chain import ZERO, Cursor
from libs.ledger.service import Record, Waiting


class Published(msgspec.Struct, frozen=True, array_like=True):
    """The frontier of an output partition: the last record whose ack came to us (seq 0 = none yet)."""

    offset: int = -1
    seq: int = 0
    hash: bytes = ZERO


class LaneRow(msgspec.Struct, frozen=True):
    """One service's row of a lane, as a claim found it (epoch and token are already the new ones)."""

    service: str
    epoch: int
    out_seq: int
    out_hash: bytes
    published: Published
    cursors: dict[str, Cursor]
    previous_token: bytes
    lease_end_at: int  # of the owner before us; 0 if it released the lane
    quiet_until_at: int
    unfinished: int  # claims since the last commit or release, this one included
    suspect: str  # the mark that stood when the last owner ended: what it was about to decide (poison.py)


class OutRecord(msgspec.Struct, frozen=True, array_like=True):
    """One record of an output: the Kafka key and the stored bytes."""

    seq: int
    key: bytes
    value: bytes
    hash: bytes


class SideRecord(msgspec.Struct, frozen=True):
    """A forward or a dead letter: published at least once, outside the chain."""

    id: int
    topic: str
    partition: int
    key: bytes
    value: bytes


class WorkRow(msgspec.Struct, frozen=True):
    """One row of the index of all that waits. `started_at`: the gate's mark."""

    key: bytes
    waiting: Waiting
    started_at: int | None = None
    first_started_at: int | None = None


class ParkedInput(msgspec.Struct, frozen=True):
    """An input that waits because its key is parked: a record of `topic`."""

    n: int
    record: Record


class TailRecord(msgspec.Struct, frozen=True, array_like=True):
    """A record found in an output partition."""

    offset: int
    seq: int
    prev_hash: bytes
    hash: bytes
