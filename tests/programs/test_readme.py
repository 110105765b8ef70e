"""What README.md tells a newcomer to type works as it stands: an own tool under governance, from nothing."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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
        a_worker_dies_in_the_middle(place, deed)
        asked = the_example_says(place)
        waits = re.fullmatch(r"AWAITING_APPROVAL deed explain (\S+)\n", asked)
        assert waits, asked
        run(place, deed, "--as", "ann", "approve", waits[1], "--yes")
        run(place, deed, "watch", waits[1])
        assert [the_example_says(place) for _ in range(2)] == ["SUCCEEDED line 2 2000\n"] * 2
    finally:
        run(place, deed, "down")
    assert "GROUNDING_MISSING" in told
    assert "approver, but not" in told
    assert "approved by ann" in told
    assert re.search(r"ExecutionSucceeded .* line 1\n", told)
    assert (place / "mine" / "notes.txt").read_text() == "Hello\nInvoice 4711 is paid\n"


def a_worker_dies_in_the_middle(place: Path, deed: str) -> None:
    """The drill, from where the lines of the section end: the call runs."""
    (found,) = [one for one in listed(place, deed, "list") if one["tool"] == "notes/slow"]
    intent = found["intent_id"]
    lane = re.search(r"runs in +lane (\d+) ", run(place, deed, "get", intent))
    assert lane
    lanes = listed(place, deed, "lanes")[0]
    owner = next(one["owner"] for one in lanes if (one["service"], one["lane"]) == ("execution", int(lane[1])))
    pid = int(owner.removeprefix("worker-"))
    assert pid in [one["pid"] for one in listed(place, deed, "ps")[0]["lines"]]
    os.kill(pid, signal.SIGKILL)
    for _ in range(100):  # each look takes half a second
        (found,) = listed(place, deed, "get", intent)
        if found["state"] != "RUNNING":
            break
    assert (found["state"], found["code"]) == ("IN_DOUBT", "OWNER_LOST")


def the_example_says(place: Path) -> str:
    """What the example in Python prints, as a person runs it."""
    (example,) = re.findall(r"```python\n(.*?)```", (checkout() / "README.md").read_text(), re.DOTALL)
    return run(place, str(place / ".venv" / "bin" / "python"), "-c", example)


def listed(place: Path, *words: str) -> list[Any]:
    """The lines of `--json`."""
    return [json.loads(line) for line in run(place, *words, "--json").splitlines()]
