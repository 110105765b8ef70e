"""What a batch reads of its lane, and the pieces that it is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from libs.ledger.chain import Cursor
from libs.ledger.protocol import OutRecord, ParkedInput, SideRecord
from libs.ledger.service import Effect, Fact, ScopeRow, Service, Waiting


@dataclass(frozen=True)
class LaneView:
    """What a batch reads of its lane."""

    lane: int
    parts: Mapping[str, tuple[int, bytes, Mapping[str, Cursor], int]]  # out_seq, out_hash, cursors, next side id
    parked: Mapping[str, Mapping[bytes, int]]  # the next number of a waiting input, per service and key
    open_effects: frozenset[bytes]
    woken: frozenset[bytes]  # READY work that has its room, whatever `free` says
    free: Mapping[str, int]  # effect class -> how many more may be dispatched
    scopes: Mapping[str, Mapping[int, ScopeRow]]
    scopes_full: frozenset[str]
    limits: Mapping[str, int]  # topic -> largest record value in bytes
    broken: frozenset[tuple[str, bytes]] = frozenset()  # (service, key) found to be KeyBroken in this round


@dataclass
class BatchPart:
    """One service's growing part of a batch."""

    service: Service
    out_seq: int
    out_hash: bytes
    cursors: dict[str, Cursor]
    next_side: int
    records: list[OutRecord] = field(default_factory=list)
    states: dict[bytes, Any] = field(default_factory=dict)
    waits: dict[bytes, Waiting | None] = field(default_factory=dict)
    effects: dict[bytes, Effect | None] = field(default_factory=dict)
    sides: list[SideRecord] = field(default_factory=list)
    parked: dict[bytes, list[ParkedInput]] = field(default_factory=dict)
    unparked: list[bytes] = field(default_factory=list)


class Step(msgspec.Struct):
    """What one input does to one service, before any of it is kept."""

    states: dict[bytes, Any]
    records: list[OutRecord] = []
    facts: list[Fact] = []
    sides: list[tuple[str, int, bytes, bytes]] = []  # topic, partition, key, value
    lines: list[Any] = []
    waits: dict[bytes, Waiting | None] = {}
    effects: dict[bytes, Effect | None] = {}
