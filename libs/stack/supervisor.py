"""Keeps a system running: starts the servers and our processes, restarts what dies, says how it is, stops in order.

python -m libs.stack.supervisor --shape colocated --workers 2       what `deed up` runs in the background
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from libs.stack import restarts
from libs.stack.errors import StackError
from libs.stack.folders import home
from libs.stack.kafka import Kafka
from libs.stack.postgres import Postgres
from libs.stack.prepare import prepare
from libs.stack.probe import is_ready
from libs.stack.processes import Child
from libs.stack.report import Line, Report, save
from libs.stack.shapes import SHAPES, WORKERS, Plan, Row, argv, environment
from libs.stack.stack import Endpoints, Stack
from libs.stack.topics import LANES

TICK_S = 0.1
PROBE_EVERY_S = 0.25  # as long as something is not ready
PROBE_READY_S = 2.0
STOP_S = 25.0
WRONG_SETTING = os.EX_CONFIG  # a restart would not help


@dataclass
class Watched:
    """A process of ours, or a server."""

    name: str
    child: Child
    start: Callable[[], None]
    port: int
    ports: dict[str, int]
    stage: int
    is_server: bool = False
    restarts: restarts.Restarts = field(default_factory=restarts.Restarts)
    ready: bool = False
    why: str = ""

    def line(self) -> Line:
        """How it is."""
        state = "waiting" if self.restarts.due_at is not None else "running" if self.child.pid else "stopped"
        if state == "running" and not self.ready:
            state = "starting"
        return Line(self.name, state, self.child.pid, self.restarts.count, self.ports, self.ready, self.why)


class Supervisor:
    """One system. `run` works until `stopping` is set; then everything is stopped."""

    def __init__(self, plan: Plan, stack: Stack, rows: Sequence[Row] | None = None) -> None:
        self._plan = plan
        self._stack = stack
        self._rows = plan.rows if rows is None else rows
        self._folder = stack.folder
        self._watched: list[Watched] = []
        self._saved: Report | None = None
        self._complaint = ""
        self._ready_s: float | None = None
        self._began = time.monotonic()
        self.stopping = asyncio.Event()
        self.on_change: Callable[[Report], None] = lambda report: None

    async def run(self) -> None:
        """Starts, watches, stops. Raises StackError when the start fails. Whatever ends it, everything is stopped:
        nobody else would."""
        self._stack.hold()  # before the first word: the report of a living owner is not ours to overwrite
        try:
            self._say("starting", "starting Kafka and PostgreSQL")
            ends = await self._servers()
            if not self.stopping.is_set():
                self._start(ends)
                await self._watch()
        except Exception as error:
            await self._stop()
            self._say("failed", str(error) if isinstance(error, StackError) else f"{type(error).__name__}: {error}")
            raise
        await self._stop()
        self._say("stopped")

    async def _servers(self) -> Endpoints:
        ends = await asyncio.to_thread(self._stack.start)
        self._watched = [_server(server) for server in self._stack.ours]
        self._say("starting", "making topics and databases")
        await prepare(ends, self._plan)
        return ends

    def _start(self, ends: Endpoints) -> None:
        for row in self._rows:
            env = environment(row, self._plan, ends, self._folder)
            child = Child(row.name, self._folder.run, self._folder.logs / f"{row.name}.log")
            words = argv(row)
            ports = {"http": int(env["DEED_HTTP_PORT"])} | ({"grpc": int(env["DEED_GRPC_PORT"])} if row.grpc else {})

            def spawn(child: Child = child, words: list[str] = words, env: dict[str, str] = env) -> None:
                child.spawn(words, words[1:], env)

            watched = Watched(row.name, child, spawn, ports["http"], ports, row.stage)
            self._watched.append(watched)
            watched.start()
            watched.restarts = restarts.started(watched.restarts, time.monotonic())

    async def _watch(self) -> None:
        probed = 0.0
        while not self.stopping.is_set():
            now = time.monotonic()
            for watched in self._watched:
                await self._revive(watched, now)
            all_ready = all(watched.ready for watched in self._watched)
            if now - probed >= (PROBE_READY_S if all_ready else PROBE_EVERY_S):
                await asyncio.gather(*(self._probe(watched) for watched in self._watched if not watched.is_server))
                probed = now
            if self._ready_s is None and all(watched.ready for watched in self._watched):
                self._ready_s = round(now - self._began, 2)
            self._say("starting" if self._ready_s is None else "ready")
            try:
                await asyncio.wait_for(self.stopping.wait(), TICK_S)
            except TimeoutError:
                continue

    async def _revive(self, watched: Watched, now: float) -> None:
        if watched.child.pid is None and watched.restarts.due_at is None:
            watched.restarts = restarts.ended(watched.restarts, now)
            watched.ready, watched.why = False, _why_ended(watched.child)
            if self._ready_s is None and watched.child.status == WRONG_SETTING:
                raise StackError(_last_line(watched.child.log) or f"{watched.name} does not start.")
        elif restarts.is_due(watched.restarts, now):
            try:
                await asyncio.to_thread(watched.start)
            except (StackError, OSError) as error:  # a full disk, no more processes: it may be over in a moment
                watched.restarts, watched.why = restarts.ended(watched.restarts, now), str(error)
                return
            watched.restarts = restarts.started(watched.restarts, time.monotonic())
            watched.ready = watched.is_server

    async def _probe(self, watched: Watched) -> None:
        if watched.child.pid is not None:
            watched.ready, watched.why = await is_ready(watched.port)

    async def _stop(self) -> None:
        """Fronts first, so that nothing new comes in; then who decides, then who reads, then the servers."""
        self._say("stopping")
        for stage in sorted({watched.stage for watched in self._watched if not watched.is_server}):
            group = [watched for watched in self._watched if watched.stage == stage and not watched.is_server]
            ends = [asyncio.to_thread(watched.child.end, signal.SIGTERM, STOP_S) for watched in group]
            for error in await asyncio.gather(*ends, return_exceptions=True):
                if error is not None:  # the others are stopped all the same
                    self._complain(f"a process could not be stopped: {error}")
            self._say("stopping")
        await asyncio.to_thread(self._stack.stop)

    def _say(self, phase: str, message: str = "") -> None:
        plan = self._plan
        lines = () if phase in ("stopped", "failed") else tuple(watched.line() for watched in self._watched)
        report = Report(phase, os.getpid(), plan.shape, plan.workers, plan.lanes, message, self._ready_s, lines)
        if report == self._saved:
            return
        try:
            save(self._folder, report)
        except OSError as error:  # it is said again at the next look
            self._complain(f"the report cannot be saved: {error}")
        else:
            self._saved, self._complaint = report, ""
        self.on_change(report)

    def _complain(self, text: str) -> None:
        """In the log, once as long as it stays the same."""
        if text != self._complaint:
            sys.stderr.write(f"{text}\n")
        self._complaint = text


def _server(server: Kafka | Postgres) -> Watched:
    def start() -> None:
        server.start()

    watched = Watched(server.name, server.child, start, server.port, {server.name: server.port}, 9, is_server=True)
    watched.ready = True
    watched.restarts = restarts.started(watched.restarts, time.monotonic())
    return watched


def _why_ended(child: Child) -> str:
    status = child.status
    if status is None:
        return ""
    how = f"killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
    return f"{how}: {_last_line(child.log)}"


def _last_line(log: Path) -> str:
    try:
        lines = log.read_text(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1][-300:] if lines else ""


async def supervise(
    plan: Plan,
    stack: Stack,
    on_change: Callable[[Report], None] | None = None,
    rows: Sequence[Row] | None = None,
) -> None:
    """Runs a system until SIGINT or SIGTERM."""
    supervisor = Supervisor(plan, stack, rows)
    if on_change is not None:
        supervisor.on_change = on_change
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, supervisor.stopping.set)
    await supervisor.run()


def given_stack() -> Stack:
    """The servers that the environment names, else our own."""
    return Stack(home(), os.environ.get("DEED_KAFKA_BOOTSTRAP", ""), os.environ.get("DEED_POSTGRES_DSN", ""))


def main(arguments: list[str]) -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m libs.stack.supervisor")
    parser.add_argument("--shape", choices=SHAPES, default=SHAPES[0])
    parser.add_argument("--workers", type=int, default=WORKERS)
    parser.add_argument("--lanes", type=int, default=LANES)
    given = parser.parse_args(arguments)
    try:
        asyncio.run(supervise(Plan(given.shape, given.workers, given.lanes), given_stack()))
    except (StackError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
