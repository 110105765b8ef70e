"""(b) From submit to outcome at a fixed rate. The schedule is fixed beforehand and latency counts from the scheduled
time until the outcome is in the agent's hands, so a stall is not hidden by a generator that waits for it."""

from __future__ import annotations

from benchmarks.intents import Press
from benchmarks.load import Measured
from benchmarks.report import Section, Target
from benchmarks.rig import NAMES, Rig, Run, Setup, rig
from benchmarks.sustained import describe_stages

RATES = (10, 100, 500)
TARGETS = {
    ("colocated", 100, "p50"): Target(ceiling=15), ("colocated", 100, "p99"): Target(ceiling=50),
    ("colocated", 500, "p99"): Target(ceiling=150),
    ("separate", 100, "p50"): Target(ceiling=70), ("separate", 100, "p99"): Target(ceiling=200),
}  # fmt: skip
WARM_S = 3.0
WARM_UP = (300.0, 4.0)  # rate and seconds: the broker compiles its code, caches fill
STAGES_AT = 100


async def measure(b: Section, c: Section, shape: str, seconds: float) -> None:
    """All rates, one after the other, on one system with one budget that all share."""
    setup = Setup(shape)
    async with rig(setup) as one:
        await one.run(WARM_UP[1], 0.0, WARM_UP[0])
        runs = {rate: await one.run(seconds, WARM_S, float(rate)) for rate in RATES}
        proof = await one.finish()
        if proof.failures:
            b.failures += [f"{setup}: {failure}" for failure in proof.failures]
            return
        if not b.notes:
            b.notes = ["open loop, fixed schedule; from the scheduled time to the outcome in the agent's hands"]
        for rate, run in runs.items():
            _describe(b, shape, rate, run.measured)
            if run.spent.noise:
                b.notes.append(f"{NAMES[shape]} at {rate}/s: {run.spent.noise}")
        _stages(c, one, runs[STAGES_AT])


def _describe(section: Section, shape: str, rate: int, measured: Measured) -> None:
    latency, lag = measured.latency, measured.send_lag
    if latency is None or lag is None:
        section.failures.append(f"{shape} at {rate}/s: nothing came back")
        return
    note = f"{latency.count} deeds, highest {latency.highest:,.0f} ms, generator late by p99 {lag.p99:.1f} ms"
    for name, value in (("p50", latency.p50), ("p95", latency.p95), ("p99", latency.p99)):
        what = f"{NAMES[shape]} at {rate}/s, {name}"
        section.add(what, value, "ms", TARGETS.get((shape, rate, name)), note if name == "p50" else "")


def _stages(section: Section, one: Rig, run: Run) -> None:
    press = Press(run.load.prefix, run.load.tokens)
    first = int(run.load.warm_s * run.load.rate)
    mine = {press.key(n) for n in range(first, run.measured.sent)}
    assert one.proof is not None
    stages = one.proof.stages.spreads(mine.__contains__)
    describe_stages(section, f"{NAMES[one.setup.shape]} at {run.load.rate:g}/s", stages, run)
