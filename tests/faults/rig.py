"""A system of real processes with a tool that keeps a journal of its own: put load on it, do something bad to it, and
prove that everything that must hold still holds."""

from __future__ import annotations

import asyncio
import random
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from libs.contracts.events import (
    BudgetKind,
    CostClass,
    EffectClass,
    EffectKind,
    RegisterServer,
    RegisterTool,
    ToolEntry,
    Transport,
)
from libs.ledger.codec import CATALOGUE
from libs.ledger.service import Service
from libs.ledger.verify import read_partition
from libs.stack.shapes import Plan
from libs.stack.stack import Stack
from libs.testkit import seeding
from libs.testkit.system import System
from libs.testkit.tool_bench import double_profile
from services.execution.adapters.connection import discover
from services.table import DECIDERS, TABLE
from tests.faults.proof import Scene, problems
from tests.faults.watch import StatusWatch
from tests.faults.witness import Call, LaneSeen, Tables, Witness, calls, read_tables, token_of

LANES = 4
PRICE_MICROS = 1_000
SCARCE = "account-1"
SCARCE_DEEDS = 12
LEASE_MS = 1_500
# Short leases and limits, so that what is to be waited for comes soon; everything else as in production.
ENV = {
    "DEED_LEASE_MS": str(LEASE_MS),
    "DEED_LEASE_MARGIN_MS": "200",
    "DEED_KAFKA_TIMEOUT_MS": "3000",
    "DEED_DATABASE_TIMEOUT_MS": "2000",
    "DEED_CONTROL_STALE_MAX_S": "3",
    "DEED_JOURNAL_FSYNC": "true",
}
POLL_S = 0.05
PATIENCE_S = 120.0  # a bound for slow machines; what is waited for takes a second or two


@dataclass
class Rig:
    """One running system and everything that was asked of it."""

    stack: Stack
    system: System
    services: dict[str, Service]
    witness: Witness
    random: random.Random
    wanted: set[bytes] = field(default_factory=set)
    halted: set[int] = field(default_factory=set)
    proven: bool = True  # by the last proof that was asked for
    _number: int = 0

    @property
    def journal(self) -> Path:
        """The tool double's own."""
        return self.system.root / "double.journal"

    def calls(self) -> list[Call]:
        """What really happened, by the tool's own journal."""
        return calls(self.journal)

    # -- load

    def intents(self, number: int, delay_ms: tuple[int, int] = (100, 300), **given: Any) -> list[Any]:
        """Fresh intents for the tool double, each with its own delay before the answer."""
        self._number += number
        return [
            double_intent(n, self.random.randint(*delay_ms), **given)
            for n in range(self._number - number, self._number)
        ]

    async def load(self, number: int, delay_ms: tuple[int, int] = (100, 300), **given: Any) -> list[bytes]:
        """Submit some, a few of them on a budget that soon has nothing left."""
        return await self.submit(
            self.intents(number - 2, delay_ms, **given) + self.intents(2, delay_ms, **({"account": SCARCE} | given))
        )

    async def submit(self, intents: Iterable[Any]) -> list[bytes]:
        """Submit these; each must come to exactly one end."""
        ids = await self.system.submit(intents)
        self.wanted.update(ids)
        return ids

    async def publish(self, topic: str, partition: int, value: bytes, **headers: str) -> int:
        """Put any bytes on a topic; gives their offset."""
        producer = await self.system.producer()
        try:
            sent = await producer.send_and_wait(
                topic, value, partition=partition, headers=[(name, text.encode()) for name, text in headers.items()]
            )
        finally:
            await producer.stop()
        return int(sent.offset)

    async def records(self, topic: str) -> list[tuple[int, Any]]:
        """All that is on a topic of our own messages, decoded: (partition, message)."""
        found = []
        for n in range(self.system.plan.lanes):
            async for _, value in read_partition(self.system.kafka, topic, n):
                found.append((n, CATALOGUE.decode_message(value, topic)))
        return found

    # -- looking

    async def tables(self) -> dict[str, Tables]:
        """The tables of all services that run."""
        names = list(self.services)
        found = await asyncio.gather(*(read_tables(self.system, self.services[name]) for name in names))
        return dict(zip(names, found, strict=True))

    async def lanes(self, service: str = "execution") -> tuple[LaneSeen, ...]:
        """The lane rows of one service."""
        return (await read_tables(self.system, self.services[service])).lanes

    async def owned_by(self, name: str, service: str = "execution") -> list[LaneSeen]:
        """The lanes that a process has."""
        token = await token_of(self.system, service, self.system.running[name].pid)
        return [row for row in await self.lanes(service) if token is not None and row.token == token]

    async def owns(self, name: str, number: int = 1, service: str = "execution") -> list[LaneSeen]:
        """Wait until a process has at least so many lanes; gives them. None if it ended before."""

        async def look() -> tuple[list[LaneSeen]] | None:
            found = await self.owned_by(name, service)
            return (found,) if len(found) >= number or not self.system.running[name].alive else None

        rows: list[LaneSeen] = (await until(look, f"{name} does not have {number} lanes"))[0]
        return rows

    def log(self, name: str) -> str:
        """Everything that a process has written so far."""
        return (self.system.folder.logs / f"{name}.log").read_text(errors="replace")

    async def in_flight(self, name: str) -> list[Call]:
        """Calls that a worker's own tool server is working on at this moment. Waits until there are some."""

        def look() -> list[Call]:
            servers = {child.pid for child in psutil.Process(self.system.running[name].pid).children()}
            return [call for call in self.calls() if call.server in servers and call.answered_at == 0]

        found: list[Call] = await until(look, f"no call of {name} is under way")
        return found

    # -- faults

    async def died(self, name: str, seconds: float = PATIENCE_S) -> int:
        """Wait until a process has ended; its exit code (negative: the signal)."""
        code = await until(lambda: _code(self.system, name), f"{name} lives on", seconds)
        return int(code[0])

    async def stopped(self, name: str) -> None:
        """Wait until a process stands still by SIGSTOP."""
        process = psutil.Process(self.system.running[name].pid)
        await until(lambda: process.status() == psutil.STATUS_STOPPED, f"{name} runs on")

    async def taken_over(self, before: Sequence[LaneSeen], service: str = "execution") -> None:
        """Wait until each of these lanes has been claimed by somebody else."""

        async def look() -> bool:
            now = {row.lane: row for row in await self.lanes(service)}
            return all(now[row.lane].token not in (None, row.token) for row in before)

        await until(look, "lanes have no new owner")

    # -- proof

    async def prove(self, seconds: float = PATIENCE_S) -> Scene:
        """Wait until all has come to rest; then everything must hold. Raises AssertionError with what does not."""
        deadline = time.monotonic() + seconds
        while True:
            await self.witness.catch_up()
            tables = await self.tables()
            scene = Scene(self.services, self.witness, tables, self.calls(), self.wanted, self.halted)
            found = problems(scene)
            if not found:
                self.proven = True
                return scene
            if time.monotonic() > deadline:
                raise AssertionError("\n".join(found))
            await asyncio.sleep(POLL_S * 4)

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[StatusWatch]:
        """Meanwhile nobody may see a status go back."""
        watch = StatusWatch(self.system)
        async with watch:
            yield watch
        assert not watch.went_back, watch.went_back[:5]


