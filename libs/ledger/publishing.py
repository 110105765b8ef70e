"""What leaves the process after a commit (lane_rules 11, 13, 14): stored events in order, one un-acked batch per
partition; forwards and dead letters beside them, at least once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from libs.ledger.lane import Lane, Part, Phase
from libs.ledger.protocol import (
    Acked,
    Alarm,
    DropProducer,
    Publish,
    Published,
    PublishFailed,
    PublishSide,
    SidesAcked,
)

if TYPE_CHECKING:
    from libs.ledger.worker import Worker

SIDES_AGAIN_MS = 2_000
DEAD_EVERY_MS = 250
OWN_PRODUCER_FROM = 2  # failures in a row, after which a lane cannot be allowed to disturb the others


def publish(worker: Worker, lane: Lane, part: Part) -> None:
    """Stored bytes, in order, from the frontier on. What an earlier claim of ours has under way in the partition is
    waited for: there is never more than one un-acked batch in it (rule 13)."""
    topic = part.service.writes
    assert topic is not None
    place = (lane.number, part.service.name)
    part.publish_waits = place in worker.appending
    if part.publish_waits:
        return
    own = lane.trouble.failures >= OWN_PRODUCER_FROM
    worker.appending[place] = None if own else worker.producer
    worker.out.append(Publish(lane.number, lane.claim, part.service.name, topic, tuple(part.unacked), own))


def send_sides(worker: Worker, lane: Lane, part: Part) -> None:
    """Publish what is not yet on the log of forwards and dead letters, unless that is under way."""
    if part.sides_under_way or worker.boot_ms < part.sides_retry_ms or _may_wait(worker, lane, part):
        return
    part.sides_under_way, part.sides_sent_ms = True, worker.boot_ms
    worker.out.append(PublishSide(lane.number, lane.claim, part.service.name, tuple(part.sides.values())))


def _may_wait(worker: Worker, lane: Lane, part: Part) -> bool:
    """Dead letters are for people: some times a second is soon enough for them, and costs much less than one by one.
    A forward is an intent under way."""
    soon = part.sides_sent_ms is None or worker.boot_ms >= part.sides_sent_ms + DEAD_EVERY_MS
    if soon or lane.draining_since_ms is not None or len(part.sides) >= worker.limits.sides_max // 2:
        return False
    return all(side.topic.startswith("dead.") for side in part.sides.values())


def on_time(worker: Worker, lane: Lane) -> None:
    """Send what waited, and again what could not be sent."""
    if lane.phase is Phase.OPEN:
        for part in lane.parts.values():
            if part.sides:
                send_sides(worker, lane, part)


def on_answer(worker: Worker, answer: Acked | PublishFailed | SidesAcked) -> None:
    """What became of it."""
    if not isinstance(answer, SidesAcked):
        producer = worker.appending.pop((answer.lane, answer.service), None)
        if isinstance(answer, PublishFailed) and producer == worker.producer:
            worker.producer += 1  # thrown away once, for all lanes that fail with it, whatever claim they have now
            worker.out.append(DropProducer())
        _publish_waiting(worker, worker.lanes[answer.lane], answer.service)
    lane = worker.current(answer.lane, answer.claim)
    if lane is None or lane.phase is not Phase.OPEN:
        return
    part = lane.parts[answer.service]
    match answer:
        case SidesAcked():
            _sides(worker, lane, part, answer)
        case PublishFailed():
            worker.fail(lane, "PUBLISH_FAILED", f"{answer.service}: {answer.text}")
        case Acked():
            _acked(worker, lane, part, answer)


def _publish_waiting(worker: Worker, lane: Lane, name: str) -> None:
    part = lane.parts.get(name)
    if part is not None and lane.phase is Phase.OPEN and part.publish_waits:
        publish(worker, lane, part)


def _acked(worker: Worker, lane: Lane, part: Part, answer: Acked) -> None:
    """Own acks, and nothing else, move the frontier (rule 14)."""
    if answer.first_offset <= lane.highest_offset.get(answer.service, -1):
        worker.fail(lane, "TAIL_LOST", f"{answer.service}: acked at offset {answer.first_offset}, seen beyond it")
        return
    lane.highest_offset[answer.service] = answer.offset
    part.published = Published(answer.offset, answer.seq, answer.hash)
    part.unacked = ()
    lane.dirty_since_ms = worker.boot_ms if lane.dirty_since_ms is None else lane.dirty_since_ms
    if lane.published_all:
        lane.has_published(acked=True)
        worker.failing = False


def _sides(worker: Worker, lane: Lane, part: Part, answer: SidesAcked) -> None:
    part.sides_under_way = False
    done = [number for number in answer.ids if part.sides.pop(number, None) is not None]
    part.sides_done.extend(done)
    if done and lane.dirty_since_ms is None:
        lane.dirty_since_ms = worker.boot_ms
    if answer.error:
        part.sides_retry_ms = worker.boot_ms + SIDES_AGAIN_MS
        worker.out.append(Alarm(lane.number, "SIDE_FAILED", answer.error))
    elif part.sides:
        send_sides(worker, lane, part)
