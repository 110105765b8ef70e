"""A round: take what is there, load the states, decide, commit all or nothing (lane_rules 3-6, 24).

The inputs stay queued until the commit is known. A refusal for a lane drops that lane; a refusal for scopes brings
the fresh rows, and a smaller batch is decided anew; an unknown answer means: claim again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from libs.ledger.batch import KeysNeeded, LaneBatch, LaneBroken
from libs.ledger.chain import Anchor, Cursor
from libs.ledger.lane import Lane, Phase, RecordItem, Taken, run_batch
from libs.ledger.opening import publish
from libs.ledger.protocol import (
    Alarm,
    Commit,
    CommitRefused,
    Committed,
    CommitUnknown,
    Load,
    Loaded,
    RowChange,
    SideRecord,
    Suspect,
    Suspected,
)
from libs.ledger.service import Command, Fact, Record, ScopesNeeded, Service

if TYPE_CHECKING:
    from libs.ledger.worker import Worker


@dataclass
class Round:
    """One pass over the lanes that were ready."""

    number: int
    takens: dict[int, tuple[int, Taken]]  # lane -> (claim, taken)
    asked: dict[str, set[bytes]]
    states: dict[str, dict[bytes, Any]]
    scopes_full: set[str] = field(default_factory=set)
    batches: dict[int, tuple[LaneBatch, dict[str, RowChange]]] = field(default_factory=dict)
    stripes: set[tuple[str, int]] = field(default_factory=set)  # scope stripes that its lanes have changed
    waiting: str = "LOAD"


def begin(worker: Worker) -> None:
    """Start a round if there is none and something is there to decide."""
    if worker.round is not None or worker.boot_ms < worker.pause_until_ms or not worker.may_decide():
        return
    ready = [lane for lane in worker.lanes.values() if _is_ready(worker, lane)]
    if not ready:
        return
    share = max(1, worker.batch_limit // len(ready))
    takens: dict[int, tuple[int, Taken]] = {}
    for lane in ready:
        taken = _take(worker, lane, share)
        if taken is not None and (taken.direct or taken.records or _must_flush(worker, lane)):
            takens[lane.number] = (lane.claim, taken)
    takens = {n: t for n, t in takens.items() if worker.lanes[n].phase is Phase.OPEN}
    if not takens:
        return
    worker.round_number += 1
    names = [s.name for s in worker.hosted.services]
    round_ = Round(worker.round_number, takens, {n: set() for n in names}, {n: {} for n in names})
    for number, (_, taken) in takens.items():
        worker.lanes[number].busy = True
        _ask(worker, round_.asked, taken)
    worker.round = round_
    if any(round_.asked.values()):
        worker.out.append(Load(round_.number, {n: tuple(keys) for n, keys in round_.asked.items() if keys}))
    else:
        _decide(worker, round_)


def _is_ready(worker: Worker, lane: Lane) -> bool:
    if lane.phase is not Phase.OPEN or lane.busy or not lane.published_all:
        return False
    if any(len(part.sides) >= worker.limits.sides_max for part in lane.parts.values()):
        return False
    lane.fire_timers(worker.hosted, worker.now_at())
    return bool(lane.direct or (lane.queue and not lane.draining) or _must_flush(worker, lane))


def _must_flush(worker: Worker, lane: Lane) -> bool:
    if lane.dirty_since_ms is None:
        return False
    return lane.draining or worker.boot_ms - lane.dirty_since_ms >= worker.limits.flush_ms


# ---------------------------------------------------------------- taking


def _take(worker: Worker, lane: Lane, limit: int) -> Taken | None:
    direct = list(islice(lane.direct, limit))
    if lane.careful and not direct and lane.queue and not lane.draining:
        return _take_carefully(worker, lane)
    records: list[RecordItem] = []
    if not lane.draining and not lane.careful:
        for record in islice(lane.queue, max(0, limit - len(direct))):
            item = _prepared(worker, lane, record)
            if item is None:
                break
            records.append(item)
    return Taken(direct, records)


def _take_carefully(worker: Worker, lane: Lane) -> Taken | None:
    """After two deaths without a commit: mark one record, then decide it alone."""
    record = lane.queue[0]
    mark = f"{record.topic}/{record.offset}"
    if lane.careful == "MARKED" or (lane.careful == "PARK" and mark == lane.suspect):
        item = _prepared(worker, lane, record)
        return None if item is None else Taken([], [item])
    lane.busy = True
    worker.out.append(Suspect(lane.number, lane.claim, lane.epoch, mark))
    return None


def on_suspected(worker: Worker, answer: Suspected) -> None:
    """The mark is written: now the record may be decided."""
    lane = worker.current(answer.lane, answer.claim)
    if lane is None or lane.phase is not Phase.OPEN:
        return
    lane.busy = False
    if answer.ok:
        lane.careful = "MARKED"
    else:
        worker.fail(lane, "SUSPECT_FAILED", "the mark could not be written")


def _prepared(worker: Worker, lane: Lane, record: Record) -> RecordItem | None:
    """Decode and prepare a record once. None: it must wait for our control view, or the lane just halted."""
    key = (record.topic, record.offset)
    item = lane.prepared.get(key)
    if item is None:
        item = _prepare(worker, lane, record)
        if item is None:
            return None
        lane.prepared[key] = item
    fact = item.fact
    if fact is not None and worker.needs_control and fact.envelope.control_seq > worker.control.seq:
        return None  # decided under a newer view than ours: wait for ours to catch up (rule 24)
    return item


def _prepare(worker: Worker, lane: Lane, record: Record) -> RecordItem | None:
    readers = worker.hosted.readers.get(record.topic, ())
    if any(record.topic in service.reads for service in readers):
        try:
            return RecordItem(record, fact=worker.tools.decode(record.topic, record.value))
        except Exception as error:
            # On a chained topic anything unreadable is corruption or a foreign writer (flow.md decision 3).
            worker.halt(lane, f"{record.topic} offset {record.offset}: {type(error).__name__}: {error}")
            return None
    unpark = worker.tools.decode_unpark(record) if record.topic == "commands" else None
    if unpark is not None:
        commands = tuple((service, None) for service in readers)
        return RecordItem(record, commands=commands, unpark=(unpark, Command(unpark.intent_id, unpark, record, unpark.command_id)))
    prepared: list[tuple[Service, Command | None]] = []
    for service in readers:
        try:
            prepared.append((service, worker.prepare(service, record, lane.number)))
        except Exception as error:
            # A bug in `prepare` must not stop the lane: the bytes go to the dead-letter topic.
            _bury(worker, lane, service, record, f"{type(error).__name__}: {error}")
            prepared.append((service, None))
    return RecordItem(record, commands=tuple(prepared))


def _bury(worker: Worker, lane: Lane, service: Service, record: Record, error: str) -> None:
    part = lane.parts[service.name]
    value = worker.hosted.dead_letter(service.name, "PREPARE_FAILED", error, record)
    side = SideRecord(part.next_side, f"dead.{service.name}", lane.number, record.key or b"", value)
    part.next_side += 1
    lane.buried.append((service.name, side))
    worker.out.append(Alarm(lane.number, "PREPARE_FAILED", f"{service.name}: {record.topic}/{record.offset}: {error}"))


def _ask(worker: Worker, asked: dict[str, set[bytes]], taken: Taken) -> None:
    """Whose states the batch may touch: the key of each input, in every service that can be reached from it."""

    def reach(service: Service, key: bytes) -> None:
        for name in worker.hosted.downstream[service.name]:
            asked[name].add(key)

    for entry in taken.direct:
        item = entry.item
        reach(entry.service, item.envelope.intent_id if isinstance(item, Fact) else item.key)
    for record in taken.records:
        if record.fact is not None:
            for service in worker.hosted.readers[record.record.topic]:
                reach(service, record.fact.envelope.intent_id)
        for service, command in record.commands:
            if command is not None:
                reach(service, command.key)
        if record.unpark is not None and record.unpark[0].service in worker.hosted.by_name:
            reach(worker.hosted.by_name[record.unpark[0].service], record.unpark[1].key)


# ---------------------------------------------------------------- deciding


def on_loaded(worker: Worker, answer: Loaded) -> None:
    """The states are here: decide."""
    round_ = worker.round
    if round_ is None or round_.number != answer.round:
        return
    if answer.error:
        worker.out.append(Alarm(-1, "LOAD_FAILED", answer.error))
        _end(worker, round_)
        worker.pause_until_ms = worker.boot_ms + 200
        return
    for name, states in answer.states.items():
        round_.states[name].update(states)
    for scope, rows in answer.scopes.items():
        round_.scopes_full.add(scope)
        for number in round_.takens:
            worker.lanes[number].scopes[scope] = {row.stripe: row for row in rows}
    _decide(worker, round_)


def _decide(worker: Worker, round_: Round) -> None:
    keys: dict[str, set[bytes]] = {}
    scopes: set[str] = set()
    world = worker.world()
    free = worker.gate.free()
    for number, (claim, taken) in list(round_.takens.items()):
        lane = worker.lanes[number]
        if number in round_.batches:
            continue
        if lane.phase is not Phase.OPEN or lane.claim != claim:
            del round_.takens[number]
            continue
        room = {} if lane.draining else free
        batch = LaneBatch(lane.view(room, frozenset(round_.scopes_full)), worker.hosted, round_.states, round_.asked, world)
        try:
            if lane.careful == "PARK" and taken.records:
                _park_suspect(batch, taken)
            else:
                run_batch(lane, taken, batch, lambda s, r, n=number: worker.prepare(s, r, n))  # type: ignore[misc]
        except ScopesNeeded as need:
            scopes.add(need.scope)
        except KeysNeeded as need_key:
            for name in round_.asked:
                keys.setdefault(name, set()).add(need_key.key)
        except LaneBroken as broken:
            del round_.takens[number]
            worker.halt(lane, str(broken))
        else:
            if round_.stripes & batch.scopes.changed.keys():
                # Two lanes of one commit may not write one stripe: this one comes again in the next round.
                del round_.takens[number]
                lane.busy = False
                continue
            round_.stripes |= batch.scopes.changed.keys()
            round_.batches[number] = (batch, _changes(worker, lane, batch))
            for effect_class, used in batch.dispatched.items():
                free[effect_class] = free.get(effect_class, 0) - used
    if keys or scopes:
        for name, more in keys.items():
            round_.asked[name] |= more
        worker.out.append(Load(round_.number, {n: tuple(more) for n, more in keys.items()}, tuple(scopes)))
        return
    _commit(worker, round_)


def _park_suspect(batch: LaneBatch, taken: Taken) -> None:
    """The third death: the record's key is put aside with its bytes, without deciding it again."""
    for item in taken.records:
        readers = batch.hosted.readers[item.record.topic]
        for service in readers:
            command = dict((s.name, c) for s, c in item.commands).get(service.name)
            key = command.key if command is not None else None
            if item.fact is not None:
                key = item.fact.envelope.intent_id
            batch.skip(service, item.record, item.fact)
            if key is not None:
                batch.park(service, key, item.record, "KILLED_PROCESS", "three processes died on this record")


