"""(e) Reading a ledger back, on one core: every record fetched, its chain checked, decoded, and folded as status folds
it when it starts anew. Less and less is left out, to show where the time goes."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

from benchmarks.report import Section, Target
from benchmarks.rig import Rig
from libs.ledger.chain import Cursor, Seen, event_hash, look
from libs.ledger.codec import CATALOGUE, frame
from libs.ledger.verify import LEDGER_TOPICS, Replay, read_partition
from libs.runtime.process import collect_rarely
from libs.runtime.settings import KafkaSettings
from services.table import TABLE

EVENTS = 200_000
FLOOR = Target(floor=50_000)
TOPICS = tuple(topic for topic in LEDGER_TOPICS if topic != "ledger.control")
Step = Callable[[str, Cursor, bytes], Cursor]  # topic, where the chain is, record value -> where it is now


async def measure(section: Section, one: Rig) -> None:
    """Read what the run left on the ledger. The first pass warms the caches and does not count."""
    settings = one.system.kafka
    collect_rarely()  # as every process of ours
    await _read(settings, _chained)
    replay = Replay(TABLE["status"])
    passes = (
        ("chain check alone", _chained, None),
        ("chain check, decode", _decoded, None),
        ("chain check, decode, fold", _folding(replay), FLOOR),
    )
    for name, step, target in passes:
        events, wall, cpu = await _read(settings, step)
        note = f"per second of one core; {events / wall:,.0f} by the clock, waiting for the broker included"
        section.add(name, events / cpu, "events/s", target, note)
    section.notes.append(f"{events:,} events of {len(replay.states):,} intents, folded by status")


def _chained(topic: str, cursor: Cursor, value: bytes) -> Cursor:
    _, seq, prev_hash = frame(value)
    return _next(cursor, seq, prev_hash, event_hash(value))


def _decoded(topic: str, cursor: Cursor, value: bytes) -> Cursor:
    fact = CATALOGUE.decode_event(value, topic)
    return _next(cursor, fact.envelope.seq, fact.envelope.prev_hash, fact.hash)


def _folding(replay: Replay) -> Step:
    def folded(topic: str, cursor: Cursor, value: bytes) -> Cursor:
        fact = CATALOGUE.decode_event(value, topic)
        after = _next(cursor, fact.envelope.seq, fact.envelope.prev_hash, fact.hash)
        replay.take(fact)
        return after

    return folded


def _next(cursor: Cursor, seq: int, prev_hash: bytes, digest: bytes) -> Cursor:
    seen = look(cursor, seq, prev_hash)
    if seen is not Seen.APPLY:
        raise RuntimeError(f"seq {seq} after {cursor.last_seq}: {seen}")
    return Cursor(seq, digest)


async def _read(settings: KafkaSettings, step: Step) -> tuple[int, float, float]:
    """(events, seconds by the clock, seconds of CPU), lane by lane until there are enough."""
    events = 0
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    for lane in range(settings.lanes):
        for topic in TOPICS:
            cursor = Cursor()
            async for _, value in read_partition(settings, topic, lane):
                cursor = step(topic, cursor, value)
            events += cursor.last_seq
        if events >= EVENTS:
            break
    return events, time.perf_counter() - wall, time.process_time() - cpu
