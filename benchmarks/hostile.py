"""(h) What a hostile submitter costs the others: the same load with and without it, on one system."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import cycle, islice
from statistics import fmean as _mean

from benchmarks.report import Section, Target
from benchmarks.rig import NAMES, Rig, Run, Setup, rig
from benchmarks.usage import MYSELF
from libs.testkit.bad_submissions import Bad, Hostile

BAD_PER_S = 100
MADE = 2_000
PERIOD_S = 0.05
PAIRS = 6
WARM_S = 3.0
SEED = 7
KEPT = Target(floor=0.9)


async def measure(section: Section, shape: str, seconds: float) -> None:
    """In turns, alone and beside it, on one system: the machine's own speed changes by more than what is looked for."""
    setup = Setup(shape)
    alone: list[Run] = []
    beside: list[Run] = []
    async with rig(setup) as one:
        await one.run(seconds, WARM_S)
        made = await asyncio.to_thread(Hostile(one.system.folder.keys, SEED, []).some, MADE)
        for turn in range(2 * PAIRS):
            await one.caught_up()  # or the next run would pay for this one
            if turn % 4 in (0, 3):  # what is full grows slower: neither kind may always be the later one
                alone.append(await one.run(seconds, WARM_S))
            else:
                async with _submitter(one, made):
                    beside.append(await one.run(seconds, WARM_S))
        proof = await one.finish()
    if proof.failures:
        section.failures += [f"{setup}: {failure}" for failure in proof.failures]
        return
    _describe(section, NAMES[shape], alone, beside)


def _describe(section: Section, name: str, alone: Sequence[Run], beside: Sequence[Run]) -> None:
    rates = {"alone": alone, "beside a hostile submitter": beside}
    for what, runs in rates.items():
        each = ", ".join(f"{run.measured.per_s:,.0f}" for run in runs)
        section.add(f"{name}: {what}", _mean(_rate(run) for run in runs), "deeds/s", note=f"in turns: {each}")
    left = _mean(map(_rate, beside)) / _mean(map(_rate, alone))
    section.add(f"{name}: share that is left", left, "", KEPT, f"{BAD_PER_S} bad submissions/s, of 8 families")
    more = _mean(map(_ms_per_deed, beside)) - _mean(map(_ms_per_deed, alone))
    per_bad = more * _mean(map(_rate, beside)) / BAD_PER_S
    section.add(f"{name}: CPU of a bad submission", per_bad, "ms", note="by what a deed costs more beside them")


def _rate(run: Run) -> float:
    return run.measured.per_s


def _ms_per_deed(run: Run) -> float:
    """All processes together, but for this one, which sends what is bad."""
    cores = sum(run.spent.cores(group) for group in run.spent.cpu_s if group != MYSELF)
    return cores / run.measured.per_s * 1000


@asynccontextmanager
async def _submitter(one: Rig, made: Sequence[Bad]) -> AsyncIterator[None]:
    """Bad submissions all the time."""
    stop = asyncio.Event()
    task = asyncio.create_task(_submit(one, made, stop))
    try:
        yield
    finally:
        stop.set()
        await task


async def _submit(one: Rig, made: Sequence[Bad], stop: asyncio.Event) -> None:
    """At a fixed rate, spread over all lanes. They were made beforehand: to sign costs more than to refuse."""
    source = cycle(made)
    producer, began, before = await one.system.producer(), time.monotonic(), one.bad
    try:
        while not stop.is_set():
            due = int((time.monotonic() - began) * BAD_PER_S) - (one.bad - before)
            for bad in islice(source, max(due, 0)):
                headers = [] if bad.token is None else [("authorization", b"Bearer " + bad.token)]
                lane = one.bad % one.system.plan.lanes
                await producer.send("intents", bad.value, partition=lane, headers=headers)
                one.bad += 1
            await asyncio.sleep(PERIOD_S)
    finally:
        await producer.stop()
