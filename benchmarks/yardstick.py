"""(g) What a user would write by hand, on the same machine in the same run, and what we are beside it."""

from __future__ import annotations

import asyncio
import resource
import sys
from dataclasses import replace
from pathlib import Path

import asyncpg
import msgspec

from benchmarks import usage
from benchmarks.by_hand import PRICE, SCHEMA, Task
from benchmarks.report import Section, tell
from libs.stack.databases import create_database, with_database
from libs.stack.folders import Folder, checkout, home
from libs.stack.ports import Ports
from libs.stack.postgres import Postgres
from libs.stack.scratch import scratch

CONCURRENCIES = (2, 4, 8, 16, 32)
TRY_S, TRY_WARM_S = 3.0, 1.0
WARM_S = 2.0
PATIENCE_S = 60.0


async def measure(seconds: float, processes: int) -> tuple[float | None, Section]:
    """Deeds per second by hand, with the concurrency that suits it best; None when its books do not add up."""
    section = Section("g", f"yardstick: by hand, one transaction per step, {processes} processes, one hot budget row")
    with scratch(home() / "bench") as root:
        folder = Folder(root)
        folder.create()
        server = Postgres(folder, Ports(folder.ports))
        dsn = await asyncio.to_thread(server.start)
        try:
            assert server.pid is not None
            best = await _best(dsn, folder, processes)
            tell(f"yardstick: {processes} processes with {best} connections each for {WARM_S:g} + {seconds:g} s")
            meter = usage.Meter({"postgres": server.pid})
            first, children = meter.look(memory=False), _children_s()
            per_s, wrong = await _trial(dsn, folder.root / "journal", processes, best, (WARM_S, seconds))
            last = meter.look(memory=False)
            ours = {"processes": _children_s() - children}
            spent = usage.between(first, replace(last, cpu_s={**last.cpu_s, **ours}))
            settings = await _durability(dsn)
        finally:
            await asyncio.to_thread(server.stop)
    section.failures = wrong
    if wrong:
        return None, section
    section.add("deeds/s by hand", per_s, "/s", note=f"{best} connections per process were best of {CONCURRENCIES}")
    section.add("PostgreSQL's CPU per deed", spent.cpu_s["postgres"] / (per_s * spent.seconds) * 1000, "ms")
    if spent.noise:
        section.notes.append(spent.noise)
    section.notes.append(f"{settings}; every step is one prepared statement; no chain, events, fencing or recovery")
    return per_s, section


def _children_s() -> float:
    """CPU of the processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


async def _best(dsn: str, folder: Folder, processes: int) -> int:
    found: dict[int, float] = {}
    for concurrency in CONCURRENCIES:
        tell(f"yardstick: trying {concurrency} connections per process")
        journal = folder.root / f"trial_{concurrency}"
        found[concurrency] = (await _trial(dsn, journal, processes, concurrency, (TRY_WARM_S, TRY_S)))[0]
    return max(found, key=lambda concurrency: found[concurrency])


async def _trial(
    dsn: str, journal: Path, processes: int, concurrency: int, times: tuple[float, float]
) -> tuple[float, list[str]]:
    """Deeds per second, and what does not add up, on a fresh database."""
    name = f"by_hand_{journal.name}"
    await create_database(dsn, name)
    own = with_database(dsn, name)
    await _execute(own, SCHEMA)
    task = Task(own, str(journal), concurrency, *times)
    results = await asyncio.gather(*(_process(task) for _ in range(processes)))
    deeds, steady = (sum(result[n] for result in results) for n in (0, 1))
    return steady / task.seconds, await _problems(own, deeds, journal)


async def _process(task: Task) -> list[int]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.by_hand",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, cwd=checkout(),
    )  # fmt: skip
    try:
        async with asyncio.timeout(task.warm_s + task.seconds + PATIENCE_S):
            said, _ = await process.communicate(msgspec.json.encode(task) + b"\n")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise RuntimeError(f"a process of the yardstick ended with {process.returncode}: see above")
    return msgspec.json.decode(said, type=list[int])


async def _problems(dsn: str, deeds: int, journal: Path) -> list[str]:
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        books = await connection.fetchrow("SELECT pending, posted, (SELECT count(*) FROM outcome) FROM budget")
    finally:
        await connection.close()
    effects = (await asyncio.to_thread(journal.read_text)).splitlines()
    told = (*(books or ()), len(effects), len(set(effects)))
    wanted = (0, deeds * PRICE, deeds, deeds, deeds)
    return [] if told == wanted else [f"by hand: (pending, posted, outcomes, effects) are {told}, expected {wanted}"]


async def _durability(dsn: str) -> str:
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        names = ("fsync", "synchronous_commit")
        return ", ".join([f"{name}={await connection.fetchval(f'SHOW {name}')}" for name in names])
    finally:
        await connection.close()


async def _execute(dsn: str, statements: str) -> None:
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        await connection.execute(statements)
    finally:
        await connection.close()
