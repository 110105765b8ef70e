"""(h) What a hostile submitter costs the others: the same load with and without it, on one system."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import chain, cycle, islice, permutations
from statistics import fmean as _mean
from statistics import stdev

from benchmarks.report import Section, Target
from benchmarks.rig import NAMES, Rig, Run, Setup, rig
from benchmarks.usage import MYSELF
from libs.testkit.bad_submissions import Bad, Hostile

RATES = (20, 100)  # bad submissions per second: 500 in 25 s, and five times that
MADE = 2_000
PERIOD_S = 0.05
WARM_S = 3.0
SEED = 7
KEPT = Target(floor=0.9)


async def measure(section: Section, shape: str, seconds: float) -> None:
    """In turns, alone and beside it, on one system: the machine's own speed changes by more than what is looked for.
    Every order once, since what is full grows slower: no rate may always be the later one."""
    setup = Setup(shape)
    runs: dict[int, list[Run]] = {rate: [] for rate in (0, *RATES)}
    async with rig(setup) as one:
        await one.run(seconds, WARM_S)
        made = await asyncio.to_thread(Hostile(one.system.folder.keys, SEED, []).some, MADE)
        for rate in chain.from_iterable(permutations(runs)):
            await one.caught_up()  # or the next run would pay for this one
            async with _submitter(one, made, rate):
                runs[rate].append(await one.run(seconds, WARM_S))
        proof = await one.finish()
    if proof.failures:
        section.failures += [f"{setup}: {failure}" for failure in proof.failures]
        return
    for rate, several in runs.items():
        _describe(section, NAMES[shape], rate, several, runs[0])


def _describe(section: Section, name: str, rate: int, runs: Sequence[Run], alone: Sequence[Run]) -> None:
    each = ", ".join(f"{_rate(run):,.0f}" for run in runs)
    what = f"beside {rate} bad submissions/s" if rate else "alone"
    section.add(f"{name}: {what}", _mean(map(_rate, runs)), "deeds/s", note=f"in turns: {each}")
    if rate:  # what one costs is lost in the noise at a low rate
        left = [_rate(with_it) / _rate(without) for with_it, without in zip(runs, alone, strict=True)]
        error = stdev(left) / len(left) ** 0.5
        note = f"+- {error:.2f} (standard error of {len(left)} pairs); of 8 families"
        section.add(f"{name}: share that is left beside {rate}/s", _mean(left), "", KEPT, note)
    if rate == max(RATES):
        more = _mean(map(_ms_per_deed, runs)) - _mean(map(_ms_per_deed, alone))
        per_bad = more * _mean(map(_rate, runs)) / rate
        section.add(f"{name}: CPU of one at {rate}/s", per_bad, "ms", note="by what a deed costs more beside them")


def _rate(run: Run) -> float:
    return run.measured.per_s


def _ms_per_deed(run: Run) -> float:
    """All processes together, but for this one, which sends what is bad."""
    cores = sum(run.spent.cores(group) for group in run.spent.cpu_s if group != MYSELF)
    return cores / run.measured.per_s * 1000


@asynccontextmanager
async def _submitter(one: Rig, made: Sequence[Bad], rate: int) -> AsyncIterator[None]:
    """Bad submissions all the time."""
    stop = asyncio.Event()
    task = asyncio.create_task(_submit(one, made, rate, stop))
    try:
        yield
    finally:
        stop.set()
        await task


async def _submit(one: Rig, made: Sequence[Bad], rate: int, stop: asyncio.Event) -> None:
    """At a fixed rate, spread over all lanes. They were made beforehand: to sign costs more than to refuse."""
    source = cycle(made)
    producer, began, before = await one.system.producer(), time.monotonic(), one.bad
    try:
        while not stop.is_set():
            due = int((time.monotonic() - began) * rate) - (one.bad - before)
            for bad in islice(source, max(due, 0)):
                headers = [] if bad.token is None else [("authorization", b"Bearer " + bad.token)]
                lane = one.bad % one.system.plan.lanes
                await producer.send("intents", bad.value, partition=lane, headers=headers)
                one.bad += 1
            await asyncio.sleep(PERIOD_S)
    finally:
        await producer.stop()
