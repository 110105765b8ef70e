"""What README.md tells a newcomer to type works as it stands: an own tool under governance, from nothing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from libs.stack.folders import checkout, home
from libs.stack.scratch import scratch

pytestmark = [pytest.mark.integration, pytest.mark.requirement("L3")]
LIMIT_S = 180
HEADING = "### Your own tool, in ten minutes"


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that looks like a checkout in which `make up` was done."""
    with scratch(home() / "tests") as made:
        (made / ".venv").symlink_to(Path(sys.executable).parent.parent)
        yield made


def typed() -> str:
    """The blocks of the section, as one script that ends with the first line that fails."""
    section = (checkout() / "README.md").read_text().split(HEADING)[1].split("\n## ")[0]
    return "\n".join(["set -e", *re.findall(r"```sh\n(.*?)```", section, re.DOTALL)])


def run(place: Path, *words: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(checkout()), "DEED_HOME": str(place / "data"), "COLUMNS": "200"}
    ended = subprocess.run(
        words, cwd=place, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        timeout=LIMIT_S, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout
    return ended.stdout


def test_an_own_tool_comes_under_governance_as_the_readme_tells(place: Path) -> None:
    deed = str(place / ".venv" / "bin" / "deed")
    try:
        run(place, deed, "up")
        told = run(place, "bash", "-c", typed())
    finally:
        run(place, deed, "down")
    assert "GROUNDING_MISSING" in told
    assert "approver, but not" in told
    assert "approved by ann" in told
    assert re.search(r"ExecutionSucceeded .* line 1\n", told)
    assert (place / "mine" / "notes.txt").read_text() == "Hello\n"
