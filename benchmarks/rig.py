"""A whole system in a folder of its own, under load, and the proof afterwards. Everything real is switched on: tokens
are verified, policy and budgets evaluated, telemetry and status run. All is stopped at the end, whatever happened."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec

from benchmarks import metrics, usage
from benchmarks.intents import ACCOUNTS, Press
from benchmarks.load import Load, Measured
from benchmarks.projection import catch_up
from benchmarks.proof import Proof, prove
from benchmarks.report import tell
from libs.contracts.events import BudgetKind
from libs.stack.databases import with_database
from libs.stack.folders import checkout, home
from libs.stack.scratch import scratch
from libs.stack.shapes import WORKERS, Plan
from libs.stack.stack import Stack
from libs.testkit import seeding
from libs.testkit.system import System

AGENTS = 4
HARD_MICROS = 10**15
EFFECTS_MAX_OPAQUE = 1_000
PATIENCE_S = 120.0  # beyond the load's own time
STATUS_S = 60.0
SAMPLED_FROM = 50_000  # with more deeds, the stages of every 16th are enough
NAMES = {"colocated": "co-located", "separate": "separate"}


@dataclass(frozen=True)
class Setup:
    """What is measured: a shape, and how many budget scopes the deeds share out among themselves."""

    shape: str
    scopes: int = 1
    workers: int = WORKERS

    def __str__(self) -> str:
        scopes = "one scope that all share" if self.scopes == 1 else f"{self.scopes} scopes"
        workers = f", {self.workers} workers" if self.shape == "colocated" else ""
        return f"{NAMES[self.shape]}{workers}, {scopes}"


@dataclass
class Run:
    """One load on a rig, and what it took."""

    load: Load
    measured: Measured
    spent: usage.Spent
    histograms: Mapping[str, tuple[float, float]]


@dataclass
class Rig:
    """A running system. After `finish` its runs are proven, or not."""

    setup: Setup
    stack: Stack
    system: System
    tokens: tuple[str, ...]
    runs: list[Run] = field(default_factory=list)
    bad: int = 0  # submissions beside the runs that must be rejected
    status_s: float | None = None  # how long after the last outcome the projection had it all
    proof: Proof | None = None

    async def run(self, seconds: float, warm_s: float, rate: float = 0.0, **more: Any) -> Run:
        """Put a load on the system."""
        load = Load(
            bootstrap=self.system.ends.kafka_bootstrap, lanes=self.system.plan.lanes,
            prefix=f"bench-{len(self.runs)}-", tokens=self.tokens, seconds=seconds, warm_s=warm_s, rate=rate, **more,
        )  # fmt: skip
        what = f"{rate:g}/s" if rate else f"at most {load.outstanding_max} waiting"
        tell(f"{self.setup}: {what} for {warm_s:g} + {seconds:g} s")
        run = await self._generate(load)
        self.runs.append(run)
        return run

    async def _generate(self, load: Load) -> Run:
        words = [sys.executable, "-m", "benchmarks.generator"]
        process = await asyncio.create_subprocess_exec(
            *words, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, cwd=checkout()
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(msgspec.json.encode(load) + b"\n")
            await process.stdin.drain()
            async with asyncio.timeout(load.warm_s + load.seconds + load.drain_s + PATIENCE_S):
                return await self._follow(load, process.stdout, process.pid)
        finally:
            if process.returncode is None:
                try:
                    await asyncio.wait_for(process.wait(), 10)
                except TimeoutError:
                    process.kill()
                    await process.wait()

    async def _follow(self, load: Load, lines: asyncio.StreamReader, pid: int) -> Run:
        meter = usage.Meter(self._groups() | {"generator": pid})
        first = last = meter.look()
        before: dict[str, tuple[float, float]] = {}
        after: dict[str, tuple[float, float]] = {}
        ports = [one.port for one in self.system.running.values() if one.row.stage == 1]
        async for line in lines:
            said = msgspec.json.decode(line)
            match said["event"]:
                case "steady":
                    first, before = meter.look(memory=False), await metrics.look(ports)
                case "over":
                    last, after = meter.look(), await metrics.look(ports)
                case "result":
                    measured = msgspec.convert(said["result"], Measured)
                    return Run(load, measured, usage.between(first, last), metrics.means(before, after))
        raise RuntimeError("the generator ended without a result: see above")

    def _groups(self) -> dict[str, int]:
        found = {name: one.pid for name, one in self.system.running.items()}
        if self.stack.kafka.pid is not None:
            found["broker"] = self.stack.kafka.pid
        if self.stack.postgres.pid is not None:
            found["postgres"] = self.stack.postgres.pid
        return found

    async def caught_up(self) -> float | None:
        """Wait until status has seen all; how long that took. None: longer than it may."""
        return await catch_up(self.system.kafka, self._databases()["status"], STATUS_S)

    def _databases(self) -> dict[str, str]:
        dsn = self.system.ends.postgres_dsn
        return {row.name: with_database(dsn, row.database) for row in self.system.plan.rows if row.database}

    async def finish(self) -> Proof:
        """Stop the system in order, then prove all that was done on it."""
        databases = self._databases()
        self.status_s = await self.caught_up()
        dead = [name for name, one in self.system.running.items() if not one.alive]
        codes = await self.system.stop()
        tell(f"{self.setup}: checking chain, books and effects")
        submitted: set[bytes] = set()
        for run in self.runs:
            press = Press(run.load.prefix, run.load.tokens)
            submitted |= {press.key(n) for n in range(run.measured.sent)}
        sampled = 1 if len(submitted) < SAMPLED_FROM else 16
        url = databases["budget" if "budget" in databases else "w1"]
        self.proof = await prove(self.system.kafka, submitted, self.system.journal, url, sampled, self.bad)
        failures = [] if self.status_s is not None else [f"status was behind for more than {STATUS_S:g} s"]
        failures += [f"process {name} died: {self.system.tail(name, 3)}" for name in dead]
        failures += [f"process {name} stopped with status {code}" for name, code in codes.items() if code]
        self.proof.failures[:0] = failures
        return self.proof


@asynccontextmanager
async def rig(setup: Setup, env: Mapping[str, str] | None = None) -> AsyncIterator[Rig]:
    """A fresh system, ready and seeded."""
    tell(f"{setup}: starting")
    with scratch(home() / "bench") as root:
        stack = Stack(root)
        ends = await asyncio.to_thread(stack.start)
        try:
            given = {"DEED_EFFECTS_MAX_OPAQUE": str(EFFECTS_MAX_OPAQUE)} | dict(env or {})
            system = System(ends, root, Plan(setup.shape, setup.workers), env=given)
            try:
                await system.start()
                await system.seed(_commands(setup.scopes))
                tokens = tuple(system.token(f"agent-{n}") for n in range(AGENTS))
                yield Rig(setup, stack, system, tokens)
            finally:
                system.kill_all()
        finally:
            await asyncio.to_thread(stack.stop)


def _commands(scopes: int) -> list[Any]:
    """One tenant budget that binds every deed, or one per account and none above them."""
    kept = [one for one in seeding.standard() if type(one).__name__ != "DefineBudget"]
    if scopes == 1:
        return [*kept, seeding.budget(BudgetKind.TENANT, seeding.TENANT, HARD_MICROS)]
    accounts = (f"{seeding.TENANT}/account-{n % ACCOUNTS}" for n in range(scopes))
    return [*kept, *(seeding.budget(BudgetKind.ACCOUNT, one, HARD_MICROS) for one in accounts)]
