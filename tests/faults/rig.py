"""A system of real processes with a tool that keeps a journal of its own: put load on it, do something bad to it, and
prove that everything that must hold still holds."""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from libs.contracts.events import (
    IntentAccepted,
    Unpark,
)
from libs.ledger.codec import CATALOGUE
from libs.ledger.partition import lane_of
from libs.ledger.service import Service
from libs.ledger.verify import read_partition
from libs.stack.stack import Stack
from libs.testkit import seeding
from libs.testkit.system import System
from tests.faults.proof import Scene, problems, unsettled
from tests.faults.watch import StatusWatch
from tests.faults.witness import Call, LaneSeen, Tables, Witness, calls, lanes_of, read_lanes, read_tables

LANES = 4
SCARCE = "account-1"
LEASE_MS = 1_500
POLL_S = 0.05
AT_ONCE_S, TRIES = 5.0, 20
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
    mended: int = 0  # inputs that were put aside as poison and taken up again
    proven: bool = True  # by the last proof that was asked for
    _number: int = 0
    _sent: dict[bytes, Any] = field(default_factory=dict)

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
        intents = list(intents)
        ids = await self.system.submit(intents)
        self.wanted.update(ids)
        self._sent.update(zip(ids, intents, strict=True))
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
        return await read_lanes(self.system, service)

    async def owned_by(self, name: str, service: str = "execution") -> list[LaneSeen]:
        """The lanes that a process has."""
        return list(await lanes_of(self.system, service, self.system.running[name].pid))

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

        found: list[Call] = await until(look, f"no call of {name} is under way", AT_ONCE_S)
        return found

    async def busy(self, *names: str, deeds: int) -> None:
        """Put on load until each of these workers' own tool servers is working on a call, all at one moment. On a slow
        machine the calls of one may have been answered when the other begins: then once more."""
        for _ in range(TRIES):
            await self.load(deeds)
            with suppress(TimeoutError):
                await asyncio.gather(*(self.in_flight(name) for name in names))
                return
        raise TimeoutError(f"{TRIES} times {deeds} deeds, and not once was a call of {names} under way")

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

    # -- people

    async def look_after(self) -> int:
        """What operators and clients do after processes have died again and again at one place: three deaths in a row
        put an input aside as poison, whatever killed them (flow.md decision 17). Operators take its key up again, and
        clients submit again what went to the dead letters. Gives how many were put aside, and are not any more."""
        parked = [(name, key) for name, one in (await self.tables()).items() for key in one.parked]
        lanes = self.system.plan.lanes
        for service, key in parked:
            command = Unpark(
                command_id=uuid.uuid4().bytes, intent_id=key, principal=seeding.OPERATOR, reason="it was not to blame",
                issued_at=seeding.now_at(), service=service,
            )  # fmt: skip
            await self.publish("commands", lane_of(key, lanes), CATALOGUE.encode_message(command))
        buried = {letter.value for _, letter in await self.records("dead.intake") if letter.code == "KILLED_PROCESS"}
        await self.witness.catch_up()
        lost = self._sent.keys() - self.witness.bodies(IntentAccepted, "ledger.intake").keys()
        again = [self._sent[key] for key in lost if CATALOGUE.encode_message(self._sent[key]) in buried]
        await self.system.submit(again)
        return len(parked) + len(again)

    # -- proof

    async def prove(self, seconds: float = PATIENCE_S, mending: bool = False) -> Scene:
        """Wait until all has come to rest; then everything must hold. Raises AssertionError with what does not.
        `mending`: people look after what was put aside as poison."""
        deadline = time.monotonic() + seconds
        while True:
            await self.witness.catch_up()
            late = time.monotonic() > deadline
            if late or not self.witness.unended(self.wanted):  # the tables are worth a look only then
                tables = await self.tables()
                scene = Scene(self.services, self.witness, tables, self.calls(), self.wanted, self.halted)
                found = problems(scene) if late or not unsettled(scene) else ["it still moves"]
                if not found:
                    self.proven = True
                    return scene
                if late:
                    raise AssertionError("\n".join(found))
            if mending and await self._at_rest_but_for_people():
                self.mended += await self.look_after()
            await asyncio.sleep(POLL_S * 4)

    async def _at_rest_but_for_people(self) -> bool:
        """Does nothing move any more, though not all has ended?"""
        before = self.witness.ends()
        await asyncio.sleep(1)  # that nothing happens takes time to see
        await self.witness.catch_up()
        return before == self.witness.ends()

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
