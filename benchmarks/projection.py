"""How far the projection of status is behind the ledger."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import asyncpg
import msgspec
from aiokafka import TopicPartition

from libs.ledger.chain import Cursor
from libs.ledger.verify import LEDGER_TOPICS
from libs.runtime import kafka
from libs.runtime.settings import KafkaSettings

POLL_S = 0.2
_cursors = msgspec.msgpack.Decoder(dict[str, Cursor])


async def catch_up(settings: KafkaSettings, database_url: str, seconds: float) -> float | None:
    """Seconds until status has folded all that is on the ledger now; None when that takes longer than `seconds`."""
    began = time.monotonic()
    ends = await _ends(settings)
    connection = await asyncpg.connect(database_url, timeout=10)
    try:
        while await _behind(connection, ends):
            if time.monotonic() - began > seconds:
                return None
            await asyncio.sleep(POLL_S)
    finally:
        await connection.close()
    return time.monotonic() - began


async def _ends(settings: KafkaSettings) -> dict[tuple[str, int], int]:
    topics = [topic for topic in LEDGER_TOPICS if topic != "ledger.control"]
    places = [TopicPartition(topic, lane) for topic in topics for lane in range(settings.lanes)]
    client = kafka.consumer(settings, "benchmark/ends")
    await kafka.start(client, settings)
    try:
        client.assign(places)
        return {(place.topic, place.partition): end for place, end in (await client.end_offsets(places)).items()}
    finally:
        await kafka.stop(client)


async def _behind(connection: Any, ends: dict[tuple[str, int], int]) -> int:
    rows = await connection.fetch("SELECT lane, cursors FROM status.lane", timeout=10)
    known = {row["lane"]: _cursors.decode(row["cursors"]) for row in rows if row["cursors"]}
    behind = 0
    for (topic, lane), end in ends.items():
        cursor = known.get(lane, {}).get(topic, Cursor())
        behind += end - (cursor.next_offset or 0)
    return behind
