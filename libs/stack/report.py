"""What the supervisor says about its processes, as a file that others read: whole or not at all, never a lock."""

from __future__ import annotations

import msgspec

from libs.stack import processes
from libs.stack.errors import StackError
from libs.stack.folders import Folder
from libs.stack.stack import OWNER


class Line(msgspec.Struct, frozen=True):
    """One process. `state`: starting, running, waiting (for its restart), stopped, orphan (its supervisor died)."""

    name: str
    state: str
    pid: int | None = None
    restarts: int = 0
    ports: dict[str, int] = {}
    ready: bool = False
    why: str = ""


class Report(msgspec.Struct, frozen=True):
    """`phase`: starting, ready (all were ready once), failed, stopping, stopped, none (nothing was started)."""

    phase: str
    pid: int = 0
    shape: str = ""
    workers: int = 0
    lanes: int = 0
    message: str = ""
    ready_s: float | None = None
    lines: tuple[Line, ...] = ()


def save(folder: Folder, report: Report) -> None:
    """Replaces the file."""
    fresh = folder.state.with_suffix(".new")
    fresh.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1))
    fresh.replace(folder.state)


def load(folder: Folder) -> Report:
    """What was last said, corrected by who really runs. Raises StackError when one may not look."""
    try:
        report = msgspec.json.decode(folder.state.read_bytes(), type=Report)
    except (FileNotFoundError, NotADirectoryError, msgspec.DecodeError):
        report = Report("none")
    except PermissionError:
        text = f"The data folder {folder.root} is not yours to read: name another one in DEED_HOME."
        raise StackError(text) from None
    owner = processes.remembered(folder.root, OWNER)
    if owner is not None and owner.is_alive() and owner.pid == report.pid:
        return report
    living = {identity.name: identity for identity in processes.alive(folder.run)}
    lines = tuple(
        msgspec.structs.replace(line, state="orphan", ready=False, why="its supervisor is gone: `deed down`")
        for line in report.lines
        if line.name in living
    )
    phase = report.phase if report.phase in ("failed", "none") else "stopped"
    return msgspec.structs.replace(report, phase=phase, lines=lines)
