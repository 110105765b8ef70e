"""Reading the log: following the partitions of owned lanes, and looking at anchors, tails and limits at a claim."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import CorruptRecordException, KafkaError, OffsetOutOfRangeError

from libs.ledger.chain import event_hash
from libs.ledger.codec import CodecError, frame
from libs.ledger.database import DATABASE_FAILED
from libs.ledger.fitness import TopicUnfit, check_partitions, limit, remedy
from libs.ledger.hosted import Hosted
from libs.ledger.protocol import Check, Checked, FetchFailed, Follow, OutRecord, Records, TailRecord
from libs.ledger.records import from_log
from libs.ledger.rights import unwritable
from libs.runtime import kafka
from libs.runtime.logs import logger
from libs.runtime.settings import KafkaSettings, StartRefused

POLL_MS = 100
FETCH_WAIT_MS = 250  # the broker waits so long for something new: an idle process asks it four times a second
FETCH_RECORDS_MAX = 2_000
LIMITS_KEPT_MS = 60_000
Kept = Callable[[str, int, int], Awaitable[Mapping[int, OutRecord]]]
AWAY = (KafkaError, StartRefused, OSError, TimeoutError)


class Follower:
    """One consumer with partitions assigned by hand. Only its own loop touches it."""

    def __init__(
        self,
        settings: KafkaSettings,
        name: str,
        paused: Callable[[], set[tuple[str, int]]],
        pace_ms: int = 0,  # rest so long after each look: few large batches instead of many small ones
    ) -> None:
        self._settings, self._name, self._paused, self._pace_s = settings, name, paused, pace_ms / 1000
        self.post: Callable[[Any], None] = lambda answer: None  # set by the shell
        self._wanted: Mapping[tuple[str, int], tuple[int, int | None]] = {}
        self._next: dict[TopicPartition, tuple[int, int | None]] = {}  # claim, next offset
        self._changed = asyncio.Event()
        self.lag = 0
        self._log = logger(__name__)

    def follow(self, action: Follow) -> None:
        """From now on read exactly these partitions."""
        self._wanted = action.positions
        self._changed.set()

    async def run(self) -> None:
        """Read for ever; a client that failed is replaced, positions are ours and survive it."""
        client: Any = None
        while True:
            try:
                if client is None:
                    client = kafka.consumer(
                        self._settings, self._name, fetch_max_wait_ms=FETCH_WAIT_MS, max_partition_fetch_bytes=1 << 20
                    )
                    await kafka.start(client, self._settings)
                    self._changed.set()
                await self._read(client)
            except (Exception, asyncio.CancelledError) as error:
                if client is not None:
                    await kafka.stop(client)
                client = None
                task = asyncio.current_task()
                if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                    raise  # by us; the library also cancels itself at times, when a broker goes away
                if not isinstance(error, (*AWAY, asyncio.CancelledError)):
                    self._log.exception("reading failed in a way nobody foresaw; it goes on with a new client")
                await asyncio.sleep(0.5)

    async def _read(self, client: Any) -> None:
        while True:
            if self._changed.is_set():
                self._changed.clear()
                await self._assign(client)
            if not self._next:
                await self._changed.wait()
                continue
            self._pause(client)
            try:
                batches = await client.getmany(timeout_ms=POLL_MS, max_records=FETCH_RECORDS_MAX)
            except (OffsetOutOfRangeError, CorruptRecordException) as error:
                if not self._failed(error):
                    raise
                continue
            for place, records in batches.items():
                self._deliver(place, records)
            self.lag = sum(max(0, (client.highwater(tp) or 0) - (at[1] or 0)) for tp, at in self._next.items())
            if self._pace_s:
                await asyncio.sleep(self._pace_s)

    async def _assign(self, client: Any) -> None:
        """`assign` forgets positions: seek all of them again, from memory (rule 7)."""
        keep = self._next
        self._next = {}
        for (topic, lane), (claim, offset) in self._wanted.items():
            place = TopicPartition(topic, lane)
            known = keep.get(place)
            self._next[place] = known if known is not None and known[0] == claim else (claim, offset)
        client.assign(list(self._next))
        fresh = [place for place, (_, offset) in self._next.items() if offset is None]
        starts = await client.beginning_offsets(fresh) if fresh else {}
        for place, (claim, offset) in list(self._next.items()):
            at = starts[place] if offset is None else offset
            self._next[place] = (claim, at)
            client.seek(place, at)

    def _deliver(self, place: TopicPartition, records: Any) -> None:
        if place not in self._next or not records:
            return
        claim, _ = self._next[place]
        self._next[place] = (claim, records[-1].offset + 1)
        self.post(Records(place.topic, place.partition, claim, tuple(map(from_log, records))))

    def _pause(self, client: Any) -> None:
        wanted = {TopicPartition(*place) for place in self._paused()} & set(self._next)
        now = client.paused()
        if wanted - now:
            client.pause(*(wanted - now))
        if now - wanted:
            client.resume(*(now - wanted))

    def _failed(self, error: OffsetOutOfRangeError | CorruptRecordException) -> bool:
        """Something about single partitions: their lanes alone back off. False: nobody knows which they are."""
        if isinstance(error, OffsetOutOfRangeError):
            why, places = "is not in the log any more", list(error.args[0])
        else:
            why, places = "comes damaged", [place for place in self._next if str(error).endswith(str(place))]
        for place in places:
            found = self._next.pop(place, None)
            if found is not None:
                self.post(FetchFailed(place.partition, found[0], f"{place.topic}: offset {found[1]} {why}"))
        self._changed.set()
        return bool(places)


class Checker:
    """The looks at a claim (rules 9, 10, 15), on a consumer and an admin client of its own."""

    def __init__(self, settings: KafkaSettings, name: str, hosted: Hosted, kept: Kept, lanes: int = 0) -> None:
        self._settings, self._name, self._hosted, self._kept = settings, name, hosted, kept
        self._lanes = lanes  # partitions that each topic must have; 0 = any number
        self._client: Any = None
        self._busy = asyncio.Lock()
        self._limits: dict[str, int] = {}
        self._limits_until = 0.0

    async def check(self, action: Check) -> Checked:
        """Read what the log holds at the anchors and from the frontiers on."""
        async with self._busy:
            try:
                seconds = self._settings.kafka_timeout_ms / 1000 * (6 if action.full else 1)
                return await kafka.within(self._check(action), seconds)
            except NotWritable as error:
                return Checked(action.lane, action.claim, {}, {}, {}, {}, unwritable=error.topics)
            except (*AWAY, *DATABASE_FAILED, TopicUnfit) as error:
                await self._drop()
                return Checked(action.lane, action.claim, {}, {}, {}, {}, f"{type(error).__name__}: {error}")

    async def close(self) -> None:
        """Stop the client."""
        await self._drop()

    async def _check(self, action: Check) -> Checked:
        limits = await self._topic_limits()
        client = await self._started()
        lane, anchors, tails, kept = action.lane, {}, {}, {}
        topics = {s.writes for s in self._hosted.services if s.writes} | set(self._hosted.readers)
        places = [TopicPartition(topic, lane) for topic in topics]
        client.assign(places)
        starts, ends = await client.beginning_offsets(places), await client.end_offsets(places)
        for service in self._hosted.services:
            row = action.rows[service.name]
            for topic in service.reads + service.commands:
                place, cursor = TopicPartition(topic, lane), row.cursors.get(topic)
                digest = None
                if cursor is not None and cursor.anchor is not None and topic not in self._hosted.written:
                    value = await _one(client, place, cursor.anchor.offset, starts[place], ends[place], places)
                    digest = None if value is None else event_hash(value)
                name = f"{service.name}/{topic}"
                anchors[name] = (digest, starts[place])
                if name in action.full:
                    tails[name] = await _tail(client, place, starts[place], ends[place], places)
            if service.writes is not None:
                place = TopicPartition(service.writes, lane)
                full = service.name in action.full
                start = starts[place] if full or row.published.seq == 0 else row.published.offset
                tails[service.name] = await _tail(client, place, max(start, starts[place]), ends[place], places)
                lowest = min((t.seq for t in tails[service.name]), default=row.published.seq + 1)
                kept[service.name] = await self._kept(service.name, lane, 1 if full else lowest)
        return Checked(lane, action.claim, anchors, tails, kept, limits)

    async def _started(self) -> Any:
        if self._client is None:
            self._client = kafka.consumer(self._settings, f"{self._name}/check", fetch_max_wait_ms=POLL_MS)
            await kafka.start(self._client, self._settings)
        return self._client

    async def _drop(self) -> None:
        if self._client is not None:
            client, self._client = self._client, None
            await kafka.stop(client, 1.0)

    async def _topic_limits(self) -> dict[str, int]:
        """Largest value per topic; refuses outputs that we may not write to, and topics that are missing or not as
        they must be. What was found good is believed for a while; a right taken away since then, the publish finds."""
        loop = asyncio.get_running_loop()
        if self._limits and loop.time() < self._limits_until:
            return self._limits
        outputs = self._hosted.written
        topics = sorted(outputs | set(self._hosted.readers))
        admin = AIOKafkaAdminClient(client_id=f"{self._name}/admin", **kafka.connection(self._settings))
        try:
            await admin.start()
            if barred := await unwritable(admin, sorted(outputs)):
                raise NotWritable(barred)
            asked = [ConfigResource(ConfigResourceType.TOPIC, topic) for topic in topics]
            limits: dict[str, int] = {}
            for answer in await admin.describe_configs(asked):
                for code, text, _, topic, entries in answer.resources:
                    if code:
                        raise TopicUnfit(f"topic {topic} cannot be described ({text or code}); {remedy(code)}")
                    chained = topic in outputs or topic in self._hosted.chained
                    limits[topic] = limit(topic, {entry[0]: entry[1] for entry in entries}, chained)
            if self._lanes:
                await check_partitions(admin, topics, self._lanes)
        finally:
            await admin.close()
        self._limits, self._limits_until = limits, loop.time() + LIMITS_KEPT_MS / 1000
        return limits


class NotWritable(Exception):
    """These outputs would refuse what we decide."""

    def __init__(self, topics: tuple[str, ...]) -> None:
        super().__init__(", ".join(topics))
        self.topics = topics


async def _one(
    client: Any, place: TopicPartition, offset: int, start: int, end: int, places: list[TopicPartition]
) -> bytes | None:
    if not start <= offset < end:
        return None
    found = await _span(client, place, offset, offset + 1, places)
    return found[0].value if found and found[0].offset == offset else None


async def _tail(
    client: Any, place: TopicPartition, start: int, end: int, places: list[TopicPartition]
) -> list[TailRecord]:
    tail: list[TailRecord] = []
    for record in await _span(client, place, start, end, places):
        try:
            _, seq, prev_hash = frame(record.value or b"")
        except CodecError:
            seq, prev_hash = 1 << 62, b""  # not an event of ours: the check finds a foreign writer
        tail.append(TailRecord(record.offset, seq, prev_hash, event_hash(record.value or b"")))
    return tail


async def _span(client: Any, place: TopicPartition, start: int, end: int, places: list[TopicPartition]) -> list[Any]:
    """Records of one partition from `start` up to, not including, `end`."""
    if start >= end:
        return []
    others = [other for other in places if other != place]
    if others:
        client.pause(*others)
    client.resume(place)
    client.seek(place, start)
    found: list[Any] = []
    while not found or found[-1].offset + 1 < end:
        batch = (await client.getmany(place, timeout_ms=POLL_MS)).get(place, [])
        found.extend(record for record in batch if start <= record.offset < end)
        if batch and batch[-1].offset + 1 >= end:
            break
    return found
