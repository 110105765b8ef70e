"""(h) What a hostile submitter costs the others: the same load with and without it, on one system."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from itertools import cycle, islice

from benchmarks.report import Section, Target
from benchmarks.rig import NAMES, Rig, Setup, rig
from libs.testkit.bad_submissions import Bad, Hostile

BAD_PER_S = 100
MADE = 2_000
PERIOD_S = 0.05
SEED = 7
KEPT = Target(floor=0.9)


async def measure(section: Section, shape: str, seconds: float, warm_s: float) -> None:
    """Alone, beside it, and alone again: what the machine itself does meanwhile shows in the two that are alike."""
    setup = Setup(shape)
    async with rig(setup) as one:
        rates = [(await one.run(seconds, warm_s)).measured.per_s]
        made = await asyncio.to_thread(Hostile(one.system.folder.keys, SEED, []).some, MADE)
        stop = asyncio.Event()
        beside = asyncio.create_task(_submit(one, made, stop))
        try:
            rates.append((await one.run(seconds, warm_s)).measured.per_s)
        finally:
            stop.set()
            sent_per_s = await beside
        rates.append((await one.run(seconds, warm_s)).measured.per_s)
        proof = await one.finish()
    if proof.failures:
        section.failures += [f"{setup}: {failure}" for failure in proof.failures]
        return
    first, with_it, again = rates
    name = NAMES[shape]
    section.add(f"{name}: alone", (first + again) / 2, "deeds/s", note=f"{first:,.0f} before, {again:,.0f} after")
    note = f"{sent_per_s:,.0f} bad submissions/s, of 8 families, each rejected by name"
    section.add(f"{name}: beside a hostile submitter", with_it, "deeds/s", note=note)
    section.add(f"{name}: share that is left", with_it / ((first + again) / 2), "", KEPT)


async def _submit(one: Rig, made: Sequence[Bad], stop: asyncio.Event) -> float:
    """Bad submissions at a fixed rate, spread over all lanes; gives how many there were per second. They were made
    beforehand: to sign tokens costs more than to refuse them."""
    source = cycle(made)
    producer, began = await one.system.producer(), time.monotonic()
    try:
        while not stop.is_set():
            due = int((time.monotonic() - began) * BAD_PER_S) - one.bad
            for bad in islice(source, max(due, 0)):
                headers = [] if bad.token is None else [("authorization", b"Bearer " + bad.token)]
                lane = one.bad % one.system.plan.lanes
                await producer.send("intents", bad.value, partition=lane, headers=headers)
                one.bad += 1
            await asyncio.sleep(PERIOD_S)
        return one.bad / (time.monotonic() - began)
    finally:
        await producer.stop()
