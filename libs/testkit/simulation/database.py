"""A database with the semantics of `libs/ledger/sql`: each call is one moment; all of it happens, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from libs.ledger.chain import ZERO, Cursor
from libs.ledger.hosted import Hosted
from libs.ledger.protocol import (
    Claim,
    Claimed,
    ClaimRefused,
    Commit,
    CommitRefused,
    Halt,
    LaneRow,
    LaneSeen,
    OutRecord,
    ParkedInput,
    Published,
    Release,
    Renew,
    RowChange,
    SideRecord,
    Start,
    Suspect,
    WorkRow,
)
from libs.ledger.service import ScopeRow, Waiting, WaitKind
from libs.testkit.simulation.clock import START_AT, Clock


@dataclass
class Row:
    """One service's row of a lane."""

    epoch: int = 0
    token: bytes = b""
    lease_until: float = -1.0
    out_seq: int = 0
    out_hash: bytes = ZERO
    published: Published = Published()
    cursors: dict[str, Cursor] = field(default_factory=dict)
    control_seq: int = 0
    quiet_until_at: int = 0
    unfinished: int = 0
    suspect: str = ""
    halted: str = ""
    shape: str = ""


@dataclass
class Schema:
    """The tables of one service."""

    rows: dict[int, Row] = field(default_factory=dict)
    states: dict[bytes, Any] = field(default_factory=dict)
    outbox: dict[int, list[OutRecord]] = field(default_factory=dict)
    work: dict[bytes, tuple[int, WorkRow]] = field(default_factory=dict)
    sides: dict[int, dict[int, SideRecord]] = field(default_factory=dict)
    parked: dict[int, dict[bytes, list[ParkedInput]]] = field(default_factory=dict)
    scopes: dict[tuple[str, int], ScopeRow] = field(default_factory=dict)
    workers: dict[bytes, float] = field(default_factory=dict)


