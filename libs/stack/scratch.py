"""Data folders for a while (tests, benchmarks): each run has its own, and removes what dead runs left behind."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from libs.stack.folders import Folder, held, is_held, turn
from libs.stack.privilege import elsewhere
from libs.stack.stack import stop_orphans

OWNER = "owner.lock"


@contextmanager
def scratch(parent: Path) -> Iterator[Path]:
    """A fresh folder below `parent`, gone afterwards. First, folders whose owner no longer lives are cleaned up:
    their processes are stopped and their data removed."""
    parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # One at a time, so that nobody takes a folder for dead in the moment before its owner holds it.
    with turn(parent / "sweep.lock"):
        for left in parent.iterdir():
            if left.is_dir() and not is_held(left / OWNER):
                stop_orphans(Folder(left))
                erase(left)
        mine = Path(tempfile.mkdtemp(dir=parent, prefix="run-"))
        owned = ExitStack()
        owned.enter_context(held(mine / OWNER, "a fresh folder is nobody else's"))
    try:
        with owned:
            yield mine
    finally:
        erase(mine)


def erase(root: Path) -> None:
    """Removes a data folder, also the part of it that had to live elsewhere (see privilege.py)."""
    shutil.rmtree(elsewhere(root / "postgres"), ignore_errors=True)
    shutil.rmtree(root, ignore_errors=True)
