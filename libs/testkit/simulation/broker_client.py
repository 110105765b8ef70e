"""How a simulated process publishes to the broker, reads from it and looks at its log."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from libs.ledger.hosted import Hosted
from libs.ledger.protocol import (
    Acked,
    Check,
    Checked,
    FetchFailed,
    Follow,
    LateSent,
    OutRecord,
    Publish,
    PublishFailed,
    PublishSide,
    Records,
    SendLate,
    SidesAcked,
    TailRecord,
)
from libs.ledger.records import late_result

if TYPE_CHECKING:
    from libs.testkit.simulation.process import Process

POLL_MS = 15.0
FETCH_MAX = 4


class Producer:
    """An idempotent producer: the broker knows it where it has written, until that tail is lost."""

    def __init__(self) -> None:
        self.wrote: dict[tuple[str, int], int] = {}


class BrokerClient:
    """Producers and readers of one process. `limits` says the largest value of each output."""

    def __init__(self, process: Process) -> None:
        self.process, self.world, self.clock, self.worker = process, process.world, process.clock, process.worker
        self.follows: dict[tuple[str, int], tuple[int, int]] = {}
        self._fetching: set[tuple[str, int]] = set()
        self._appending: set[tuple[str, int, object]] = set()
        self._producer = Producer()
        self._own_producers: dict[int, Producer] = {}

    def drop_producer(self) -> None:
        """The next batch has another one."""
        self._producer = Producer()

    def renew_producers(self) -> None:
        """The broker takes its producers for new ones."""
        for producer in (self._producer, *self._own_producers.values()):
            producer.wrote.clear()

    def publish(self, action: Publish) -> None:
        """One batch of an output, perhaps in two parts; no other of this producer is under way there."""
        partition = self.world.log.partition(action.topic, action.lane)
        producer = self._own_producers.setdefault(action.lane, Producer()) if action.own_producer else self._producer
        mark = (action.topic, action.lane, producer)
        assert mark not in self._appending, "two batches un-acked in one partition"
        self._appending.add(mark)
        place, first = (action.topic, action.lane), -1
        generation = producer.wrote.get(place, partition.generation)
        chunks = self._chunks(action.records)

        def fail(text: str = "no ack in time") -> None:
            self._own_producers.pop(action.lane, None)
            self.process.take(PublishFailed(action.lane, action.claim, action.service, text))

        def serve(chunk: Any) -> int:
            if partition.generation != generation:
                return -1  # the broker no longer knows what this producer sent before
            producer.wrote[place] = generation
            self.clock.note(f"{action.topic}/{action.lane} gets {[r.seq for r in chunk]} of {self.process.name}")
            return self.world.log.append(action.topic, action.lane, [(r.key, r.value) for r in chunk])

        def acked(start: int, chunk: Any) -> None:
            nonlocal first
            if start < 0:
                fail("out of order sequence")
                return
            first = start if first < 0 else first
            if chunks and self.process.alive:
                send()
                return
            self._appending.discard(mark)
            end = action.records[-1]
            offset = start + len(chunk) - 1
            self.process.take(Acked(action.lane, action.claim, action.service, first, offset, end.seq, end.hash))

        def send() -> None:
            chunk = chunks.pop(0)
            self.world.network.ask(
                "broker", self.world.timeout_ms, lambda: serve(chunk), lambda start: acked(start, chunk), fail
            )

        send()

    def publish_sides(self, action: PublishSide) -> None:
        """Forwards and dead letters."""

        def serve() -> list[int]:
            for record in action.records:
                self.world.log.append(record.topic, record.partition, [(record.key, record.value)])
            return [record.id for record in action.records]

        def answer(ids: list[int], error: str = "") -> None:
            self.process.take(SidesAcked(action.lane, action.claim, action.service, ids, error))

        self.world.network.ask("broker", self.world.timeout_ms, serve, answer, lambda: answer([], "no ack in time"))

    def check(self, action: Check) -> None:
        """What stands at the anchors of a lane, and at the ends of its outputs."""

        def serve() -> Checked:
            anchors: dict[str, tuple[bytes | None, int]] = {}
            tails: dict[str, list[TailRecord]] = {}
            kept = {}
            log, hosted = self.world.log, self.worker.hosted
            if barred := sorted(self.world.barred & hosted.written):
                return Checked(action.lane, action.claim, {}, {}, {}, {}, unwritable=barred)
            for service in hosted.services:
                row = action.rows[service.name]
                for topic in service.reads + service.commands:
                    partition, anchor = log.partition(topic, action.lane), row.cursors.get(topic)
                    place = f"{service.name}/{topic}"
                    digest = None
                    if (
                        anchor is not None
                        and anchor.anchor is not None
                        and anchor.anchor.offset < len(partition.records)
                    ):
                        digest = hashlib.sha256(partition.records[anchor.anchor.offset].value).digest()
                    anchors[place] = (digest, 0)
                    if place in action.full:
                        tails[place] = list(partition.heads)
                if service.writes is not None:
                    heads = log.partition(service.writes, action.lane).heads
                    whole = service.name in action.full or row.published.seq == 0
                    tails[service.name] = list(heads if whole else heads[row.published.offset :])
                    kept[service.name] = self.world.database.kept(service.name, action.lane)
            return Checked(action.lane, action.claim, anchors, tails, kept, self.limits(hosted))

        def away() -> None:
            self.process.take(Checked(action.lane, action.claim, {}, {}, {}, {}, "the broker does not answer"))

        self.world.network.ask("broker", self.world.timeout_ms, serve, self.process.take, away)

    def send_late(self, action: SendLate) -> None:
        """A result that its lane's owner is to record."""
        value = self.world.cast.message(late_result(action.result, self.clock.now_at))

        def serve() -> bool:
            self.world.log.append("commands", action.lane, [(action.result.key, value)])
            return True

        def answer(ok: bool) -> None:
            self.process.take(LateSent(action.lane, action.result, ok))

        self.world.network.ask("broker", self.world.timeout_ms, serve, answer, lambda: answer(False))

    def follow(self, action: Follow) -> None:
        """Read these partitions from now on, and no others."""
        self.follows = {place: (claim, at or 0) for place, (claim, at) in action.positions.items()}
        for place in self.follows:
            self._poll(place)

    def poll(self, topic: str, number: int) -> None:
        """Something was appended."""
        if (topic, number) in self.follows:
            self._poll((topic, number))

    def _poll(self, place: tuple[str, int]) -> None:
        if self.process.alive and place not in self._fetching:
            self._fetching.add(place)
            self.clock.after(self.world.network.delay(), lambda: self._fetch(place))

    def _fetch(self, place: tuple[str, int]) -> None:
        self._fetching.discard(place)
        if not self.process.alive or place not in self.follows:
            return
        if (
            self.process.paused
            or place in self.worker.paused()
            or self.clock.now_ms < self.world.network.away_until["broker"]
        ):
            self._fetching.add(place)
            self.clock.after(POLL_MS, lambda: self._fetch(place))
            return
        claim, at = self.follows[place]
        records = self.world.log.partition(*place).records
        if at > len(records):
            del self.follows[place]
            self.process.take(FetchFailed(place[1], claim, f"{place[0]}: offset {at} is not in the log any more"))
        elif at < len(records):
            found = tuple(records[at : at + FETCH_MAX])
            self.follows[place] = (claim, at + len(found))
            self.process.take(Records(place[0], place[1], claim, found))
            self._poll(place)

    def limits(self, hosted: Hosted) -> dict[str, int]:
        """The largest value of each output."""
        return dict.fromkeys(hosted.written, 1 << 20)

    def _chunks(self, records: Sequence[OutRecord]) -> list[Sequence[OutRecord]]:
        """A publish that is larger than one batch is split."""
        if len(records) < 2 or not self.clock.chance(0.1):
            return [records]
        cut = self.clock.random.randrange(1, len(records))
        return [records[:cut], records[cut:]]
