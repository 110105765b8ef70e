"""What the demo plays on: a whole system, a real git repository, and the operator's file with the real git server in
it."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from examples.running import Running, fresh, running
from examples.servers import ensure
from libs.stack.errors import StackError

POLL_S = 0.02
OWN_GIT = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null"}  # whatever this machine's git is told
HOOK = """#!/bin/sh
# A slow hook, as large repositories have them: the commit is made, its answer has to wait.
if [ -e .git/slow ]; then echo "$PPID" > .git/committing; mv .git/committing .git/in-hook; sleep 3; fi
"""


@dataclass
class Stage:
    """A running system and the repository that its tools work on."""

    system: Running
    repository: Path

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
        name = next((line.name for line in self.system.report.lines if line.pid == pid), "")
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
    """Everything fresh, in `.deedbook/demo`."""
    folder = await asyncio.to_thread(fresh, "demo")
    repository = _repository(folder.root / "repository")
    programs = await asyncio.to_thread(ensure)
    async with running(folder, _profile(programs, repository)) as system:
        yield Stage(system, repository)


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
    """The operator's file."""
    env = ", ".join(f'{name} = "{value}"' for name, value in OWN_GIT.items())
    return (
        "[servers.git]\n"
        f'argv = ["{programs / "mcp-server-git"}", "--repository", "{repository}"]\n'
        f'cwd = "{repository}"\n'
        'env_from = ["PATH"]\n'
        f"env = {{ {env} }}\n"
    )
