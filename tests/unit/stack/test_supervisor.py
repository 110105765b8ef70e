"""Whatever ends the supervisor, what it started is stopped: nobody else would stop it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from libs.stack.folders import Folder
from libs.stack.report import load
from libs.stack.shapes import Plan
from libs.stack.supervisor import Supervisor


class Servers:
    """A stack that cannot be started; what is asked of it is kept."""

    ours = ()

    def __init__(self, folder: Path, error: Exception) -> None:
        self.folder, self._error = Folder(folder), error
        self.folder.create()
        self.asked: list[str] = []

    def hold(self) -> None:
        self.asked.append("hold")

    def start(self) -> None:
        raise self._error

    def stop(self) -> None:
        self.asked.append("stop")


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), RuntimeError("a bug")])
async def test_an_error_that_nobody_foresaw_stops_everything(tmp_path: Path, error: Exception) -> None:
    servers: Any = Servers(tmp_path / "home", error)
    with pytest.raises(type(error)):
        await Supervisor(Plan(), servers, rows=[]).run()
    assert servers.asked == ["hold", "stop"]
    report = load(servers.folder)
    assert (report.phase, str(error) in report.message) == ("failed", True)


async def test_a_report_that_cannot_be_saved_keeps_nothing_from_being_stopped(tmp_path: Path) -> None:
    servers: Any = Servers(tmp_path / "home", RuntimeError("a bug"))
    servers.folder.state.with_suffix(".new").mkdir()
    with pytest.raises(RuntimeError, match="a bug"):
        await Supervisor(Plan(), servers, rows=[]).run()
    assert servers.asked == ["hold", "stop"]
