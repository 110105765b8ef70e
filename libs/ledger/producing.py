"""Appending to the log: one idempotent producer for all lanes of a worker, one un-acked batch per partition, a deadline
on every send (lane_rules 13). After any error the producer is thrown away; nothing it holds can be trusted."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

from aiokafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError

from libs.ledger.protocol import Acked, OutRecord, Publish, PublishFailed, PublishSide, SideRecord, SidesAcked
from libs.ledger.records import shorter
from libs.runtime import kafka
from libs.runtime.settings import KafkaSettings, StartRefused

BATCH_BYTES_MAX = kafka.REQUEST_BYTES_MAX - 4_096
RECORD_OVERHEAD = 64
SIDES, LATE = -1, -2  # producers of what is not chained: what one cannot send must disturb no lane, and not the other
TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)
FAILURES = (KafkaError, StartRefused, OSError, TimeoutError, asyncio.CancelledError, AssertionError)


class Appender:
    """The producers of one worker process."""

    def __init__(self, settings: KafkaSettings, name: str) -> None:
        self._settings, self._name = settings, name
        self._shared: asyncio.Task[Any] | None = None
        self._own: dict[int, asyncio.Task[Any]] = {}
        self._leaving: set[asyncio.Task[None]] = set()

    async def publish(self, action: Publish) -> Acked | PublishFailed:
        """Append stored bytes in order. Anything but all acks in time counts as failed: what landed is unknown."""
        first, last = -1, -1
        try:
            async with asyncio.timeout(self._settings.kafka_timeout_ms / 1000):
                producer = await self._producer(action.lane if action.own_producer else None)
                for chunk in _chunks(action.records):
                    batch = producer.create_batch()
                    for record in chunk:
                        if batch.append(key=record.key, value=record.value, timestamp=None) is None:
                            return self._failed(action, f"seq {record.seq} does not fit into a batch")
                    acked = await (await producer.send_batch(batch, action.topic, partition=action.lane))
                    first = acked.offset if first < 0 else first
                    last = acked.offset + len(chunk) - 1
        except FAILURES as error:
            if _by_us(error):
                raise
            return self._failed(action, f"{type(error).__name__}: {error}")
        end = action.records[-1]
        return Acked(action.lane, action.claim, action.service, first, last, end.seq, end.hash)

    def _failed(self, action: Publish, text: str) -> PublishFailed:
        if action.own_producer:
            self._drop_own(action.lane)
        return PublishFailed(action.lane, action.claim, action.service, text)

    def _drop_own(self, name: int) -> None:
        if (task := self._own.pop(name, None)) is not None:
            self._leave(task)

    async def publish_sides(self, action: PublishSide) -> SidesAcked:
        """Append forwards and dead letters, at least once, each by itself: one that no topic takes keeps no other. A
        dead letter that is too large for its topic is sent with less of its record: it would be for ever."""
        done: list[int] = []
        errors: list[str] = []
        again: list[SideRecord] = []

        async def one(producer: Any, record: SideRecord) -> None:
            try:
                await producer.send_and_wait(
                    record.topic, record.value, key=record.key or None, partition=record.partition
                )
                done.append(record.id)
            except FAILURES as cause:
                if _by_us(cause):
                    raise
                less = shorter(record.topic, record.value) if isinstance(cause, TOO_LARGE) else None
                if less is None:
                    errors.append(f"{record.topic}: {type(cause).__name__}: {cause}")
                else:
                    again.append(SideRecord(record.id, record.topic, record.partition, record.key, less))

        async def each(records: Sequence[SideRecord]) -> None:
            producer = await self._producer(SIDES)
            await asyncio.gather(*(one(producer, record) for record in records))

        try:
            async with asyncio.timeout(self._settings.kafka_timeout_ms / 1000):
                await each(action.records)
                if again:
                    self._drop_own(SIDES)
                    await each(tuple(again))
        except FAILURES as cause:
            if _by_us(cause):
                raise
            errors.append(f"{type(cause).__name__}: {cause}")
        if errors:
            self._drop_own(SIDES)
        return SidesAcked(action.lane, action.claim, action.service, sorted(done), "; ".join(errors[:3]))

    async def send(self, topic: str, partition: int, key: bytes, value: bytes) -> str:
        """Append one record and wait for its ack, within the limit: '' when it is there, else why that is not known."""
        try:
            async with asyncio.timeout(self._settings.kafka_timeout_ms / 1000):
                producer = await self._producer(LATE)
                await producer.send_and_wait(topic, value, key=key, partition=partition)
        except FAILURES as error:
            if _by_us(error):
                raise
            self._drop_own(LATE)
            return f"{type(error).__name__}: {error}"
        return ""

    def drop(self) -> None:
        """Throw the shared producer away; the next publish makes a new one."""
        if self._shared is not None:
            self._leave(self._shared)
            self._shared = None

    async def close(self) -> None:
        """Stop all producers."""
        self.drop()
        for task in self._own.values():
            self._leave(task)
        if self._leaving:
            await asyncio.wait(self._leaving, timeout=5)

    async def _producer(self, lane: int | None) -> Any:
        task = self._shared if lane is None else self._own.get(lane)
        if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
            task = asyncio.create_task(self._start(lane))
            if lane is None:
                self._shared = task
            else:
                self._own[lane] = task
        return await asyncio.shield(task)

    async def _start(self, lane: int | None) -> Any:
        client = kafka.producer(self._settings, self._name if lane is None else f"{self._name}/{lane}", linger_ms=0)
        await kafka.start(client, self._settings)
        return client

    def _leave(self, starting: asyncio.Task[Any]) -> None:
        async def end() -> None:
            try:
                await kafka.stop(await starting, 2.0)
            except FAILURES:
                return

        task = asyncio.create_task(end())
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)


def _by_us(error: BaseException) -> bool:
    """Is it a cancellation that we asked for? The library also cancels itself at times, when a broker goes away."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0


def _chunks(records: Sequence[OutRecord]) -> Iterator[Sequence[OutRecord]]:
    """Split by size, so that no batch is above the topic's limit (rule 15)."""
    start, size = 0, 0
    for i, record in enumerate(records):
        cost = len(record.value) + len(record.key) + RECORD_OVERHEAD
        if size and size + cost > BATCH_BYTES_MAX:
            yield records[start:i]
            start, size = i, 0
        size += cost
    if start < len(records):
        yield records[start:]
