"""The agents: a process of its own that publishes intents and waits for their outcomes, as any client of Kafka may.

Reads one `Load` from its standard input, and writes lines of JSON: "steady" and "over" when the part that counts begins
and ends, then a `Measured`.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from contextlib import suppress
from typing import Any

import msgspec
import uvloop
from aiokafka import TopicPartition

from benchmarks.intents import Press
from benchmarks.load import Load, Measured, spread
from libs.contracts.events import OutcomeRecorded
from libs.contracts.table import TYPES
from libs.ledger.partition import lane_of
from libs.runtime import kafka
from libs.runtime.settings import KafkaSettings, load

BATCH_MAX = 500
BATCH_MIN = 50  # in a closed loop, fewer at once would only cost more
PAUSE_S = 0.002
SEND_S = 15.0
RECORDED = next(row.id for row in TYPES if row.struct is OutcomeRecorded and row.write).to_bytes(4)


class Agents:
    """Publishes, and counts what comes back."""

    def __init__(self, wanted: Load, producer: Any, consumer: Any) -> None:
        self._load, self._producer, self._consumer = wanted, producer, consumer
        self._press = Press(wanted.prefix, wanted.tokens)
        self._sent = self._seen = 0
        self._stamps: Counter[int] = Counter()  # outcomes by the broker's millisecond
        self._due: dict[bytes, float] = {}
        self._latencies: list[float] = []
        self._lags: list[float] = []
        self._steady_ms = self._over_ms = 0
        self._all_seen = asyncio.Event()

    async def run(self) -> Measured:
        """All of it, bounded in time."""
        places = [TopicPartition("ledger.outcome", lane) for lane in range(self._load.lanes)]
        self._consumer.assign(places)
        for place, end in (await self._consumer.end_offsets(places)).items():
            self._consumer.seek(place, end)
        reader = asyncio.create_task(self._read())
        marks = asyncio.create_task(self._mark())
        await (self._paced() if self._load.rate else self._closed())
        self._over_ms = _wall_ms()
        _say({"event": "over"})
        await marks
        await self._drain()
        reader.cancel()
        return self._measured()

    def _measured(self) -> Measured:
        steady = {ms: n for ms, n in self._stamps.items() if self._steady_ms <= ms < self._over_ms}
        seconds: Counter[int] = Counter()
        for ms, n in steady.items():
            seconds[(ms - self._steady_ms) // 1000] += n
        return Measured(
            sent=self._sent,
            seen=self._seen,
            steady_s=(self._over_ms - self._steady_ms) / 1000,
            steady_outcomes=sum(steady.values()),
            per_second=tuple(seconds[n] for n in range((self._over_ms - self._steady_ms) // 1000)),
            latency=spread(self._latencies),
            send_lag=spread(self._lags),
        )

    async def _mark(self) -> None:
        await asyncio.sleep(self._load.warm_s)
        self._steady_ms = _wall_ms()
        _say({"event": "steady"})

    async def _closed(self) -> None:
        end = time.monotonic() + self._load.warm_s + self._load.seconds
        while time.monotonic() < end:
            room = self._load.outstanding_max - (self._sent - self._seen)
            if room < BATCH_MIN:
                await asyncio.sleep(PAUSE_S)
            else:
                await self._send(min(room, BATCH_MAX))

    async def _send(self, number: int) -> None:
        press = self._press
        builders: dict[int, Any] = {}
        for n in range(self._sent, self._sent + number):
            key = press.key(n)
            lane = lane_of(key, self._load.lanes)
            builder = builders.get(lane) or builders.setdefault(lane, self._producer.create_batch())
            if builder.append(key=key, value=press.value(n), timestamp=None, headers=press.headers(n)) is None:
                raise RuntimeError("a batch of intents is larger than a request may be")
        async with asyncio.timeout(SEND_S):
            acks = [await self._producer.send_batch(b, "intents", partition=lane) for lane, b in builders.items()]
            self._sent += number
            for ack in acks:
                await ack

    async def _paced(self) -> None:
        """The schedule is fixed beforehand: a slow answer delays no later intent, and lateness counts as latency."""
        rate, press, first = self._load.rate, self._press, time.monotonic() + 0.05
        total = int((self._load.warm_s + self._load.seconds) * rate)
        for n in range(total):
            due = first + n / rate
            if (wait := due - time.monotonic()) > 0:
                await asyncio.sleep(wait)
            key = press.key(n)
            self._due[key] = due if n >= self._load.warm_s * rate else -1.0
            self._lags.append(time.monotonic() - due)
            self._sent += 1
            await self._producer.send(
                "intents", press.value(n), key=key, partition=lane_of(key, self._load.lanes), headers=press.headers(n)
            )

    async def _read(self) -> None:
        while True:
            batches = await self._consumer.getmany(timeout_ms=200)
            now = time.monotonic()
            for records in batches.values():
                for record in records:
                    if record.value[1:5] == RECORDED:
                        self._seen += 1
                        self._stamps[record.timestamp] += 1
                        if (due := self._due.pop(record.key, -1.0)) > 0:
                            self._latencies.append(now - due)
            if self._over_ms and self._seen >= self._sent:
                self._all_seen.set()

    async def _drain(self) -> None:
        """Until every intent has its outcome, or the time is over: the proof then finds what is missing."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._load.drain_s):
                await self._all_seen.wait()


async def generate(wanted: Load) -> Measured:
    """Connect, run, disconnect."""
    settings = load(KafkaSettings, kafka_bootstrap=wanted.bootstrap, lanes=wanted.lanes)
    producer = kafka.producer(settings, "benchmark/agents", linger_ms=0)
    consumer = kafka.consumer(settings, "benchmark/agents", fetch_max_wait_ms=200)
    await kafka.start(producer, settings)
    try:
        await kafka.start(consumer, settings)
        return await Agents(wanted, producer, consumer).run()
    finally:
        await kafka.stop(producer)
        await kafka.stop(consumer)


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000


def _say(event: dict[str, Any]) -> None:
    sys.stdout.write(msgspec.json.encode(event).decode() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    given = msgspec.json.decode(sys.stdin.buffer.readline(), type=Load)
    result = uvloop.run(generate(given))
    _say({"event": "result", "result": msgspec.to_builtins(result)})
