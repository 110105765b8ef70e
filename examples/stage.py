"""What the demo plays on: a real git repository, the operator's file with the real git server in it, and a whole system
in a folder of its own, which is stopped at the end whatever happens."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from examples.servers import ensure
from libs.runtime.devkeys import Who, mint
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
POLL_S = 0.02
OWN_GIT = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null"}  # whatever this machine's git is told
HOOK = """#!/bin/sh
# A slow hook, as large repositories have them: the commit is made, its answer has to wait.
if [ -e .git/slow ]; then echo "$PPID" > .git/committing; mv .git/committing .git/in-hook; sleep 3; fi
"""


@dataclass
class Stage:
    """A running system and the repository that its tools work on."""

    folder: Folder
    plan: Plan
    report: Report
    ends: Endpoints
    repository: Path

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

    def git(self, *words: str) -> str:
        """What git itself says."""
        ended = subprocess.run(
            ["git", "-C", str(self.repository), *words], check=True, capture_output=True, text=True, timeout=30,
            env=os.environ | OWN_GIT,
        )  # fmt: skip
        return ended.stdout.strip()

    def slow_hook(self, on: bool) -> None:
        """From now on the answer to a commit takes three seconds longer than the commit."""
        mark = self.repository / ".git" / "slow"
        mark.touch() if on else mark.unlink(missing_ok=True)

    async def caller(self) -> tuple[str, int]:
        """Name and process id of the worker whose call of the git server is under way just now."""
        mark = self.repository / ".git" / "in-hook"
        await until(mark.exists, "the hook of the repository did not run")
        pid = psutil.Process(int(mark.read_text())).ppid()
        name = next((line.name for line in self.report.lines if line.pid == pid), "")
        if not name:
            raise StackError(f"process {pid}, which calls the git server, is none of ours")
        return name, pid


async def until(holds: Callable[[], bool], otherwise: str, seconds: float = 20.0) -> None:
    """Wait for something that another process does. Raises StackError when it does not come."""
    for _ in range(int(seconds / POLL_S)):
        if holds():
            return
        await asyncio.sleep(POLL_S)
    raise StackError(otherwise)


@asynccontextmanager
async def stage() -> AsyncIterator[Stage]:
    """Everything fresh, in `.deedbook/demo`; at the end everything is stopped. The folder stays until the next time."""
    folder = Folder(home() / "demo")
    for name in [name for name in os.environ if name.startswith("DEED_") and name not in KEPT]:
        del os.environ[name]  # the demo is the same everywhere
    if is_held(folder.lock):
        raise Busy(f"A demo already runs in {folder.root}.")
    await asyncio.to_thread(background.end, folder)
    erase(folder.root)
    folder.create()
    repository = _repository(folder.root / "repository")
    programs = await asyncio.to_thread(ensure)
    (folder.root / "servers.toml").write_text(_profile(programs, repository))
    stack, plan = Stack(folder.root), Plan()
    supervisor = Supervisor(plan, stack)
    running = asyncio.create_task(supervisor.run())
    try:
        found = Stage(folder, plan, await _ready(supervisor, running, folder.logs), _ends(stack), repository)
        supervisor.on_change = lambda report: setattr(found, "report", report)
        yield found
    finally:
        supervisor.stopping.set()
        await asyncio.wait((running,))


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


def _ends(stack: Stack) -> Endpoints:
    return Endpoints(stack.kafka.bootstrap, stack.postgres.dsn)


def _repository(folder: Path) -> Path:
    """A real repository with one commit, and a hook that can be slow."""
    for words in (
        ("init", "-q", "-b", "main", str(folder)),
        ("-C", str(folder), "config", "user.name", "Deedbook"),
        ("-C", str(folder), "config", "user.email", "deedbook@example.org"),
        ("-C", str(folder), "commit", "-q", "--allow-empty", "-m", "Begin"),
    ):
        subprocess.run(["git", *words], check=True, timeout=30, env=os.environ | OWN_GIT)
    hook = folder / ".git" / "hooks" / "post-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(HOOK)
    hook.chmod(0o755)
    return folder


def _profile(programs: Path, repository: Path) -> str:
    """The operator's file: the one place where a command line may stand."""
    env = ", ".join(f'{name} = "{value}"' for name, value in OWN_GIT.items())
    return (
        "[servers.git]\n"
        f'argv = ["{programs / "mcp-server-git"}", "--repository", "{repository}"]\n'
        f'cwd = "{repository}"\n'
        'env_from = ["PATH"]\n'
        f"env = {{ {env} }}\n"
    )
