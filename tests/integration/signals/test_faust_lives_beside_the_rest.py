"""faust-streaming will carry the signals. Here it is proven to live in one process with everything else we use: same
aiokafka, same event loop, same Avro records."""

from __future__ import annotations

import asyncio
from typing import Any

import faust
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from tests.servers import Servers

N = 50
WAIT_S = 60.0


@pytest.mark.integration
async def test_a_faust_agent_reads_a_topic_into_a_table_beside_our_own_clients(servers: Servers, tmp_path: Any) -> None:
    name = f"faust{tmp_path.name.replace('_', '')[-12:]}"
    topic = f"{name}-in"
    # The table's changelog is made beforehand: with a fresh one the agent's first start can crash in a loop.
    await _make(
        servers, [topic, f"{name}-seen-changelog", f"{name}-{name}-seen-changelog", f"{name}-__assignor-__leader"]
    )
    app = faust.App(
        name, broker=f"kafka://{servers.kafka_bootstrap}", store="memory://", datadir=str(tmp_path), web_enabled=False,
        topic_partitions=2, topic_allow_declare=False, topic_disable_leader=True, broker_session_timeout=6.0,
        broker_heartbeat_interval=1.0,
    )  # fmt: skip
    seen = app.Table("seen", default=int, partitions=2)
    done = asyncio.Event()

    @app.agent(app.topic(topic, value_type=bytes, value_serializer="raw", partitions=2))
    async def count(stream: Any) -> None:
        async for _ in stream:
            seen["all"] += 1
            if seen["all"] >= N:
                done.set()

    producer = AIOKafkaProducer(bootstrap_servers=servers.kafka_bootstrap, acks="all")
    await producer.start()
    for n in range(N):
        await producer.send_and_wait(topic, b"x", partition=0, key=b"%d" % n)
    await producer.stop()

    app.finalize()
    await app.start()
    try:
        async with asyncio.timeout(WAIT_S):
            await done.wait()
        assert seen["all"] >= N
    finally:
        await app.stop()


async def _make(servers: Servers, names: list[str]) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=servers.kafka_bootstrap)
    await admin.start()
    try:
        answer = await admin.create_topics([NewTopic(name, 2, 1) for name in names])
        assert all(error[1] in (0, 36) for error in answer.topic_errors)
    finally:
        await admin.close()
