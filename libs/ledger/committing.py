"""The second half of a round: commit all or nothing, and take over what became of it (lane_rules 3-6)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from libs.ledger import poison, taking
from libs.ledger.batch import LaneBatch
from libs.ledger.lane import Lane, Phase
from libs.ledger.protocol import Alarm, Commit, CommitRefused, Committed, CommitUnknown, RowChange
from libs.ledger.publishing import publish, send_sides
from libs.ledger.service import Citation

if TYPE_CHECKING:
    from libs.ledger.worker import Worker


class Awaited(StrEnum):
    """Which answer a round waits for."""

    MARK = "MARK"
    LOAD = "LOAD"
    COMMIT = "COMMIT"


@dataclass
class Round:
    """One pass over the lanes that were ready."""

    number: int
    takens: taking.Takens
    careful: bool = False
    awaited: Awaited = Awaited.LOAD
    asked: dict[str, dict[bytes, None]] = field(default_factory=dict)
    states: dict[str, dict[bytes, Any]] = field(default_factory=dict)
    scopes_full: set[str] = field(default_factory=set)
    cited: dict[Citation, str | None] = field(default_factory=dict)
    cited_asked: tuple[Citation, ...] = ()
    broken: set[tuple[str, bytes]] = field(default_factory=set)
    batches: dict[int, tuple[LaneBatch, dict[str, RowChange]]] = field(default_factory=dict)
    stripes: set[tuple[str, int]] = field(default_factory=set)  # scope stripes that its lanes have changed
    rows: dict[int, frozenset[str]] = field(default_factory=dict)  # the services whose rows the commit writes, per lane


def commit(worker: Worker, round_: Round) -> None:
    """A row whose service only skipped records is not written: it follows when its lane is flushed, and until then its
    next owner would skip them again. A batch without any row to write opens no transaction."""
    lanes = worker.lanes
    for number, (batch, changes) in list(round_.batches.items()):
        whole = round_.careful or taking.must_flush(worker, lanes[number])
        rows = frozenset(name for name, change in changes.items() if whole or _has_content(change))
        for name in changes.keys() - rows:
            changes[name].sides_done = []  # their rows are still there
        if rows:
            round_.rows[number] = rows
            continue
        del round_.batches[number]
        if lanes[number].dirty_since_ms is None and _has_moved(lanes[number], changes):
            lanes[number].dirty_since_ms = worker.boot_ms
        _settle(worker, number, round_, batch, changes)
    if not round_.rows:
        end(worker, round_)
        return
    round_.awaited = Awaited.COMMIT
    written = {
        service.name: [round_.batches[n][1][service.name] for n, rows in round_.rows.items() if service.name in rows]
        for service in worker.hosted.services
    }
    worker.out.append(Commit(round_.number, {name: changes for name, changes in written.items() if changes}))


def _has_content(c: RowChange) -> bool:
    return bool(c.records or c.states or c.work or c.sides or c.parked or c.unparked or c.scopes)


def _has_moved(lane: Lane, changes: dict[str, RowChange]) -> bool:
    return any(change.cursors != lane.parts[name].cursors for name, change in changes.items())


def on_commit(worker: Worker, answer: Committed | CommitRefused | CommitUnknown) -> None:
    """All, nothing, or unknown."""
    round_ = worker.round
    if round_ is None or round_.number != answer.round or round_.awaited is not Awaited.COMMIT:
        return
    match answer:
        case Committed():
            for number, (batch, changes) in round_.batches.items():
                _committed(worker, number, round_, answer)
                _settle(worker, number, round_, batch, changes)
            worker.batch_limit = min(worker.limits.batch_max, worker.batch_limit * 2)
        case CommitRefused():
            _refused(worker, round_, answer)
        case CommitUnknown():
            worker.out.append(Alarm(-1, "COMMIT_UNKNOWN", answer.text))
            for number in round_.batches:
                lane = worker.current(number, round_.takens[number][0])
                if lane is not None and lane.phase is Phase.OPEN:
                    worker.claim(lane)
    end(worker, round_)


def _refused(worker: Worker, round_: Round, answer: CommitRefused) -> None:
    """Rule 4: refused lanes are dropped with all their services; refused scopes bring the rows as they are now."""
    for number in answer.lanes:
        lane = worker.current(number, round_.takens[number][0]) if number in round_.takens else None
        if lane is not None:
            worker.lose(lane)
    for row in answer.scopes:
        for number in round_.takens:
            if row.scope in worker.lanes[number].scopes:
                worker.lanes[number].scopes[row.scope][row.stripe] = row
    if answer.scopes:
        worker.batch_limit = max(1, worker.batch_limit // 2)


def _committed(worker: Worker, number: int, round_: Round, answer: Committed) -> None:
    lane, (claim, taken) = worker.lanes[number], round_.takens[number]
    if lane.claim != claim or lane.phase is not Phase.OPEN:
        return
    if len(round_.rows[number]) == len(lane.parts):  # otherwise some of its rows are as they were
        lane.lease_end_boot_ms = max(lane.lease_end_boot_ms, answer.sent_boot_ms + worker.limits.lease_ms)
        lane.dirty_since_ms = None
    elif lane.dirty_since_ms is None:
        lane.dirty_since_ms = worker.boot_ms
    if round_.careful:
        poison.passed(lane.care, taken)
        poison.taken_up(lane.care, [key for part in round_.batches[number][0].parts.values() for key in part.unparked])
    for (scope, stripe), (_, row) in round_.batches[number][0].scopes.changed.items():
        if stripe != number and scope in worker.lanes[stripe].scopes:
            worker.lanes[stripe].scopes[scope][stripe] = row


def _settle(worker: Worker, number: int, round_: Round, batch: LaneBatch, changes: dict[str, RowChange]) -> None:
    lane, (claim, taken) = worker.lanes[number], round_.takens[number]
    for code, text, trace in batch.alarms:
        worker.out.append(Alarm(number, code, text, trace))
    if lane.claim != claim or lane.phase is not Phase.OPEN:
        return  # lost while the commit was on its way; its successor reads what we committed
    lane.settle(taken, batch, changes, worker.hosted)
    for topic, text in batch.gaps.items():
        if lane.gaps.setdefault(topic, worker.boot_ms) == worker.boot_ms:
            worker.out.append(Alarm(number, "GAP", text))
    for topic in batch.applied - batch.gaps.keys():
        lane.gaps.pop(topic, None)
    if lane.dirty_since_ms is None and any(part.sides_done for part in lane.parts.values()):
        lane.dirty_since_ms = worker.boot_ms  # acked while the commit was on its way
    for service in worker.hosted.services:
        part = lane.parts[service.name]
        if part.unacked:
            publish(worker, lane, part)
        if part.sides:
            send_sides(worker, lane, part)
    worker.gate.settled(lane, taken, batch)


def put_back(lane: Lane) -> None:
    """What was taken from this lane stays queued."""
    lane.busy = False
    lane.direct.untake()


def end(worker: Worker, round_: Round) -> None:
    """The round is over: what was taken is settled, or decided anew."""
    for number, (claim, _) in round_.takens.items():
        lane = worker.lanes[number]
        if lane.claim == claim:
            put_back(lane)
    worker.round = None
