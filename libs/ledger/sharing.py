"""Who owns which lane: announce, renew, share out evenly, hand over politely (lane_rules 1, 3, 21)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from libs.ledger.lane import Lane, Phase
from libs.ledger.protocol import Alarm, Release, Renew, Renewed, Survey, Surveyed

if TYPE_CHECKING:
    from libs.ledger.worker import Worker


def on_time(worker: Worker) -> None:
    """Renewals and surveys, each on its own beat and never two at once."""
    if not worker.surveying and worker.boot_ms >= worker.next_survey_ms:
        worker.surveying = True
        worker.next_survey_ms = worker.boot_ms + worker.limits.survey_ms
        worker.out.append(Survey())
    if not worker.renewing and worker.boot_ms >= worker.next_renew_ms:
        worker.next_renew_ms = worker.boot_ms + worker.limits.lease_ms // 4
        lanes = [(lane.number, lane.claim, lane.epoch) for lane in worker.lanes.values() if lane.owned]
        if lanes:
            worker.renewing = True
            worker.out.append(Renew(lanes))


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
    offset = answer.now_at - worker.boot_ms * 1000
    # Of several measurements the largest is the nearest to the truth (the answer's way only makes it smaller);
    # a clock that was set back is followed slowly.
    known = worker.clock_offset_us
    worker.clock_offset_us = offset if known is None or offset > known else known - min(known - offset, 1_000)
    if not worker.stopping:
        _share(worker, answer)


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


def _share(worker: Worker, answer: Surveyed) -> None:
    """Every live worker gets lanes // workers, the first ones one more. Too many: release. Too few: claim free ones."""
    workers = sorted(answer.workers)
    if worker.token not in workers:
        return
    rank = workers.index(worker.token)
    wanted = worker.limits.lanes // len(workers) + (1 if rank < worker.limits.lanes % len(workers) else 0)
    mine = [lane for lane in worker.lanes.values() if lane.phase is not Phase.FREE]
    keeping = [lane for lane in mine if not lane.draining]
    for lane in sorted(keeping, key=lambda one: one.number)[wanted:]:
        lane.draining = True
    if worker.needs_control and worker.control is None:
        return
    room = wanted - len(keeping)
    worker.halted = {seen.lane: seen.halted for seen in answer.lanes if seen.halted}
    worker.settled = room <= 0 or not any(seen.free and not seen.halted for seen in answer.lanes)
    free = [seen for seen in answer.lanes if seen.free and not seen.halted]
    start = rank * worker.limits.lanes // len(workers)
    for seen in sorted(free, key=lambda s: (s.lane - start) % worker.limits.lanes)[: max(0, room)]:
        lane = worker.lanes[seen.lane]
        if lane.phase is Phase.FREE:
            worker.claim(lane)


def finish_draining(worker: Worker) -> None:
    """Release lanes that have nothing left to finish (rule 21)."""
    for lane in worker.lanes.values():
        if lane.draining and _is_finished(worker, lane):
            lane.phase = Phase.RELEASING
            quiet = worker.gate.quiet_until(lane.number)
            worker.out.append(Release(lane.number, lane.claim, lane.epoch, quiet))
        elif lane.draining and lane.phase is Phase.BACKOFF:
            lane.phase = Phase.RELEASING
            quiet = worker.gate.quiet_until(lane.number)
            worker.out.append(Release(lane.number, lane.claim, lane.epoch, quiet))


def _is_finished(worker: Worker, lane: Lane) -> bool:
    if lane.phase is not Phase.OPEN or lane.busy or not lane.published_all or lane.dirty_since_ms is not None:
        return False
    pending = any(step == "STARTING" for step in lane.gate.values())
    return not pending and worker.gate.running(lane.number) == 0 and not lane.direct
