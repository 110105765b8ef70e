"""A whole local system in a folder of its own, for the demo and the examples: started fresh, and stopped at the end
whatever happens."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from examples.servers import ServersError
from libs.runtime.devkeys import Who, mint
from libs.runtime.logs import configure
from libs.runtime.settings import KafkaSettings, load
from libs.stack import background
from libs.stack.databases import with_database
from libs.stack.errors import Busy, StackError
from libs.stack.folders import Folder, home, is_held
from libs.stack.report import Report
from libs.stack.scratch import erase
from libs.stack.shapes import Plan
from libs.stack.stack import Endpoints, Stack
from libs.stack.supervisor import Supervisor

KEPT = ("DEED_CACHE",)
READY_S = 90.0


@dataclass
class Running:
    """A running system."""

    folder: Folder
    plan: Plan
    report: Report
    ends: Endpoints

    @property
    def kafka(self) -> KafkaSettings:
        return load(KafkaSettings, kafka_bootstrap=self.ends.kafka_bootstrap, lanes=self.plan.lanes)

    @property
    def database_url(self) -> str:
        return with_database(self.ends.postgres_dsn, "deedbook")

    @property
    def servers_file(self) -> str:
        return str(self.folder.root / "servers.toml")

    def grpc(self, name: str) -> str:
        """Address of a process that speaks gRPC."""
        port = next(line.ports["grpc"] for line in self.report.lines if line.name == name)
        return f"127.0.0.1:{port}"

    def token(self, who: Who) -> str:
        return mint(self.folder.keys, who)


def fresh(name: str) -> Folder:
    """An empty data folder `.deedbook/<name>`; what an earlier run left there is stopped and removed. Raises Busy."""
    folder = Folder(home() / name)
    for variable in [variable for variable in os.environ if variable.startswith("DEED_") and variable not in KEPT]:
        del os.environ[variable]  # it is the same everywhere
    if is_held(folder.lock):
        raise Busy(f"It already runs in {folder.root}.")
    background.end(folder)
    erase(folder.root)
    folder.create()
    return folder


@asynccontextmanager
async def running(folder: Folder, servers: str) -> AsyncIterator[Running]:
    """The system in this folder. `servers`: the operator's file of tool servers, the one place where a command line
    may stand. At the end everything is stopped; the folder stays until the next time."""
    (folder.root / "servers.toml").write_text(servers)
    stack, plan = Stack(folder.root), Plan()
    supervisor = Supervisor(plan, stack)
    task = asyncio.create_task(supervisor.run())
    try:
        report = await _ready(supervisor, task, folder.logs)
        found = Running(folder, plan, report, Endpoints(stack.kafka.bootstrap, stack.postgres.dsn))
        supervisor.on_change = lambda report: setattr(found, "report", report)
        yield found
    finally:
        supervisor.stopping.set()
        await asyncio.wait((task,))


async def _ready(supervisor: Supervisor, running: asyncio.Task[None], logs: Path) -> Report:
    ready: asyncio.Future[Report] = asyncio.get_running_loop().create_future()

    def look(report: Report) -> None:
        if report.phase == "ready" and not ready.done():
            ready.set_result(report)

    supervisor.on_change = look
    await asyncio.wait((ready, running), timeout=READY_S, return_when=asyncio.FIRST_COMPLETED)
    if ready.done():
        return ready.result()
    if running.done():
        running.result()
    raise StackError(f"the system was not ready after {READY_S:.0f} s: see {logs}")


def run(name: str, main: Callable[[], Coroutine[Any, Any, int]]) -> int:
    """Returns the exit status. Ctrl-C and SIGTERM end it; what was started is stopped."""
    configure(name, "ERROR")

    async def until_told() -> int:
        task = asyncio.ensure_future(main())
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        return await task

    try:
        return asyncio.run(until_told())
    except asyncio.CancelledError:
        return 130
    except (StackError, ServersError, TimeoutError) as error:
        sys.stderr.write(f"The {name} failed: {error or type(error).__name__}\n")
        return 1