def _changes(worker: Worker, lane: Lane, batch: LaneBatch) -> dict[str, RowChange]:
    changes: dict[str, RowChange] = {}
    for service in worker.hosted.services:
        part = lane.parts[service.name]
        seq = worker.control.seq if worker.needs_control and worker.control is not None else 0
        change = batch.change(service, lane.epoch, part.published, seq)
        change.cursors = {t: _anchored(lane, t, c) for t, c in change.cursors.items()}
        change.sides.extend(side for name, side in lane.buried if name == service.name)
        change.sides_done = list(part.sides_done)
        for key, state in batch.touched(service):
            waiting = service.waits(state)
            if waiting != part.waits.get(key):
                change.work[key] = waiting
        changes[service.name] = change
    return changes


def _anchored(lane: Lane, topic: str, cursor: Cursor) -> Cursor:
    """What was handed over in memory: the writer's published record becomes the anchor once it is acked (rule 7)."""
    writer = next((p for p in lane.parts.values() if p.service.writes == topic), None)
    if writer is None or writer.published.seq == 0 or writer.published.seq > cursor.last_seq:
        return cursor
    if cursor.anchor is not None and cursor.anchor.seq >= writer.published.seq:
        return cursor
    published = writer.published
    return Cursor(cursor.last_seq, cursor.last_hash, Anchor(published.offset, published.seq, published.hash))