async def until(look: Callable[[], Any], what: str, seconds: float = PATIENCE_S) -> Any:
    """Look again and again until there is something; gives it. Raises TimeoutError that says what was missing."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return found
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} after {seconds} s")
        await asyncio.sleep(POLL_S)


def _code(system: System, name: str) -> tuple[int] | None:
    code = system.running[name].popen.poll()
    return None if code is None else (code,)


def double_intent(n: int | str, delay_ms: int, **given: Any) -> Any:
    """An intent for the tool double."""
    arguments = f'{{"delay_ms":{delay_ms},"n":"{n}"}}'
    return seeding.intent(
        f"double-{n}", **({"tool": "double/apply", "capability": "double", "arguments": arguments} | given)
    )


# -- building


async def build(root: Path, plan: Plan, names: Iterable[str] | None = None, **env: str) -> Rig:
    """Servers, topics, databases, processes, tools and budgets: all fresh. `names`: the processes to start."""
    stack = Stack(root)
    ends = await asyncio.to_thread(stack.start)
    system = System(ends, root, plan, env=ENV | env)
    try:
        profile = double_profile(root / "double.journal")
        words = ", ".join(f'"{word}"' for word in profile.argv)
        (root / "servers.toml").write_text(f'[servers.double]\nargv = [{words}]\ncwd = "{profile.cwd}"\n')
        found = asyncio.create_task(discover(profile, 1 << 20, 20_000))
        await system.start(names)
        await system.seed(commands({tool.name: tool for tool in await found}["apply"]))
    except BaseException:
        system.kill_all()
        await asyncio.to_thread(stack.stop)
        raise
    hosted = {*(DECIDERS if "w1" in system.running else ()), *system.running}
    services = {name: service for name, service in TABLE.items() if name in hosted}
    seed = random.SystemRandom().getrandbits(32)
    sys.stderr.write(f"\nseed {seed}: {plan.shape}\n")
    return Rig(stack, system, services, Witness(system.kafka), random.Random(seed))


def commands(definition: Any) -> list[Any]:
    """What must be in force: the double beside the built-in tools, and a budget that runs out."""
    head: dict[str, Any] = {"principal": seeding.OPERATOR, "reason": "set up", "issued_at": seeding.now_at()}
    entry = ToolEntry(
        server="double", definition=definition.json, definition_hash=definition.hash, capability="double",
        effect=EffectKind.WRITE, effect_class=EffectClass.OPAQUE, cost_class=CostClass.CHEAP,
        price_micros=PRICE_MICROS, timeout_ms=10_000,
    )  # fmt: skip
    return [
        *seeding.standard(),
        seeding.budget(BudgetKind.ACCOUNT, f"{seeding.TENANT}/{SCARCE}", SCARCE_DEEDS * PRICE_MICROS),
        RegisterServer(
            command_id=random.randbytes(16), server="double", transport=Transport.STDIO, profile="double", **head
        ),
        RegisterTool(command_id=random.randbytes(16), tool="double/apply", entry=entry, **head),
    ]


async def tear_down(rig: Rig) -> None:
    """The end, whatever happened. Nobody needs the data any more, so the servers leave without tidying up."""
    rig.system.kill_all()
    rig.stack.kafka.kill()
    rig.stack.postgres.child.end(signal.SIGQUIT)
    await asyncio.to_thread(rig.stack.stop)


__all__ = ["DECIDERS", "Rig", "build", "tear_down", "until"]
