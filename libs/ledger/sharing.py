"""Who owns which lane: announce, renew, share out evenly, hand over politely (lane_rules 1, 3, 21)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from libs.ledger.lane import Lane, Phase
from libs.ledger.protocol import Alarm, LaneSeen, Renew, Renewed, Survey, Surveyed

if TYPE_CHECKING:
    from libs.ledger.worker import Worker

LEFT_OVER_SURVEYS = 3  # a lane that nobody has taken for so long may be taken by a worker that has its share


def on_time(worker: Worker) -> None:
    """Renewals and surveys, each on its own beat and never two at once."""
    if not worker.surveying and worker.boot_ms >= worker.next_survey_ms:
        worker.surveying = True
        worker.next_survey_ms = worker.boot_ms + worker.limits.survey_ms
        worker.out.append(Survey(leaving=worker.stopping or not counts(worker)))
    if not worker.renewing and worker.boot_ms >= worker.next_renew_ms:
        worker.next_renew_ms = worker.boot_ms + worker.limits.lease_ms // 4
        lanes = [(lane.number, lane.claim, lane.epoch) for lane in worker.lanes.values() if lane.owned]
        if lanes:
            worker.renewing = True
            worker.out.append(Renew(lanes))


def counts(worker: Worker) -> bool:
    """Is it one of those who share the lanes out? Others give lanes up for whoever counts, so only a worker that can
    serve them does: one with a fresh control view that has not just given a lane up because of failures."""
    shuns = any(worker.boot_ms < lane.trouble.shunned_until_ms for lane in worker.lanes.values())
    return worker.may_decide() and not shuns


def on_answer(worker: Worker, answer: Renewed | Surveyed) -> None:
    """Take over what the database says of leases, workers and the time."""
    if isinstance(answer, Renewed):
        worker.renewing = False
        _renewed(worker, answer)
        return
    worker.surveying = False
    if answer.error:
        worker.out.append(Alarm(-1, "SURVEY_FAILED", answer.error))
        return
    _set_clock(worker, answer)
    worker.calls.taken_over({seen.lane for seen in answer.lanes if seen.token not in (None, worker.token)})
    if answer.unfit != worker.unfit:
        worker.unfit = answer.unfit
        if answer.unfit:
            worker.out.append(Alarm(-1, "FORMAT_REFUSED", answer.unfit))
    if worker.stopping:
        return
    if worker.unfit:
        _give_all_back(worker)
    else:
        _share(worker, answer)


def _set_clock(worker: Worker, answer: Surveyed) -> None:
    """The database looked at its clock between the question and now; an offset outside these bounds is wrong."""
    lowest, highest = answer.now_at - worker.boot_ms * 1000, answer.now_at - answer.sent_boot_ms * 1000
    known = worker.clock_offset_us
    worker.clock_offset_us = lowest if known is None else min(max(known, lowest), highest)


def _renewed(worker: Worker, answer: Renewed) -> None:
    if answer.error:
        worker.out.append(Alarm(-1, "RENEW_FAILED", answer.error))
        return
    for number, claim in answer.lanes:
        lane = worker.current(number, claim)
        if lane is not None:
            lane.lease_end_boot_ms = max(lane.lease_end_boot_ms, answer.sent_boot_ms + worker.limits.lease_ms)
    for number, claim in answer.lost:
        lane = worker.current(number, claim)
        if lane is not None and lane.phase is not Phase.CLAIMING:
            worker.lose(lane)


def _give_all_back(worker: Worker) -> None:
    """The floor of the state formats is another than ours (rule 25). Only one who slept while it was raised owns lanes
    then; the others wait until an operator raises it."""
    for lane in worker.lanes.values():
        if lane.phase is not Phase.FREE and not lane.draining:
            lane.draining_since_ms = worker.boot_ms


def _share(worker: Worker, answer: Surveyed) -> None:
    """Every worker that counts gets an even share, the first ones one more, of the lanes that those who do not count
    have left. Too many: release. Too few: claim free ones."""
    sharers = tuple(sorted(answer.workers))
    if sharers != worker.sharers:
        worker.sharers, worker.adopted = sharers, {}  # somebody else may take them now
    free = [seen for seen in answer.lanes if _is_free(worker, seen)]
    worker.left_over = {seen.lane: worker.left_over.get(seen.lane, 0) + 1 for seen in free}
    worker.halted = {seen.lane: seen.halted for seen in answer.lanes if seen.halted}
    worker.settled = False
    if worker.token in sharers:
        worker.outdone_since_ms = None
        free = _level(worker, answer, free)
    else:
        _stand_back(worker)
        free.sort(key=lambda seen: seen.token != worker.token)
        free = _nobodys(worker, free, sum(seen.token == worker.token for seen in free))
    if worker.may_decide():
        for seen in free:
            worker.claim(worker.lanes[seen.lane])


def _level(worker: Worker, answer: Surveyed, free: list[LaneSeen]) -> list[LaneSeen]:
    """Release what is above our share, lanes in trouble first; of the free ones, those to be claimed. That somebody is
    above its share means that somebody else who counts is below."""
    sharers, lanes = worker.sharers, worker.limits.lanes
    rank = sharers.index(worker.token)
    shared = lanes - sum(not seen.free and seen.token not in sharers for seen in answer.lanes)
    wanted = shared // len(sharers) + (1 if rank < shared % len(sharers) else 0)
    keeping = [
        lane
        for lane in worker.lanes.values()
        if lane.phase is not Phase.FREE and not lane.draining and worker.boot_ms >= worker.adopted.get(lane.number, 0)
    ]
    for lane in sorted(keeping, key=lambda one: (one.trouble.since_ms is not None, one.number))[wanted:]:
        lane.draining_since_ms = worker.boot_ms
    room = max(0, wanted - len(keeping))
    worker.settled = not room or not free
    start = rank * lanes // len(sharers)
    free.sort(key=lambda seen: (seen.lane - start) % lanes)
    return free[:room] if room else _nobodys(worker, free, 0)


def _stand_back(worker: Worker) -> None:
    """We do not count, but keep what we have: unless nothing is decided here for long, and others could."""
    others = set(worker.sharers) - {worker.token}
    if worker.may_decide() or not others:
        worker.outdone_since_ms = None
    elif worker.outdone_since_ms is None:
        worker.outdone_since_ms = worker.boot_ms
    elif worker.boot_ms - worker.outdone_since_ms >= worker.limits.release_after_ms:
        _give_all_back(worker)


def _nobodys(worker: Worker, free: list[LaneSeen], ours: int) -> list[LaneSeen]:
    """The first `ours`, and one lane that nobody takes: it stays for a while, since whose share it would be has had its
    time to take it."""
    left_over = [seen for seen in free[ours:] if worker.left_over[seen.lane] > LEFT_OVER_SURVEYS][:1]
    for seen in left_over:
        worker.adopted[seen.lane] = worker.boot_ms + worker.limits.release_after_ms
    return free[:ours] + left_over


def _is_free(worker: Worker, seen: LaneSeen) -> bool:
    """Nobody's, or ours by a claim whose answer we never had; and not one that we have just given up."""
    lane = worker.lanes[seen.lane]
    free = seen.free or seen.token == worker.token
    return free and not seen.halted and lane.phase is Phase.FREE and worker.boot_ms >= lane.trouble.shunned_until_ms


def finish_draining(worker: Worker) -> None:
    """Release lanes that have nothing left to finish, or have taken too long over it (rule 21)."""
    for lane in worker.lanes.values():
        if lane.draining and (lane.phase is Phase.BACKOFF or _is_finished(worker, lane)):
            worker.release(lane)


def _is_finished(worker: Worker, lane: Lane) -> bool:
    if lane.phase is not Phase.OPEN or lane.busy or lane.draining_since_ms is None:
        return False
    if worker.boot_ms - lane.draining_since_ms >= worker.limits.drain_ms:
        return True  # what still runs is in `quiet_until`; its result goes to `commands`
    if not lane.published_all or lane.dirty_since_ms is not None or worker.calls.running(lane.number):
        return False
    if any(step == "STARTING" for step in lane.gate.values()) or any(part.sides for part in lane.parts.values()):
        return False
    return not lane.direct or bool(lane.behind) or bool(lane.mending) or not worker.may_decide()
