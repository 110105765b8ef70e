"""A real local system, and the real program `deed` as an operator runs it: in a pipe, with nothing but its words."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from libs.stack.folders import Folder, checkout, home
from libs.stack.scratch import scratch

CALL_S = 60.0


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

    def run(self, *words: str, given: str = "", **env: str) -> Said:
        """One command, with what is typed into it."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("DEED_")}
        cache = {"DEED_CACHE": os.environ["DEED_CACHE"]} if "DEED_CACHE" in os.environ else {}
        ended = subprocess.run(
            [sys.executable, "-m", "libs.client.cli", *words], cwd=checkout(), input=given, capture_output=True,
            text=True, timeout=CALL_S, check=False, env=kept | cache | {"DEED_HOME": str(self.root)} | env,
        )  # fmt: skip
        return Said(ended.stdout, ended.stderr, ended.returncode)

    def __call__(self, *words: str, **more: str) -> str:
        """What a command that does what is asked prints."""
        said = self.run(*words, **more)
        assert said.code == 0, said
        return said.out

    def json(self, *words: str, **more: str) -> Any:
        """The same as JSON."""
        return json.loads(self(*words, "--json", **more))


@pytest.fixture(scope="module")
def deed() -> Iterator[Deed]:
    """A system of one worker for the tests of one module."""
    with scratch(home() / "tests") as root:
        found = Deed(root)
        try:
            found("up", "--workers", "1", "--lanes", "4")
            yield found
        finally:
            found.run("down")
