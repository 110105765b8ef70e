"""(e) Reading a ledger back: every record fetched, its chain checked, decoded and folded into states, on one core."""

from __future__ import annotations

import gc
import time

from benchmarks.report import Section, Target
from benchmarks.rig import Rig
from libs.ledger.codec import CATALOGUE
from libs.ledger.service import Service
from libs.ledger.verify import LEDGER_TOPICS, ChainReader, Replay, read_partition
from libs.runtime.settings import KafkaSettings

EVENTS = 200_000
FLOOR = Target(floor=50_000)
ROUNDS = 2  # the first one warms the broker's page cache and ours


async def measure(section: Section, one: Rig) -> None:
    """Read what the run left on the ledger, as a projection does that starts anew."""
    service = projection()
    for _ in range(ROUNDS):
        wall, cpu, events, states = await _read(one.system.kafka, service)
    section.add("chain check, decode, fold", events / cpu, "events/s", FLOOR, "per second of one core")
    section.add("the same by the clock", events / wall, "events/s", note="one process, waiting for the broker included")
    section.notes.append(f"{events:,} events of {states:,} intents, folded by {service.name}")


def projection() -> Service:
    """Who folds everything there is on the ledger."""
    from services.table import TABLE

    return max(TABLE.values(), key=lambda service: len(service.reads))


async def _read(settings: KafkaSettings, service: Service) -> tuple[float, float, int, int]:
    replay, events = Replay(service), 0
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    for lane in range(settings.lanes):
        for topic in LEDGER_TOPICS:
            if topic == "ledger.control":
                continue
            reader = ChainReader(topic, lane)
            async for offset, value in read_partition(settings, topic, lane):
                if reader.take(offset, value) is not None:
                    replay.take(CATALOGUE.decode_event(value, topic))
            if reader.report.broken:
                raise RuntimeError(f"{topic}/{lane}: {reader.report.broken}")
            events += reader.report.events
        if events >= EVENTS:
            break
    return time.perf_counter() - wall, time.process_time() - cpu, events, len(replay.states)
