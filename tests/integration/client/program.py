"""The program `deed` with a local system that it started itself, and what is in force there."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import msgspec
from typer.testing import CliRunner

from libs.client.cli import build
from libs.contracts.events import BudgetKind, RegisterTool
from libs.runtime.settings import KafkaSettings, load
from libs.stack.folders import home
from libs.stack.scratch import scratch
from libs.testkit import seeding
from tests.conftest import wait_for

LANES = 4
DEED = (sys.executable, "-m", "libs.client.cli")
POLICY = seeding.POLICY | {
    "approvals": [{"tools": ["builtin/sleep"], "needed": 1, "roles": ["approver"], "within_ms": 600_000}],
    "fields": [{"tools": ["builtin/journal"], "deny": ["salary"]}],
}


@dataclass(frozen=True)
class Said:
    """What the program said, and how it ended."""

    out: str
    err: str
    exit_code: int

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    @property
    def object(self) -> dict[str, Any]:
        """The one object of `--json`."""
        found: dict[str, Any] = json.loads(self.out)
        return found


@dataclass(frozen=True)
class Program:
    """`deed`, at a local system of its own."""

    env: dict[str, str]

    def __call__(self, *words: str, given: str = "", **more: str) -> Said:
        """What it says in a pipe, with this input. Inside of this process, which saves a second each time."""
        done = CliRunner().invoke(build(), words, given, env={**self.env, **more})
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return Said(done.stdout, done.stderr, done.exit_code)

    def alone(self, *words: str, **more: str) -> Said:
        """The same as a process of its own."""
        done = subprocess.run(
            [*DEED, *words], env=self.env | more, capture_output=True, text=True, check=False, timeout=120
        )
        return Said(done.stdout, done.stderr, done.returncode)

    def typed(self, keys: bytes, *words: str) -> tuple[str, int]:
        """What is on the terminal when somebody types these keys, and the exit code."""
        ours, theirs = pty.openpty()
        running = subprocess.Popen([*DEED, *words], stdin=theirs, stdout=theirs, stderr=theirs, env=self.env)
        os.close(theirs)
        os.write(ours, keys)
        shown = b""
        with suppress(OSError):  # nobody has the terminal any more
            while piece := os.read(ours, 65_536):
                shown += piece
        os.close(ours)
        return shown.decode(), running.wait(60)

    @property
    def bootstrap(self) -> str:
        """Where its Kafka is."""
        lines = self("ps", "--json").object["lines"]
        return f"127.0.0.1:{next(line['ports']['kafka'] for line in lines if line['name'] == 'kafka')}"


@contextmanager
def local_program() -> Iterator[Program]:
    """Starts a system, puts the built-in tools in force, and stops it again."""
    with scratch(home() / "tests") as root:
        env = {name: value for name, value in os.environ.items() if not name.startswith("DEED_")}
        program = Program(env | {"DEED_HOME": str(root), "COLUMNS": "200", "TERM": "xterm-256color"})
        up = program.alone("up", "--workers", "1", "--lanes", str(LANES))
        assert up.exit_code == 0, up.err
        try:
            wait_for(seeding.publish(load(KafkaSettings, kafka_bootstrap=program.bootstrap, lanes=LANES), seeds()))
            yield program
        finally:
            program.alone("down")


def seeds() -> list[Any]:
    """The built-in tools, of which `sleep` is given up after 300 ms, a budget, and who must be asked."""
    usual = [one for one in seeding.standard(hard_micros=1_000_000, accounts=0) if not is_sleep(one)][:-1]
    entry = msgspec.structs.replace(seeding.builtin_tool("sleep"), timeout_ms=300)
    sleep = [msgspec.structs.replace(one, entry=entry) for one in seeding.standard() if is_sleep(one)]
    return [*usual, *sleep, seeding.budget(BudgetKind.ACCOUNT, "acme/main", 100_000), seeding.policy(POLICY)]


def is_sleep(command: Any) -> bool:
    return isinstance(command, RegisterTool) and command.tool == "builtin/sleep"
