"""Programs as a person starts them, and what they must not leave behind."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from libs.stack.folders import checkout


@contextmanager
def program(module: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """`python -m module` with a data folder of its own; ended when the test is."""
    started = subprocess.Popen(
        [sys.executable, "-m", module],
        cwd=checkout(),
        env=os.environ | {"DEED_HOME": str(folder), "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield started
    finally:
        started.terminate()  # nothing, when it has ended
        started.communicate(timeout=60)


def left_running(folder: Path) -> list[str]:
    """Processes that name the program's folder in their command line or environment."""
    found = []
    for process in psutil.process_iter(["pid"]):
        try:
            words = process.cmdline() + list(process.environ().values())
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        if process.pid != os.getpid() and any(str(folder) in word for word in words):
            found.append(f"{process.pid} {' '.join(process.cmdline())[:200]}")
    return found
