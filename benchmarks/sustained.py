"""(a) Sustained deeds per second, (c) where their time goes, (d) what a deed costs in CPU, (e) reading it all back."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks import readback
from benchmarks.load import Spread
from benchmarks.metrics import WANTED
from benchmarks.report import Section, Target
from benchmarks.rig import EFFECTS_MAX_OPAQUE, Rig, Run, Setup, rig

FLOORS = {"colocated": Target(floor=2_000), "separate": Target(floor=1_000)}
RATIO = Target(floor=2.5)
WARM_S = 8.0
MIB = 1 << 20


class Sustained:
    """One run per shape and kind of budget; what each says is put into the sections."""

    def __init__(self, sections: Mapping[str, Section], read_back: bool) -> None:
        self._a, self._c, self._d, self._e = (sections[letter] for letter in "acde")
        self._read_back = read_back
        self.rates: dict[tuple[str, int], float] = {}

    async def measure(self, setup: Setup, seconds: float, warm_s: float = WARM_S) -> None:
        """A fresh system under a closed loop."""
        async with rig(setup) as one:
            run = await one.run(seconds, warm_s)
            proof = await one.finish()
            told = f"{setup}: {run.measured.per_s:,.0f}/s would have been"
            if proof.failures:
                self._a.failures += [f"{setup}: {failure}" for failure in proof.failures]
                self._a.details[str(setup)] = {"unproven": told}
                return
            self._count(one, run)
            if self._read_back and not self._e.lines:
                await readback.measure(self._e, one)

    def _count(self, one: Rig, run: Run) -> None:
        setup, measured = one.setup, run.measured
        assert one.proof is not None
        self.rates[setup.shape, setup.scopes] = measured.per_s
        slowest = min(measured.per_second, default=0)
        note = f"{measured.steady_outcomes:,} in {measured.steady_s:.0f} s, slowest second {slowest:,}"
        self._a.add(str(setup), measured.per_s, "deeds/s", FLOORS[setup.shape], note)
        limits = (
            f"OPAQUE tool builtin/journal, effects_max {EFFECTS_MAX_OPAQUE} per worker, at most"
            f" {run.load.outstanding_max} intents without an outcome; acks=all, fsync and synchronous_commit on"
        )
        if not self._a.notes:
            proven = "each run proven: chain, books, tables of budget, every effect once in the journal and SUCCEEDED"
            self._a.notes = [limits, proven]
        if run.spent.noise:
            self._a.notes.append(f"{setup}: {run.spent.noise}")
        self._a.details[str(setup)] = {
            "per_second": measured.per_second, "sent": measured.sent, "events": one.proof.events,
            "proof_s": one.proof.seconds, "others_cores": run.spent.others_cpu_s / run.spent.seconds,
        }  # fmt: skip
        describe_stages(self._c, f"{setup}, saturated", one.proof.stages.spreads(), run)
        _describe_usage(self._d, one, run)


def describe_stages(section: Section, what: str, stages: Mapping[str, Spread], run: Run) -> None:
    """Stages by the events' own times, then what the workers' histograms say."""
    for name, found in stages.items():
        section.add(f"{what}: {name}", found.p50, "ms", note=f"p95 {found.p95:,.1f}, p99 {found.p99:,.1f}")
    for name, (mean, count) in run.histograms.items():
        note = f"mean of {count / run.spent.seconds:,.0f}/s, from the workers' histograms"
        section.add(f"{what}: {WANTED[name]}", mean * 1000, "ms", note=note)


def _describe_usage(section: Section, one: Rig, run: Run) -> None:
    spent, per_s = run.spent, run.measured.per_s
    rows = {row.name: row for row in one.system.plan.rows}
    workers = [name for name in spent.cpu_s if name in rows and rows[name].stage == 1]
    groups = {"broker": ["broker"], "PostgreSQL": ["postgres"], "workers": workers}
    groups |= {name: [name] for name in ("status", "control", "gateway", "generator") if name in spent.cpu_s}
    for name, members in groups.items():
        cores = sum(spent.cores(member) for member in members)
        memory = sum(spent.memory[member] for member in members) / MIB
        note = f"{cores:.2f} cores, {memory:,.0f} MiB"
        section.add(f"{one.setup}: {name}", cores / per_s * 1000, "ms/deed", note=note)
    if one.setup.shape == "separate":
        each = ", ".join(f"{name} {spent.cores(name) / per_s * 1000:.2f}" for name in workers)
        section.notes.append(f"{one.setup}: ms/deed of {each}")
    if one.status_s is not None:
        section.add(f"{one.setup}: status behind at the end", one.status_s, "s")
