"""A round: take what is there, load the states, decide, commit all or nothing (lane_rules 3-6, 24).

    take -> (write a mark) -> load -> decide -> commit -> settle      one round at a time, over all lanes that are ready
                               ^        | something is not in memory
                               +--------+

The inputs stay queued until the commit is known. A refusal for a lane drops that lane; a refusal for scopes brings
the fresh rows, and a smaller batch is decided anew; an unknown answer means: claim again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from libs.ledger import poison, taking
from libs.ledger.batch import LaneBatch
from libs.ledger.committing import Awaited, Round, commit, end, put_back
from libs.ledger.errors import KeyBroken, LaneBroken, NeedsMore
from libs.ledger.feeding import park_all, run_batch
from libs.ledger.lane import Lane, Phase
from libs.ledger.protocol import (
    Alarm,
    Load,
    Loaded,
    RowChange,
    Suspect,
    Suspected,
)
from libs.ledger.service import Citation

if TYPE_CHECKING:
    from libs.ledger.worker import Worker

LOAD_PAUSE_MS = 200


def begin(worker: Worker) -> None:
    """Start rounds until one has to wait for an answer, or nothing is there to decide."""
    while worker.round is None and worker.boot_ms >= worker.pause_until_ms:
        found = taking.take_carefully(worker)
        takens, mark = found or (taking.take(worker), None)
        if not takens:
            return
        worker.round_number += 1
        worker.round = round_ = Round(worker.round_number, takens, careful=found is not None)
        if mark is None:
            _load(worker, round_)
            continue
        number, (claim, _) = next(iter(takens.items()))
        round_.awaited = Awaited.MARK
        worker.out.append(Suspect(number, claim, worker.lanes[number].epoch, poison.mark_text(mark)))


def on_suspected(worker: Worker, answer: Suspected) -> None:
    """The mark is written: now its inputs may be decided."""
    round_ = worker.round
    if round_ is None or round_.awaited is not Awaited.MARK or answer.lane not in round_.takens:
        return
    claim, taken = round_.takens[answer.lane]
    lane = worker.current(answer.lane, claim)
    if answer.claim != claim:
        return
    if lane is None or lane.phase is not Phase.OPEN:
        end(worker, round_)
    elif not answer.ok:
        worker.fail(lane, "SUSPECT_FAILED", "the mark could not be written")
        end(worker, round_)
    else:
        taken.records = taking.prepare(worker, lane, taken.raw)
        _load(worker, round_)


def _load(worker: Worker, round_: Round) -> None:
    round_.asked = {service.name: {} for service in worker.hosted.services}
    round_.states = {service.name: {} for service in worker.hosted.services}
    wanted: dict[str, list[bytes]] = {service.name: [] for service in worker.hosted.services}
    for number, (_, taken) in round_.takens.items():
        lane = worker.lanes[number]
        for name, keys in taking.keys_of(worker, taken).items():
            round_.asked[name] |= keys
            known, states = lane.states.get(name, {}), round_.states[name]
            for key in keys:
                if key in known:
                    states[key] = known[key]
                else:
                    wanted[name].append(key)
    round_.awaited = Awaited.LOAD
    if any(wanted.values()):
        worker.out.append(Load(round_.number, {n: tuple(keys) for n, keys in wanted.items() if keys}))
    else:
        _decide(worker, round_)


# ---------------------------------------------------------------- deciding


def on_loaded(worker: Worker, answer: Loaded) -> None:
    """The states are here: decide."""
    round_ = worker.round
    if round_ is None or round_.number != answer.round or round_.awaited is not Awaited.LOAD:
        return
    if answer.error:
        worker.out.append(Alarm(-1, "LOAD_FAILED", answer.error))
        worker.pause_until_ms = worker.boot_ms + LOAD_PAUSE_MS
        end(worker, round_)
        return
    for name, states in answer.states.items():
        round_.states[name].update(states)
    round_.cited.update({citation: answer.cited.get(citation) for citation in round_.cited_asked})
    round_.cited_asked = ()
    for scope, rows in answer.scopes.items():
        round_.scopes_full.add(scope)
        for number in round_.takens:
            worker.lanes[number].scopes[scope] = {row.stripe: row for row in rows}
    _decide(worker, round_)


def _decide(worker: Worker, round_: Round) -> None:
    keys: dict[bytes, None] = {}
    scopes: dict[str, None] = {}
    cited: dict[Citation, None] = {}
    free = worker.room.free_for_new()
    for number in [n for n, (claim, _) in round_.takens.items() if not worker.is_open(n, claim)]:
        del round_.takens[number]  # lost, or claimed again, while the states were on their way
        round_.batches.pop(number, None)
    if not worker.may_decide():
        _leave(worker, round_)
    for batch, _ in round_.batches.values():
        _take_room(free, batch)
    for number in [n for n in round_.takens if n not in round_.batches]:
        lane = worker.lanes[number]
        try:
            batch = _run(worker, round_, lane, {} if lane.draining else free)
        except NeedsMore as need:
            keys.update(dict.fromkeys(need.keys))
            scopes.update(dict.fromkeys(need.scopes))
            cited.update(dict.fromkeys(need.cited))
        except LaneBroken as broken:
            del round_.takens[number]
            worker.halt(lane, str(broken))
        else:
            if round_.stripes & batch.scopes.changed.keys():
                put_back(lane)  # two lanes of one commit may not write one stripe: this one comes again
                del round_.takens[number]
                continue
            round_.stripes |= batch.scopes.changed.keys()
            round_.batches[number] = (batch, _changes(worker, lane, batch))
            _take_room(free, batch)
    if keys or scopes or cited:
        for asked in round_.asked.values():
            asked.update(keys)
        wanted = {name: tuple(keys) for name in round_.asked} if keys else {}
        round_.cited_asked = tuple(cited)
        worker.out.append(Load(round_.number, wanted, tuple(scopes), round_.cited_asked))
        return
    commit(worker, round_)


def _leave(worker: Worker, round_: Round) -> None:
    """The control view has become stale on the way: only positions are written."""
    for number, (_, taken) in list(round_.takens.items()):
        if taken.direct or taken.records:
            put_back(worker.lanes[number])
            del round_.takens[number]
            round_.batches.pop(number, None)


def _run(worker: Worker, round_: Round, lane: Lane, free: dict[str, int]) -> LaneBatch:
    """Decide on what was taken from a lane; a key that does not come to rest is put aside, and all is decided anew."""
    _, taken = round_.takens[lane.number]
    world = replace(worker.world(), cited=round_.cited) if round_.cited else worker.world()
    while True:
        full, broken = frozenset(round_.scopes_full), frozenset(round_.broken)
        view = lane.view(free, full, broken, worker.limits.parked_max)
        batch = LaneBatch(view, worker.hosted, round_.states, round_.asked, world)
        try:
            if round_.careful and poison.is_poison(lane.care, taken):
                park_all(batch, taken)
            else:
                run_batch(worker, lane, taken, batch)
        except KeyBroken as broken:
            round_.broken.add(broken.place)
            continue
        return batch


def _take_room(free: dict[str, int], batch: LaneBatch) -> None:
    for effect_class, used in batch.dispatched.items():
        free[effect_class] = free.get(effect_class, 0) - used


def _changes(worker: Worker, lane: Lane, batch: LaneBatch) -> dict[str, RowChange]:
    changes: dict[str, RowChange] = {}
    for service in worker.hosted.services:
        part = lane.parts[service.name]
        seq = worker.control.seq if worker.needs_control and worker.control is not None else 0
        change = batch.change(service, part.row.epoch, part.published, seq)
        change.cursors = lane.anchored(change.cursors)
        change.sides_done = list(part.sides_done)
        for key, waiting in batch.parts[service.name].waits.items():
            if waiting != part.waits.get(key):
                change.work[key] = waiting
        changes[service.name] = change
    return changes
