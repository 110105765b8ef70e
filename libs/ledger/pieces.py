"""What a batch reads of its lane, and the pieces that it is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    parked: Mapping[str, Mapping[bytes, Sequence[ParkedInput]]]  # what waits for a parked key, per service
    open_effects: frozenset[bytes]
    woken: frozenset[bytes]  # READY work that has its room, whatever `free` says
    free: Mapping[str, int]  # effect class -> how many more may be dispatched
    scopes: Mapping[str, Mapping[int, ScopeRow]]
    scopes_full: frozenset[str]
    parked_max: int
    limits: Mapping[str, int]  # topic -> largest record value in bytes
    broken: frozenset[tuple[str, bytes]]  # (service, key) found to be KeyBroken in this round

    def has_room_for(self, part: BatchPart) -> bool:
        """May one more input of this service wait for a parked key?"""
        stored = self.parked[part.service.name]
        count = sum(map(len, stored.values())) + sum(map(len, part.parked.values()))
        return count - sum(len(stored.get(key, ())) for key in part.unparked) < self.parked_max


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

    def add_side(self, topic: str, partition: int, key: bytes, value: bytes) -> None:
        """A forward or a dead letter more."""
        self.sides.append(SideRecord(self.next_side, topic, partition, key, value))
        self.next_side += 1


class Step(msgspec.Struct):
    """What one input does to one service, before any of it is kept."""

    states: dict[bytes, Any]
    records: list[OutRecord] = []
    facts: list[Fact] = []
    sides: list[tuple[str, int, bytes, bytes]] = []  # topic, partition, key, value
    lines: list[Any] = []
    waits: dict[bytes, Waiting | None] = {}
    effects: dict[bytes, Effect | None] = {}
