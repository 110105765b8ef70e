"""How every process starts and stops.

    async def main(process: Process) -> None: ...      builds things, works until `process.stopping` is set, cleans up
    if __name__ == "__main__":
        run("gateway", main)

SIGTERM or SIGINT sets `stopping`; `main` has `stop_timeout_ms` to end by itself, then it is cancelled; a second signal
cancels at once. Exit codes: 0 stopped as asked, 69 something it needs is away, 70 a bug, 75 the stop took too long,
78 a wrong setting.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn

import uvloop

from libs.runtime.health import Check, HealthServer, Pages
from libs.runtime.logs import configure, logger
from libs.runtime.settings import ProcessSettings, SettingsError, StartRefused, load
from libs.runtime.telemetry import Metrics

OK = 0
AWAY = os.EX_UNAVAILABLE
BUG = os.EX_SOFTWARE
STOP_TOO_LONG = os.EX_TEMPFAIL
WRONG_SETTING = os.EX_CONFIG
CANCEL_SECONDS = 2.0
GC_ALLOCATIONS = 100_000


@dataclass
class Process:
    """What `main` gets. Set `ready` and `live` to callables that give '' for yes, else a reason."""

    name: str
    settings: ProcessSettings
    metrics: Metrics
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    ready: Check = lambda: "starting"
    live: Check = lambda: ""
    http_port: int = 0

    def liveness(self) -> str:
        """'' while there is hope, else why the process should be ended."""
        return self.live()

    def readiness(self) -> str:
        """'' when work gets done here, else why not."""
        return "stopping" if self.stopping.is_set() else self.ready()

    async def until_stopped(self, *tasks: asyncio.Task[Any]) -> None:
        """Wait for the signal to stop, or for one of these tasks to end, which is an error that is raised here."""
        waiter = asyncio.create_task(self.stopping.wait())
        try:
            done, _ = await asyncio.wait((waiter, *tasks), return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiter.cancel()
        for task in done - {waiter}:
            task.result()
            raise RuntimeError(f"task {task.get_name()} ended by itself")


Main = Callable[[Process], Awaitable[None]]


def run(name: str, main: Main) -> NoReturn:
    """Run `main` on uvloop and leave the interpreter with its exit code."""
    try:
        settings = load(ProcessSettings)
        if "process" not in settings.model_fields_set:
            settings = settings.model_copy(update={"process": name})
    except SettingsError as error:
        sys.stderr.write(f"{name} does not start: {error}\n")
        sys.exit(WRONG_SETTING)
    configure(settings.process, settings.log_level)
    collect_rarely()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        code = runner.run(_supervise(Process(name, settings, Metrics()), main))
    sys.stdout.flush()
    sys.exit(code)


def collect_rarely() -> None:
    """What is imported stays, and events are short-lived and without cycles: to look for cycles among them after every
    700 allocations cost an eighth of a worker's time."""
    gc.freeze()
    gc.set_threshold(GC_ALLOCATIONS, 20, 50)


async def _supervise(process: Process, main: Main) -> int:
    log = logger(__name__)
    health = HealthServer(process.settings.http_host, process.settings.http_port, _pages(process))
    task: asyncio.Task[None] | None = None
    try:
        await health.start()
        process.http_port = health.port
        task = asyncio.create_task(_as_coroutine(main(process)), name=process.name)
        _listen(process, task)
        log.info("started", pid=os.getpid(), http_port=health.port)
        return await _outcome(process, task)
    except OSError as error:
        _say(process, f"DEED_HTTP_PORT is wrong: {process.settings.http_port} cannot be opened ({error.strerror}).")
        return WRONG_SETTING
    finally:
        await health.stop()


async def _outcome(process: Process, task: asyncio.Task[None]) -> int:
    """Wait for the end, whichever it is, and give the exit code."""
    log = logger(__name__)
    stopping = asyncio.create_task(process.stopping.wait())
    await asyncio.wait((task, stopping), return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    late = False
    if not task.done():
        late = not (await asyncio.wait((task,), timeout=process.settings.stop_timeout_ms / 1000))[0]
    if late:
        log.error("the stop took too long, cancelling", stop_timeout_ms=process.settings.stop_timeout_ms)
        task.cancel()
        if not (await asyncio.wait((task,), timeout=CANCEL_SECONDS))[0]:
            os._exit(STOP_TOO_LONG)  # it swallows its cancellation: the lease and the ledger make this safe
    try:
        task.result()
    except asyncio.CancelledError:
        return STOP_TOO_LONG
    except SettingsError as error:
        _say(process, str(error))
        return WRONG_SETTING
    except StartRefused as error:
        _say(process, str(error))
        return AWAY
    except Exception:  # boundary: whatever it is, it is logged and the process ends with a code that says so
        log.exception("ended by an error")
        return BUG
    log.info("stopped")
    return STOP_TOO_LONG if late else OK


def _listen(process: Process, task: asyncio.Task[None]) -> None:
    loop = asyncio.get_running_loop()

    def stop(number: int) -> None:
        if process.stopping.is_set():
            task.cancel()
            return
        logger(__name__).info("stopping", signal=signal.Signals(number).name)
        process.stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)


def _pages(process: Process) -> Pages:
    token = process.settings.http_token
    return Pages(
        live=process.liveness,
        ready=process.readiness,
        metrics=process.metrics.text,
        token=token.get_secret_value() if token else None,
        names=tuple(name.lower() for name in process.settings.http_names),
    )


def _say(process: Process, sentence: str) -> None:
    sys.stderr.write(f"{process.name} does not start: {sentence}\n")


async def _as_coroutine(work: Awaitable[None]) -> None:
    await work
