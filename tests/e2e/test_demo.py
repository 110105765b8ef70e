"""The demo, as a person starts it: it ends well, within its minute, and leaves nothing running."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from libs.stack.folders import checkout, home
from libs.stack.scratch import scratch

pytestmark = pytest.mark.integration
LIMIT_S = 150  # a minute alone; other tests may run beside it


@pytest.fixture
def folder() -> Iterator[Path]:
    with scratch(home() / "tests") as made:
        yield made


@contextmanager
def demo(folder: Path) -> Iterator[subprocess.Popen[str]]:
    running = subprocess.Popen(
        [sys.executable, "-m", "examples.demo"],
        cwd=checkout(),
        env=os.environ | {"DEED_HOME": str(folder), "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield running
    finally:
        running.terminate()  # nothing, when it has ended
        running.communicate(timeout=60)


def left_running(folder: Path) -> list[str]:
    """Processes that name the demo's folder in their command line or environment."""
    found = []
    for process in psutil.process_iter(["pid"]):
        try:
            words = process.cmdline() + list(process.environ().values())
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        if process.pid != os.getpid() and any(str(folder) in word for word in words):
            found.append(f"{process.pid} {' '.join(process.cmdline())[:200]}")
    return found


@pytest.mark.requirement("T18")
def test_the_demo_tells_its_story_and_leaves_nothing_running(folder: Path) -> None:
    with demo(folder) as running:
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
    with demo(folder) as running:
        assert running.stdout is not None
        for line in running.stdout:
            if "A read" in line:
                running.send_signal(signal.SIGINT)
                break
        told, _ = running.communicate(timeout=LIMIT_S)
    assert running.returncode == 130, told
    assert left_running(folder) == []
