"""The last lines of logs, and what comes after them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from libs.stack.errors import NoSuchLog

POLL_S = 0.2


def lines(folder: Path, name: str, last: int, follow: bool) -> Iterator[str]:
    """Lines of one log, or of all with the name before each. Endless when `follow`. Raises NoSuchLog."""
    ends: dict[Path, int] = {}
    for file in _files(folder, name):
        text = file.read_bytes()
        ends[file] = len(text)
        for line in deque(text.decode(errors="replace").splitlines(), maxlen=last):
            yield _labelled(file, line, name)
    while follow:
        fresh = False
        for file in _files(folder, name):
            for line in _since(file, ends):
                fresh = True
                yield _labelled(file, line, name)
        if not fresh:
            time.sleep(POLL_S)


def _since(file: Path, ends: dict[Path, int]) -> list[str]:
    """Whole lines that were added; from the start when the log was begun anew."""
    end = ends.get(file, 0)
    if file.stat().st_size < end:
        end = 0
    with file.open("rb") as stream:
        stream.seek(end)
        text = stream.read()
    whole = text[: text.rfind(b"\n") + 1]
    ends[file] = end + len(whole)
    return whole.decode(errors="replace").splitlines()


def _files(folder: Path, name: str) -> list[Path]:
    found = sorted(folder.glob("*.log"))
    if not name:
        return found
    chosen = [file for file in found if file.stem == name]
    if not chosen:
        names = ", ".join(file.stem for file in found) or "none"
        raise NoSuchLog(f"There is no log of {name}; there are: {names}.")
    return chosen


def _labelled(file: Path, line: str, name: str) -> str:
    return line if name else f"{file.stem:<12} {line}"
