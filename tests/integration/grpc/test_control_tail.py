"""The control view follows the real log: whole before it is ready, stale while the log is away (D1, T19)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from prometheus_client import CollectorRegistry

from libs.contracts.events import Actor, ActorKind, Cause, Envelope, SwitchFlipped, SwitchKind
from libs.governance.control import ControlView
from libs.ledger.chain import ZERO, event_hash
from libs.ledger.codec import encode_event
from libs.runtime import kafka
from libs.runtime.clock import boottime_ms
from libs.runtime.control_tail import TOPIC, ControlTail
from libs.runtime.settings import ControlSettings, KafkaSettings, StartRefused, load
from libs.runtime.telemetry import Metrics
from libs.stack.folders import home
from libs.stack.scratch import scratch
from libs.stack.stack import Stack

pytestmark = [
    pytest.mark.integration,
    pytest.mark.requirement("D1"),
    pytest.mark.requirement("T19"),
    pytest.mark.requirement("T20"),
]
WAIT_S = 30.0


class Writer:
    """Appends switches to the control ledger, as the control service does."""

    def __init__(self, producer: Any) -> None:
        self.producer = producer
        self.seq, self.hash = 0, ZERO

    async def flip(self, tenant: str, stopped: bool = True) -> bytes:
        self.seq += 1
        envelope = Envelope(
            seq=self.seq, prev_hash=self.hash, event_id=self.seq.to_bytes(16), intent_id=bytes(16), tenant="",
            account="", cause=Cause(topic="control.commands", position=0, id=bytes(16)), control_seq=self.seq - 1,
            occurred_at=1, trace_parent="", actor=Actor(id="control", kind=ActorKind.SYSTEM), producer="test",
        )  # fmt: skip
        body = SwitchFlipped(
            command_id=bytes(16), by="ops", reason="test", kind=SwitchKind.TENANT, id=tenant, stopped=stopped
        )
        value = encode_event(envelope, body)
        self.hash = event_hash(value)
        await self.put(value)
        return value

    async def put(self, value: bytes) -> None:
        async with asyncio.timeout(WAIT_S):
            await self.producer.send_and_wait(TOPIC, value, partition=0)


@pytest.fixture
async def own_log() -> AsyncIterator[Stack]:
    """A broker of the test alone, which holds nothing but a control ledger that nobody has written to yet."""
    with scratch(home() / "tests") as folder:
        log = Stack(folder, postgres_dsn="nobody's")
        await asyncio.to_thread(log.start)
        try:
            admin = AIOKafkaAdminClient(bootstrap_servers=log.kafka.bootstrap)
            await admin.start()
            await admin.create_topics([NewTopic(TOPIC, 1, 1)])
            await admin.close()
            yield log
        finally:
            await asyncio.to_thread(log.kafka.kill)
            await asyncio.to_thread(log.stop)


@pytest.fixture
async def writer(own_log: Stack) -> AsyncIterator[Writer]:
    settings = load(KafkaSettings, kafka_bootstrap=own_log.kafka.bootstrap)
    producer = kafka.producer(settings, "test")
    await kafka.start(producer, settings)
    yield Writer(producer)
    await kafka.stop(producer)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(CollectorRegistry())


def metric(metrics: Metrics, name: str) -> float:
    return float(metrics.registry.get_sample_value(name) or 0)


@pytest.fixture
async def follow(own_log: Stack, metrics: Metrics) -> AsyncIterator[Callable[[], Any]]:
    made: list[ControlTail] = []

    async def start() -> ControlTail:
        settings = load(KafkaSettings, kafka_bootstrap=own_log.kafka.bootstrap, kafka_timeout_ms=3000)
        made.append(ControlTail(settings, load(ControlSettings, control_stale_max_s=3), metrics))
        await made[-1].start()
        return made[-1]

    yield start
    for tail in made:
        await tail.stop()


async def until(tail: ControlTail, holds: Callable[[ControlView], bool]) -> None:
    """Wait for a change after which it holds."""
    changed = asyncio.Event()
    tail.on_change(lambda _: changed.set())
    async with asyncio.timeout(WAIT_S):
        while not holds(tail.view):
            changed.clear()
            await changed.wait()


async def test_a_view_is_whole_when_it_is_ready_and_a_flip_is_seen_at_once(writer: Writer, follow: Any) -> None:
    for number in range(300):
        await writer.flip(f"t{number}")
    tail: ControlTail = await follow()
    assert tail.readiness() != ""
    await tail.wait_ready(WAIT_S)
    assert (tail.view.seq, len(tail.view.switches), tail.view.fresh) == (300, 300, True)
    delays = []
    for number in range(20):
        began = boottime_ms()
        await writer.flip(f"t{number}", stopped=False)
        await until(tail, lambda view, wanted=299 - number: len(view.switches) == wanted)  # type: ignore[misc]
        delays.append(boottime_ms() - began)
    assert sorted(delays)[10] < 100


async def test_a_process_says_which_change_it_has_and_since_when(writer: Writer, follow: Any, metrics: Metrics) -> None:
    tail: ControlTail = await follow()
    await tail.wait_ready(WAIT_S)
    before = time.time()
    await writer.flip("acme")
    await until(tail, lambda view: view.seq == 1)
    assert metric(metrics, "control_seq") == 1
    assert before <= metric(metrics, "control_seq_seen_timestamp_seconds") <= time.time()


async def test_an_empty_control_ledger_is_a_fresh_view(follow: Any) -> None:
    tail: ControlTail = await follow()
    await tail.wait_ready(WAIT_S)
    assert tail.view.fresh
    assert tail.seq == 0


async def test_every_confirmation_is_told_though_nothing_changed(follow: Any) -> None:
    tail: ControlTail = await follow()
    await tail.wait_ready(WAIT_S)
    first = tail.confirmed_ms
    assert first is not None
    await until(tail, lambda _: (tail.confirmed_ms or 0) > first)
    assert boottime_ms() - (tail.confirmed_ms or 0) < 2_000


async def test_a_broker_that_is_away_makes_the_view_stale_and_back_fresh(
    own_log: Stack, writer: Writer, follow: Any
) -> None:
    await writer.flip("acme")
    tail: ControlTail = await follow()
    await tail.wait_ready(WAIT_S)
    await asyncio.to_thread(own_log.kafka.kill)
    await until(tail, lambda view: not view.fresh)
    assert tail.view.switches
    await asyncio.to_thread(own_log.kafka.start)
    await until(tail, lambda view: view.fresh)
    await writer.flip("rival")
    await until(tail, lambda view: len(view.switches) == 2)


async def test_a_foreign_record_closes_everything_for_good(writer: Writer, follow: Any) -> None:
    await writer.flip("acme")
    tail: ControlTail = await follow()
    await tail.wait_ready(WAIT_S)
    writer.hash = bytes(32)
    await writer.flip("acme", stopped=False)
    await until(tail, lambda view: not view.fresh)
    assert "chain" in tail.broken
    assert tail.view.switches


async def test_a_log_that_lost_its_events_is_stale_until_it_has_them_again(
    own_log: Stack, writer: Writer, follow: Any
) -> None:
    values = [await writer.flip(name) for name in ("acme", "rival", "third")]
    tail: ControlTail = await follow()
    await tail.wait_ready(WAIT_S)
    admin = AIOKafkaAdminClient(bootstrap_servers=own_log.kafka.bootstrap)
    await admin.start()
    try:
        await admin.delete_topics([TOPIC])
        await until(tail, lambda view: not view.fresh)
        for _ in range(100):
            if not (await admin.create_topics([NewTopic(TOPIC, 1, 1)])).topic_errors[0][1]:
                break
            await asyncio.sleep(0.1)  # the deletion is not done yet
    finally:
        await admin.close()
    for value in values[:2]:
        await writer.put(value)
    await asyncio.sleep(2)
    assert not tail.view.fresh and len(tail.view.switches) == 3
    assert "lost events" in tail.readiness()
    await writer.put(values[2])
    await until(tail, lambda view: view.fresh)
    await writer.flip("third", stopped=False)
    await until(tail, lambda view: len(view.switches) == 2)
    assert (tail.seq, tail.broken) == (4, "")


async def test_repeats_are_harmless(writer: Writer, follow: Any) -> None:
    one = await writer.flip("acme")
    two = await writer.flip("rival")
    for value in (one, two, one, two):
        await writer.put(value)
    tail: ControlTail = await follow()
    await tail.wait_ready(WAIT_S)
    await writer.flip("third")
    await until(tail, lambda view: len(view.switches) == 3)
    assert tail.view.fresh


async def test_without_a_broker_nothing_starts() -> None:
    settings = load(KafkaSettings, kafka_bootstrap="127.0.0.1:9", kafka_timeout_ms=500)
    with pytest.raises(StartRefused, match="DEED_KAFKA_BOOTSTRAP"):
        await ControlTail(settings, load(ControlSettings)).start()
