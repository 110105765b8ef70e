"""The demo, as a person starts it: it ends well, within its minute, and leaves nothing running."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from libs.stack.folders import home
from libs.stack.scratch import scratch
from tests.programs.running import left_running, program

pytestmark = pytest.mark.integration
LIMIT_S = 150  # a minute alone; other tests may run beside it


@pytest.fixture
def folder() -> Iterator[Path]:
    with scratch(home() / "tests") as made:
        yield made


@pytest.mark.requirement("L3")
@pytest.mark.requirement("T18")
def test_the_demo_tells_its_story_and_leaves_nothing_running(folder: Path) -> None:
    with program("examples.demo", folder) as running:
        told, _ = running.communicate(timeout=LIMIT_S)
    assert running.returncode == 0, told
    parts = ["Git itself says", "FRESHNESS_STALE", "FIELD_DENIED", "BUDGET_EXCEEDED", "approved by ann", "KEY_REUSED"]
    parts += ["DIGEST_MISMATCH", "SWITCH_TOOL", "UNAUTHENTICATED", "kill -9", "git has 1 such commit"]
    parts += ["one outcome per deed"]
    for expected in parts:
        assert expected in told
    assert "WRONG" not in told
    assert left_running(folder) == []


def test_ctrl_c_ends_the_demo_and_all_that_it_started(folder: Path) -> None:
    with program("examples.demo", folder) as running:
        assert running.stdout is not None
        for line in running.stdout:
            if "A read" in line:
                running.send_signal(signal.SIGINT)
                break
        told, _ = running.communicate(timeout=LIMIT_S)
    assert running.returncode == 130, told
    assert left_running(folder) == []