class Database:
    """The schemas of all services. `watch` sees every change of a row before it is kept."""

    def __init__(self, clock: Clock, lease_ms: int, names: Sequence[str], lanes: int) -> None:
        self.clock, self.lease_ms, self.lanes = clock, lease_ms, lanes
        self.schemas = {name: Schema({lane: Row() for lane in range(lanes)}) for name in names}
        self.watch: Callable[[str, Row, RowChange], None] = lambda name, row, change: None

    def _held(self, row: Row) -> bool:
        return bool(row.token) and row.lease_until > self.clock.database_ms

    def _lease_end_at(self, row: Row) -> int:
        return START_AT + int(row.lease_until * 1000) if row.lease_until >= 0 else 0

    def _rows(self, hosted: Hosted, lane: int) -> dict[str, Row]:
        return {s.name: self.schemas[s.name].rows[lane] for s in hosted.services}

    def _mine(self, hosted: Hosted, lane: int, epoch: int, token: bytes) -> bool:
        rows = self._rows(hosted, lane).values()
        return all(row.epoch == epoch and row.token == token and not row.halted for row in rows)

    def close(self) -> bool:
        """The shape is to change: in one transaction, unless something is not drained. A commit that was under way when
        its worker died comes too late after this."""
        rows = [(lane, row, schema) for schema in self.schemas.values() for lane, row in schema.rows.items()]
        for lane, row, schema in rows:
            if row.out_seq > row.published.seq or self._held(row) or schema.sides.get(lane):
                return False
        for _, row, _ in rows:
            row.token, row.lease_until = b"", -1.0
        return True

    def claim(self, hosted: Hosted, token: bytes, shape: str, action: Claim) -> ClaimRefused | dict[str, LaneRow]:
        """Rule 1: all rows or none."""
        rows = self._rows(hosted, action.lane)
        for name, row in rows.items():
            drained = row.out_seq == row.published.seq and not self.schemas[name].sides.get(action.lane)
            code = (
                "HALTED" if row.halted
                else "OWNED" if self._held(row) and row.token != token
                else "OTHER_SHAPE" if row.shape not in ("", shape) and not drained
                else "CONTROL_BEHIND" if row.control_seq > action.control_seq
                else ""
            )  # fmt: skip
            if code:
                return ClaimRefused(action.lane, action.claim, code, f"{name} {row.halted}")
        epoch = max(row.epoch for row in rows.values()) + 1
        found = {}
        for name, row in rows.items():
            found[name] = LaneRow(
                name, epoch, row.out_seq, row.out_hash, row.published, dict(row.cursors), row.token,
                self._lease_end_at(row),
                row.quiet_until_at, row.unfinished + 1, row.suspect,
            )  # fmt: skip
            row.epoch, row.token, row.shape, row.unfinished = epoch, token, shape, row.unfinished + 1
            row.lease_until = self.clock.database_ms + self.lease_ms
        return found

    def read_lane(self, action: Claim, sent_boot_ms: int, rows: Mapping[str, LaneRow]) -> Claimed:
        """Rule 2: what belongs to the lane, read after the claim."""
        schemas = {name: self.schemas[name] for name in rows}
        return Claimed(
            action.lane,
            action.claim,
            sent_boot_ms,
            rows,
            {
                n: [r for r in s.outbox.get(action.lane, ()) if r.seq > rows[n].published.seq]
                for n, s in schemas.items()
            },
            {n: [work for lane, work in s.work.values() if lane == action.lane] for n, s in schemas.items()},
            {n: list(s.sides.get(action.lane, {}).values()) for n, s in schemas.items()},
            {n: {k: list(v) for k, v in s.parked.get(action.lane, {}).items()} for n, s in schemas.items()},
        )

    def kept(self, name: str, lane: int) -> dict[int, OutRecord]:
        """All outbox rows of a lane."""
        return {record.seq: record for record in self.schemas[name].outbox.get(lane, ())}

    def commit(self, token: bytes, action: Commit) -> CommitRefused | None:
        """Rules 3 and 4: None = everything is kept."""
        fenced: dict[int, None] = {}
        fresh: list[ScopeRow] = []
        for name, changes in action.changes.items():
            schema = self.schemas[name]
            for change in changes:
                row = schema.rows[change.lane]
                if (row.epoch, row.token, row.out_seq) != (change.epoch, token, change.seen_out_seq) or row.halted:
                    fenced[change.lane] = None
                for seen, scope in change.scopes:
                    kept = schema.scopes.get((scope.scope, scope.stripe))
                    if (kept.version if kept else 0) != seen:
                        fresh += [r for (s, _), r in sorted(schema.scopes.items()) if s == scope.scope]
        if fenced or fresh:
            return CommitRefused(action.round, tuple(fenced), () if fenced else fresh)
        for name, changes in action.changes.items():
            for change in changes:
                self.watch(name, self.schemas[name].rows[change.lane], change)
                self._keep(self.schemas[name], change)
        return None

    def _keep(self, schema: Schema, change: RowChange) -> None:
        lane, row = change.lane, schema.rows[change.lane]
        row.out_seq, row.out_hash, row.published = change.out_seq, change.out_hash, change.published
        row.cursors, row.control_seq = dict(change.cursors), max(row.control_seq, change.control_seq)
        row.lease_until, row.unfinished, row.suspect = self.clock.database_ms + self.lease_ms, 0, ""
        schema.outbox.setdefault(lane, []).extend(change.records)
        schema.states.update(change.states)
        for key, waiting in change.work.items():
            self._wait(schema, lane, key, waiting)
        sides = schema.sides.setdefault(lane, {})
        for side in change.sides:
            assert side.id not in sides, "a side record's id is used twice"
            sides[side.id] = side
        for number in change.sides_done:
            sides.pop(number, None)
        parked = schema.parked.setdefault(lane, {})
        for key in change.unparked:
            parked.pop(key, None)
        for key, item in change.parked:
            waiting_inputs = parked.setdefault(key, [])
            assert all(one.n != item.n for one in waiting_inputs), "a parked input's number is used twice"
            waiting_inputs.append(item)
        for _, scope in change.scopes:
            schema.scopes[(scope.scope, scope.stripe)] = scope

    def _wait(self, schema: Schema, lane: int, key: bytes, waiting: Waiting | None) -> None:
        if waiting is None:
            schema.work.pop(key, None)
            return
        _, before = schema.work.get(key, (0, WorkRow(key, waiting)))
        same = before.waiting.attempt == waiting.attempt and waiting.kind is WaitKind.DISPATCHED
        started = before.started_at if same else None
        schema.work[key] = (lane, WorkRow(key, waiting, started, before.first_started_at))

    def start(
        self, hosted: Hosted, token: bytes, action: Start
    ) -> tuple[dict[int, list[tuple[bytes, int]]], list[int]]:
        """Rule 17: marks written per lane, and lanes that are not this owner's."""
        assert hosted.effects is not None
        schema = self.schemas[hosted.effects.name]
        done: dict[int, list[tuple[bytes, int]]] = {}
        refused = []
        for lane, _, epoch, marks in action.marks:
            row = schema.rows[lane]
            if (row.epoch, row.token) != (epoch, token) or row.halted:
                refused.append(lane)
                continue
            for key, attempt in marks:
                work = schema.work.get(key, (0, None))[1]
                if work is None or work.waiting.kind is not WaitKind.DISPATCHED or work.waiting.attempt != attempt:
                    continue
                now = self.clock.now_at
                marked = replace_times(work, work.started_at or now, work.first_started_at or now)
                schema.work[key] = (lane, marked)
                done.setdefault(lane, []).append((key, attempt))
        return done, refused

    def renew(self, hosted: Hosted, token: bytes, action: Renew) -> list[int]:
        """Lanes whose leases were prolonged."""
        kept = [lane for lane, _, epoch in action.lanes if self._mine(hosted, lane, epoch, token)]
        for lane in kept:
            for row in self._rows(hosted, lane).values():
                row.lease_until = self.clock.database_ms + self.lease_ms
        return kept

    def release(self, hosted: Hosted, token: bytes, action: Release) -> None:
        """Rule 21."""
        if self._mine(hosted, action.lane, action.epoch, token):
            for row in self._rows(hosted, action.lane).values():
                row.token, row.lease_until, row.unfinished, row.suspect = b"", -1.0, 0, ""
                row.quiet_until_at = max(row.quiet_until_at, action.quiet_until_at)

    def halt(self, hosted: Hosted, token: bytes, action: Halt) -> bool:
        """Rule 9: under the fence."""
        mine = self._mine(hosted, action.lane, action.epoch, token)
        if mine:
            for row in self._rows(hosted, action.lane).values():
                row.halted, row.token, row.lease_until = action.reason, b"", -1.0
        return mine

    def suspect(self, hosted: Hosted, token: bytes, action: Suspect) -> bool:
        """The mark before a careful batch."""
        mine = self._mine(hosted, action.lane, action.epoch, token)
        if mine:
            for row in self._rows(hosted, action.lane).values():
                row.suspect = action.mark
        return mine

    def survey(self, name: str, token: bytes, leaving: bool, ttl_ms: int) -> tuple[list[bytes], list[LaneSeen]]:
        """Announce a worker; who lives, and who owns what."""
        schema, now = self.schemas[name], self.clock.database_ms
        if leaving:
            schema.workers.pop(token, None)
        else:
            schema.workers[token] = now
        workers = [worker for worker, seen in schema.workers.items() if seen > now - ttl_ms]
        lanes = [
            LaneSeen(lane, row.token or None, not self._held(row), row.halted) for lane, row in schema.rows.items()
        ]
        return workers, lanes


def replace_times(work: WorkRow, started_at: int, first_started_at: int) -> WorkRow:
    """The row with the gate's marks."""
    return WorkRow(work.key, work.waiting, started_at, first_started_at)
