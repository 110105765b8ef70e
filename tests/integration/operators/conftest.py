"""A real local system, and the commands of `deed` as an operator gives them: in a pipe, with nothing but words."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from libs.client.cli import build
from libs.runtime.devkeys import Who, mint
from libs.runtime.settings import KafkaSettings, load
from libs.stack.folders import Folder, home
from libs.stack.report import load as load_report
from libs.stack.scratch import scratch
from libs.testkit import seeding
from tests.conftest import wait_for


@dataclass(frozen=True)
class Said:
    """What a command said, and its exit code."""

    out: str
    err: str
    code: int


@dataclass(frozen=True)
class Deed:
    """The program, at the local system of one folder."""

    root: Path

    @property
    def folder(self) -> Folder:
        return Folder(self.root)

    @property
    def log(self) -> KafkaSettings:
        """How to reach its log."""
        port = next(line.ports["kafka"] for line in load_report(self.folder).lines if line.name == "kafka")
        return load(KafkaSettings, kafka_bootstrap=f"127.0.0.1:{port}", lanes=4)

    def submit(self, *numbers: int, token: str = "", **more: Any) -> list[bytes]:
        """Publish intents as an agent does, and wait for those that are accepted to end."""
        agent = token or mint(self.folder.keys, Who("agent-1", seeding.TENANT, "MACHINE", ("account-0",)))
        ids = wait_for(seeding.submit(self.log, [seeding.intent(n, **more) for n in numbers], agent))
        if not token:
            assert wait_for(seeding.outcomes(self.log, set(ids), 30)).keys() >= set(ids)
        return ids

    def run(self, *words: str, given: str = "", **env: str) -> Said:
        """One command, with what is typed into it."""
        unset: dict[str, str | None] = {
            name: None for name in os.environ if name.startswith("DEED_") and name != "DEED_CACHE"
        }
        around = unset | {"DEED_HOME": str(self.root)} | env
        ended = CliRunner().invoke(build(), words, input=given, env=around)
        if ended.exception is not None and not isinstance(ended.exception, SystemExit):
            raise ended.exception
        return Said(ended.stdout, ended.stderr, ended.exit_code)

    def __call__(self, *words: str, **more: str) -> str:
        """What a command that does what is asked prints."""
        said = self.run(*words, **more)
        assert said.code == 0, said
        return said.out

    def json(self, *words: str, **more: str) -> Any:
        """The same as JSON."""
        return json.loads(self(*words, "--json", **more))


@pytest.fixture(scope="package")
def deed() -> Iterator[Deed]:
    """A system of one worker with the built-in tools in force; tests take away what they add."""
    with scratch(home() / "tests") as root:
        found = Deed(root)
        try:
            found("up", "--workers", "1", "--lanes", "4")
            wait_for(seeding.publish(found.log, seeding.standard()))
            yield found
        finally:
            found.run("down")
