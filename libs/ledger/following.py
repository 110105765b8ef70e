"""Which partitions are read, from where on, and which not for now (lane_rules 7, 22)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from libs.ledger.lane import Phase
from libs.ledger.protocol import ControlSeen, FetchFailed, Follow, Records

if TYPE_CHECKING:
    from libs.ledger.worker import Worker


def follow(worker: Worker) -> None:
    """Say what is to be read, whenever that changes: all of it, since the client forgets positions."""
    reading = [
        lane
        for lane in worker.lanes.values()
        if lane.phase is Phase.OPEN and lane.draining_since_ms is None and not lane.mending
    ]
    what = {lane.number: (lane.claim, lane.behind) for lane in reading}
    if what != worker.following:
        worker.following = what
        worker.out.append(
            Follow(
                {
                    (topic, lane.number): (lane.claim, at)
                    for lane in reading
                    for topic, at in lane.positions(worker.hosted).items()
                }
            )
        )


def paused(worker: Worker) -> set[tuple[str, int]]:
    """Partitions that must not be fetched now: enough of them waits."""
    most, bytes_most = worker.limits.queue_max, worker.limits.queue_bytes_max
    return {
        (topic, lane.number)
        for lane in worker.lanes.values()
        if len(lane.queue)
        for topic in lane.fetch_next
        if lane.queue.waiting(topic) >= most or lane.queue.size(topic) >= bytes_most
    }


def on_records(worker: Worker, answer: Records) -> None:
    """Records have come; those that were fetched twice are dropped."""
    lane = worker.current(answer.lane, answer.claim)
    if lane is None or lane.phase is not Phase.OPEN:
        return
    at = lane.fetch_next.get(answer.topic)
    new = [record for record in answer.records if at is None or record.offset >= at]
    if new:
        lane.queue.extend(answer.topic, new)
        lane.fetch_next[answer.topic] = new[-1].offset + 1
        lane.last_seen[answer.topic] = new[-1]


def on_fetch_failed(worker: Worker, answer: FetchFailed) -> None:
    """The log is shorter than our position: the checks of a new claim find out why."""
    lane = worker.current(answer.lane, answer.claim)
    if lane is not None and lane.phase is Phase.OPEN:
        worker.fail(lane, "FETCH_FAILED", answer.text)


def on_control(worker: Worker, answer: ControlSeen) -> None:
    """The control view moved or was confirmed: work that waits for a switch is looked at again."""
    if worker.control is not None and answer.view.seq < worker.control.seq:
        return  # what is in force never steps back
    was_stale = not worker.may_decide()
    changed = worker.control is None or answer.view.seq != worker.control.seq or was_stale
    worker.control, worker.control_confirmed_ms = answer.view, answer.confirmed_ms
    if was_stale and worker.may_decide():
        _is_back(worker)
    if changed and worker.may_decide():
        for lane in worker.lanes.values():
            if lane.phase is Phase.OPEN:
                lane.wake_ready(worker.hosted)


def _is_back(worker: Worker) -> None:
    """The log answers us again after a while: whatever we gave up because it did not is worth another try, and the
    others are told at once that we count again."""
    worker.failing, worker.next_survey_ms = False, worker.boot_ms
    for lane in worker.lanes.values():
        lane.trouble.shunned_until_ms = lane.trouble.shuns = 0
