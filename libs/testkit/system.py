"""A whole system of real processes on the real servers, for fault tests and benchmarks: start, seed, submit, kill,
stop, and prove afterwards. Processes are killed and stopped by their process id only."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from libs.runtime import kafka
from libs.runtime.devkeys import Who, mint
from libs.runtime.settings import KafkaSettings, load
from libs.stack.databases import create_database
from libs.stack.folders import Folder
from libs.stack.probe import is_ready
from libs.stack.shapes import Plan, Row, argv, environment
from libs.stack.stack import Endpoints
from libs.stack.topics import create_topics
from libs.testkit import seeding

READY_S = 60.0


@dataclass
class Running:
    """One of our processes."""

    row: Row
    popen: subprocess.Popen[bytes]
    port: int
    grpc_port: int = 0
    starts: int = 1

    @property
    def pid(self) -> int:
        """The process id now."""
        return self.popen.pid

    @property
    def alive(self) -> bool:
        """Has it not ended?"""
        return self.popen.poll() is None


@dataclass
class System:
    """Processes of one shape. The servers are given; topics and databases must be fresh."""

    ends: Endpoints
    root: Path
    plan: Plan
    env: Mapping[str, str] = field(default_factory=dict)
    running: dict[str, Running] = field(default_factory=dict)

    @property
    def folder(self) -> Folder:
        """Where this system keeps its files."""
        return Folder(self.root)

    @property
    def kafka(self) -> KafkaSettings:
        """How to reach the log."""
        return load(KafkaSettings, kafka_bootstrap=self.ends.kafka_bootstrap, lanes=self.plan.lanes)

    @property
    def journal(self) -> Path:
        """Where the built-in tools write down each call."""
        return self.root / "journal"

    def grpc(self, name: str) -> str:
        """Where a process of this system takes gRPC calls."""
        return f"127.0.0.1:{self.running[name].grpc_port}"

    # -- life

    async def start(self, names: Iterable[str] | None = None) -> None:
        """Make topics and databases, start the processes, wait until all are ready."""
        self.folder.create()
        await create_topics(self.ends.kafka_bootstrap, lanes=self.plan.lanes)
        for name in self.plan.databases:
            await create_database(self.ends.postgres_dsn, name)
        wanted = set(names) if names is not None else {row.name for row in self.plan.rows}
        for row in self.plan.rows:
            if row.name in wanted:
                self.spawn(row)
        await self.ready()

    def spawn(self, row: Row, **more: str) -> Running:
        """Start one process; its output goes to a log file."""
        env = {**environment(row, self.plan, self.ends, self.folder), **self.env, **more}
        env.pop("DEED_FAILPOINT", None) if "DEED_FAILPOINT" not in more else None
        log = self.folder.logs / f"{row.name}.log"
        with log.open("ab") as file:
            popen = subprocess.Popen(argv(row), env=env, stdout=file, stderr=file, start_new_session=True)
        before = self.running.get(row.name)
        ports = int(env["DEED_HTTP_PORT"]), int(env.get("DEED_GRPC_PORT", "0"))
        running = Running(row, popen, *ports, before.starts + 1 if before else 1)
        self.running[row.name] = running
        return running

    async def ready(self, seconds: float = READY_S) -> None:
        """Until every process says it is ready. A process that ended is an error that shows its log."""
        deadline = time.monotonic() + seconds
        for name in list(self.running):
            while True:
                one = self.running[name]
                if not one.alive:
                    raise RuntimeError(f"{name} ended with {one.popen.returncode}: {self.tail(name)}")
                yes, why = await is_ready(one.port)
                if yes:
                    break
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{name} is not ready after {seconds} s: {why}; {self.tail(name)}")
                await asyncio.sleep(0.05)

    def tail(self, name: str, lines: int = 8) -> str:
        """The end of a process's log."""
        with suppress(OSError):
            return "\n".join((self.folder.logs / f"{name}.log").read_text(errors="replace").splitlines()[-lines:])
        return ""

    def signal(self, name: str, number: int) -> None:
        """Send a signal to one process."""
        self.running[name].popen.send_signal(number)

    def respawn(self, name: str, **more: str) -> Running:
        """Start a process again that has ended."""
        self.running[name].popen.wait(10)
        return self.spawn(self.running[name].row, **more)

    async def stop(self, seconds: float = 30.0) -> dict[str, int]:
        """Ask all processes to stop, fronts first; exit codes. One that does not stop in time is killed."""
        codes: dict[str, int] = {}
        stages = sorted({one.row.stage for one in self.running.values()})
        for stage in stages:
            names = [name for name, one in self.running.items() if one.row.stage == stage]
            for name in names:
                if self.running[name].alive:
                    self.running[name].popen.send_signal(signal.SIGCONT)
                    self.running[name].popen.send_signal(signal.SIGTERM)
            for name in names:
                codes[name] = await asyncio.to_thread(self._wait, name, seconds)
        return codes

    def _wait(self, name: str, seconds: float) -> int:
        popen = self.running[name].popen
        try:
            return popen.wait(seconds)
        except subprocess.TimeoutExpired:
            popen.kill()
            return popen.wait(10)

    def kill_all(self) -> None:
        """The end of a test, whatever happened."""
        for one in self.running.values():
            if one.alive:
                with suppress(ProcessLookupError):
                    os.kill(one.pid, signal.SIGCONT)
                one.popen.kill()
                one.popen.wait(10)

    # -- use

    def token(self, subject: str = "agent-1", roles: tuple[str, ...] = (), tenant: str = seeding.TENANT) -> str:
        """A token of the local issuer."""
        accounts = tuple(f"account-{n}" for n in range(16))
        return mint(self.folder.keys, Who(subject, tenant, "MACHINE", accounts, roles))

    async def seed(self, commands: Iterable[Any] | None = None) -> None:
        """Put tools, budgets and a policy in force, and wait until they are on the control ledger."""
        await seeding.publish(self.kafka, list(commands) if commands is not None else seeding.standard())

    async def submit(self, intents: Iterable[Any], token: str | None = None) -> list[bytes]:
        """Publish intents as an agent does: Avro to `intents`, the token in a header. Gives their ids."""
        return await seeding.submit(self.kafka, intents, token or self.token())

    async def outcomes(self, wanted: Iterable[bytes], seconds: float) -> dict[bytes, Any]:
        """Outcomes by intent id, until all wanted ones are there or the time is over."""
        return await seeding.outcomes(self.kafka, set(wanted), seconds)

    async def producer(self) -> Any:
        """A producer for tests that write to topics themselves."""
        client = kafka.producer(self.kafka, "testkit")
        await kafka.start(client, self.kafka)
        return client
