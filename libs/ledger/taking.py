"""What a round takes: of every lane that is ready, what waits there (lane_rules 6, 13, 22, 24). The inputs stay queued
until the commit is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from libs.ledger import poison
from libs.ledger.codec import CodecError
from libs.ledger.inbox import RecordItem, Taken
from libs.ledger.lane import Lane, Phase
from libs.ledger.service import Command, NotYet, Record, Service, key_of, means_something

if TYPE_CHECKING:
    from libs.ledger.worker import Worker

PATIENCE_MS = 100
Takens = dict[int, tuple[int, Taken]]  # lane -> (claim, taken)


def take(worker: Worker) -> Takens:
    """What is decided in the next round, in even shares of the lanes that are ready."""
    ready = [lane for lane in worker.lanes.values() if not lane.care.left and _has_work(worker, lane)]
    share = max(1, worker.batch_limit // max(1, len(ready)))
    found: dict[int, Taken] = {}
    for lane in ready:
        offered = _offer(worker, lane, share, worker.limits.batch_bytes_max // len(ready))
        taken = Taken(offered.direct, prepare(worker, lane, offered.raw))
        if lane.phase is Phase.OPEN and (taken.direct or taken.records):
            found[lane.number] = taken
    if _can_wait(worker, found):
        found = {}
    takens = {number: _hold(worker.lanes[number], taken) for number, taken in found.items()}
    for lane in worker.lanes.values():
        if must_flush(worker, lane) and lane.number not in takens and _is_idle(lane):
            takens[lane.number] = _hold(lane, Taken())
    return takens


def _can_wait(worker: Worker, found: dict[int, Taken]) -> bool:
    """Is there nothing but what is refused? For a moment it waits for others to share a round, a commit and a batch
    with: one by one, what hostile submitters send would cost the others more than their own deeds do."""
    patient = bool(found) and all(_is_patient(worker.lanes[number], taken) for number, taken in found.items())
    since_ms = worker.patient_since_ms if worker.patient_since_ms is not None else worker.boot_ms
    waits = patient and worker.boot_ms - since_ms < PATIENCE_MS
    worker.patient_since_ms = since_ms if waits else None
    return waits


def _is_patient(lane: Lane, taken: Taken) -> bool:
    """Not when more waits behind it: that may be anything."""
    return not taken.direct and len(taken.records) == len(lane.queue) and all(one.is_patient for one in taken.records)


def take_carefully(worker: Worker) -> tuple[Takens, poison.Mark | None] | None:
    """One lane alone, whose next batch is marked first (None: it is put aside unmarked). Takes turns with the others,
    but not while a mark stands: what dies then would be blamed on the wrong input."""
    wary = [lane for lane in worker.lanes.values() if lane.care.left and _has_work(worker, lane)]
    marked = [lane for lane in wary if lane.care.marked]
    worker.careful_turn = bool(marked) or (bool(wary) and not worker.careful_turn)
    for lane in (marked or wary) if worker.careful_turn else ():
        taken, mark = poison.pick(lane.care, _offer(worker, lane, worker.batch_limit, worker.limits.batch_bytes_max))
        if lane.phase is Phase.OPEN and (taken.direct or taken.raw):
            if mark is None:
                taken.records = _unprepared(worker, taken.raw)
            lane.care.marked = mark is not None
            return {lane.number: _hold(lane, taken)}, mark
    return None


def _is_idle(lane: Lane) -> bool:
    return lane.phase is Phase.OPEN and not lane.busy and lane.published_all


def _has_work(worker: Worker, lane: Lane) -> bool:
    """Nothing new is decided for a lane that has un-acked rows (rule 13), or too many forwards and dead letters. (Asked
    of every lane in every turn of the loop: what says no soonest comes first.)"""
    if not (lane.direct or lane.queue or lane.is_due(worker.now_at())):
        return False
    if not _is_idle(lane) or lane.mending or not worker.may_decide():
        return False
    if any(len(part.sides) >= worker.limits.sides_max for part in lane.parts.values()):
        return False
    lane.fire_timers(worker.hosted, worker.now_at())
    return bool((lane.direct and not lane.behind) or (lane.queue and not lane.draining))


def must_flush(worker: Worker, lane: Lane) -> bool:
    """Have positions or the frontier moved without a commit, so that they must be written? (rule 14)"""
    if lane.dirty_since_ms is None:
        return False
    return lane.draining or worker.boot_ms - lane.dirty_since_ms >= worker.limits.flush_ms


def _offer(worker: Worker, lane: Lane, limit: int, bytes_max: int) -> Taken:
    """While hosted readers are behind a topic of ours, nothing but that topic is taken (rule 22)."""
    direct = [] if lane.behind else lane.direct.first(max(1, limit // 2) if lane.queue else limit)
    raw: list[Record] = []
    if not lane.draining:
        size = 0
        for _, records in lane.queue.shares(max(1, limit - len(direct)), lane.behind or None):
            for record in records:
                size += len(record.value)
                if not raw or size <= bytes_max:
                    raw.append(record)
    return Taken(direct, raw=_admitted(worker, lane, raw))


def _hold(lane: Lane, taken: Taken) -> tuple[int, Taken]:
    lane.busy = True
    lane.direct.take(taken.direct)
    return lane.claim, taken


def _admitted(worker: Worker, lane: Lane, raw: list[Record]) -> list[Record]:
    """A topic stops at an event that was decided under a newer control view than ours: it waits for ours to catch up
    (rule 24). Events are decoded here, which is safe."""
    admitted: list[Record] = []
    stopped: set[str] = set()
    for record in raw:
        if record.topic in stopped:
            continue
        if record.topic in worker.hosted.chained:
            item = _prepared(worker, lane, record)
            if item is None or item.fact is None:
                return []
            if worker.needs_control and item.fact.envelope.control_seq > worker.control.seq:
                stopped.add(record.topic)
                continue
        admitted.append(record)
    return admitted


# ---------------------------------------------------------------- preparing


def prepare(worker: Worker, lane: Lane, raw: list[Record]) -> list[RecordItem]:
    """Decode and prepare records, each once. If that halts the lane, nothing is taken; a topic stops at a record that
    can be judged in a moment only."""
    items: list[RecordItem] = []
    stopped: set[str] = set()
    for record in raw:
        if record.topic in stopped:
            continue
        try:
            item = _prepared(worker, lane, record)
        except NotYet:
            stopped.add(record.topic)
            continue
        if item is None:
            return []
        items.append(item)
    return items


def _prepared(worker: Worker, lane: Lane, record: Record) -> RecordItem | None:
    item = lane.queue.prepared(record)
    if item is None and lane.phase is Phase.OPEN:
        item = _event(worker, lane, record) if record.topic in worker.hosted.chained else _message(worker, lane, record)
        if item is not None:
            lane.queue.keep(item)
    return item


def _event(worker: Worker, lane: Lane, record: Record) -> RecordItem | None:
    try:
        if record.flaw:
            raise CodecError(record.flaw)
        return RecordItem(record, fact=worker.functions.decode(record.topic, record.value))
    except Exception as error:  # noqa: BLE001 - corruption or a foreign writer (flow.md decision 3)
        worker.halt(lane, f"{record.topic} offset {record.offset}: {type(error).__name__}: {error}")
        return None


def _message(worker: Worker, lane: Lane, record: Record) -> RecordItem:
    readers = worker.hosted.readers.get(record.topic, ())
    unpark = worker.functions.decode_unpark(record) if record.topic == "commands" else None
    if unpark is not None:
        command = Command(unpark.intent_id, unpark, record, unpark.command_id)
        return RecordItem(record, commands=tuple((service, None) for service in readers), unpark=(unpark, command))
    prepared: list[tuple[Service, Command | None]] = []
    errors: list[tuple[Service, str]] = []
    for service in readers:
        try:
            prepared.append((service, worker.prepare(service, record, lane.number)))
        except NotYet:
            raise
        except Exception as error:  # noqa: BLE001 - a bug in `prepare`: the bytes go to the dead letters
            prepared.append((service, None))
            errors.append((service, f"{type(error).__name__}: {error}"))
    return RecordItem(record, commands=tuple(prepared), errors=tuple(errors))


def _unprepared(worker: Worker, raw: list[Record]) -> list[RecordItem]:
    """Records that are put aside: only events are decoded."""
    chained = worker.hosted.chained
    return [RecordItem(r, fact=worker.functions.decode(r.topic, r.value) if r.topic in chained else None) for r in raw]


def keys_of(worker: Worker, taken: Taken) -> dict[str, dict[bytes, None]]:
    """Whose states the batch may touch: the key of each input, in every service that can be reached from it."""
    asked: dict[str, dict[bytes, None]] = {service.name: {} for service in worker.hosted.services}

    def reach(service: Service, key: bytes) -> None:
        for name in worker.hosted.downstream[service.name]:
            asked[name][key] = None

    for entry in taken.direct:
        reach(entry.service, key_of(entry.item))
    for record in taken.records:
        if record.fact is not None:
            for service in worker.hosted.readers[record.record.topic]:
                if means_something(service, record.fact):
                    reach(service, record.fact.envelope.intent_id)
        for service, command in record.commands:
            if command is not None:
                reach(service, command.key)
        if record.unpark is not None and record.unpark[0].service in worker.hosted.by_name:
            reach(worker.hosted.by_name[record.unpark[0].service], record.unpark[1].key)
    return asked
