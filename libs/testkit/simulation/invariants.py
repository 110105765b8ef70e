"""What must be true of every change, looked at as it happens; what must be true at the end is in `ending.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from libs.ledger.protocol import OutRecord, RowChange, TailRecord
from libs.testkit.simulation.broker_client import FETCH_MAX
from libs.testkit.simulation.clock import Violated
from libs.testkit.simulation.database import Row
from libs.testkit.simulation.log import Partition
from libs.testkit.simulation.process import Process
from libs.testkit.simulation.supervisor import LIMITS

if TYPE_CHECKING:
    from libs.testkit.simulation.world import World

QUEUE_MOST = LIMITS["queue_max"] + 2 * FETCH_MAX


class Invariants:
    """All raise Violated. `strict`: tests that break something on purpose turn it off."""

    def __init__(self, world: World) -> None:
        self.world, self.database, self.log, self.cast = world, world.database, world.log, world.cast
        self.strict = True
        self.caused: set[tuple[str, str, int, int, str]] = set()  # what was decided on a record of outsiders

    def published(self, partition: Partition, head: TailRecord) -> bytes:
        """Only what is committed is published. Gives the event's key."""
        name = partition.topic.removeprefix("ledger.")
        outbox = self.database.schemas[name].outbox.get(partition.number, [])
        if head.seq > len(outbox) or outbox[head.seq - 1].hash != head.hash:
            raise Violated(f"published before its commit: {partition.topic}/{partition.number} seq {head.seq}")
        return outbox[head.seq - 1].key

    def committing(self, name: str, row: Row, change: RowChange) -> None:
        """A row is about to change: positions go on, numbers are gapless, nothing is decided twice, caps hold."""
        if not self.strict:
            return
        place = f"{name}/{change.lane}"
        for topic, cursor in change.cursors.items():
            before = row.cursors.get(topic)
            if before is not None and cursor.last_seq < before.last_seq:
                raise Violated(f"{place}: position of {topic} steps back to {cursor.last_seq}")
            self._check_cursor(place, topic, change.lane, cursor)
        for n, record in enumerate(change.records):
            if record.seq != row.out_seq + n + 1:
                raise Violated(f"{place}: seq {record.seq} after {row.out_seq + n}")
            self._check_cause(name, change.lane, record)
        published = change.published
        outbox = self.database.schemas[name].outbox.get(change.lane, [])
        if published.seq and (published.seq > len(outbox) or outbox[published.seq - 1].hash != published.hash):
            raise Violated(f"{place}: the frontier {published.seq} was never decided")
        for _, scope in change.scopes:
            self._check_cap(scope.scope, {s.stripe: s for _, s in change.scopes if s.scope == scope.scope})

    def bounds(self, process: Process) -> None:
        """Invariant 16: everything is bounded."""
        for lane in process.worker.lanes.values():
            records = len(lane.queue) > QUEUE_MOST and any(
                lane.queue.waiting(topic) > QUEUE_MOST for topic in lane.fetch_next
            )
            if records or len(lane.direct) > 100 or len(lane.timers) > 1_200:
                raise Violated(f"{process.name}: queues of lane {lane.number} grow without bound")
            if any(len(part.sides) > 30 for part in lane.parts.values()):
                raise Violated(f"{process.name}: forwards of lane {lane.number} grow without bound")

    def _check_cursor(self, place: str, topic: str, lane: int, cursor: Any) -> None:
        anchor = cursor.anchor
        if anchor is not None and anchor.seq > cursor.last_seq:
            raise Violated(f"{place}: anchor {anchor.seq} of {topic} is beyond {cursor.last_seq}")
        if not topic.startswith("ledger.") or cursor.last_seq == 0:
            return
        partition = self.log.partition(topic, lane)
        if anchor is not None and partition.first.get(anchor.seq) != anchor.hash:
            raise Violated(f"{place}: the anchor of {topic} was never on the log")
        if self.world.supervisor.shape == "separate" and partition.first.get(cursor.last_seq) != cursor.last_hash:
            raise Violated(f"{place}: applied seq {cursor.last_seq} of {topic}, which was never on the log")

    def _check_cause(self, name: str, lane: int, record: OutRecord) -> None:
        fact = self.cast.decode(f"ledger.{name}", record.value)
        cause = fact.envelope.cause
        if cause.topic in ("intents", "intake.home", "commands"):
            mark = (name, cause.topic, lane, cause.position, type(fact.body).__name__)
            if mark in self.caused:
                raise Violated(f"{name}: {cause.topic}/{cause.position} was decided twice")
            self.caused.add(mark)

    def _check_cap(self, scope: str, new: dict[int, Any]) -> None:
        rows = {s: r for (name, s), r in self.database.schemas["budget"].scopes.items() if name == scope} | new
        if sum(r.pending_micros + r.posted_micros for r in rows.values()) > self.cast.hard_micros(scope):
            raise Violated(f"{scope}: the hard cap is exceeded")