# ---------------------------------------------------------------- committing


def _commit(worker: Worker, round_: Round) -> None:
    writing = {n: b for n, b in round_.batches.items() if _has_content(b[1]) or _must_flush(worker, worker.lanes[n])}
    for number in [n for n in round_.batches if n not in writing]:
        batch, changes = round_.batches.pop(number)
        _settle(worker, number, round_, batch, changes)
        worker.lanes[number].dirty_since_ms = worker.boot_ms
    if not writing:
        _end(worker, round_)
        return
    round_.waiting = "COMMIT"
    worker.out.append(
        Commit(round_.number, {s.name: [c[s.name] for _, c in writing.values()] for s in worker.hosted.services})
    )


def _has_content(changes: dict[str, RowChange]) -> bool:
    return any(
        c.records or c.states or c.work or c.sides or c.parked or c.unparked or c.scopes for c in changes.values()
    )


def on_commit(worker: Worker, answer: Committed | CommitRefused | CommitUnknown) -> None:
    """All, nothing, or unknown."""
    round_ = worker.round
    if round_ is None or round_.number != answer.round:
        return
    match answer:
        case Committed():
            for number, (batch, changes) in round_.batches.items():
                lane = worker.lanes[number]
                lane.lease_end_boot_ms = max(lane.lease_end_boot_ms, answer.sent_boot_ms + worker.limits.lease_ms)
                _settle(worker, number, round_, batch, changes)
                for (scope, stripe), (_, row) in batch.scopes.changed.items():
                    if stripe != number and scope in worker.lanes[stripe].scopes:
                        worker.lanes[stripe].scopes[scope][stripe] = row
            worker.batch_limit = min(worker.limits.batch_max, worker.batch_limit * 2)
        case CommitRefused():
            for number in answer.lanes:
                if number in round_.takens and worker.lanes[number].claim == round_.takens[number][0]:
                    worker.lose(worker.lanes[number])
            for row in answer.scopes:
                for number in round_.takens:
                    worker.lanes[number].scopes.setdefault(row.scope, {})[row.stripe] = row
            if answer.scopes:
                worker.batch_limit = max(1, worker.batch_limit // 2)
        case CommitUnknown():
            worker.out.append(Alarm(-1, "COMMIT_UNKNOWN", answer.text))
            for number in round_.batches:
                if worker.lanes[number].claim == round_.takens[number][0] and worker.lanes[number].phase is Phase.OPEN:
                    worker.claim(worker.lanes[number])
    _end(worker, round_)


def _settle(worker: Worker, number: int, round_: Round, batch: LaneBatch, changes: dict[str, RowChange]) -> None:
    lane, (claim, taken) = worker.lanes[number], round_.takens[number]
    for code, text in batch.alarms:
        worker.out.append(Alarm(number, code, text))
    if lane.claim != claim or lane.phase is not Phase.OPEN:
        return  # lost while the commit was on its way; its successor reads what we committed
    lane.settle(taken, batch, changes, worker.hosted)
    if lane.careful:
        lane.careful = ""
    for service in worker.hosted.services:
        part = lane.parts[service.name]
        if part.unacked:
            publish(worker, lane, part)
        if changes[service.name].sides:
            worker.send_sides(lane, service.name)
    worker.gate.settled(lane, taken, batch)


def _end(worker: Worker, round_: Round) -> None:
    for number, (claim, _) in round_.takens.items():
        lane = worker.lanes[number]
        if lane.claim == claim:
            lane.busy = False
    worker.round = None
    begin(worker)
