"""A server that was started before its tool's definition was accepted is started anew before it is judged (F2, T9)."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from libs.contracts.events import AnswerStatus, EffectClass, SuccessRule
from libs.testkit.tool_bench import Registered, Told, effect, entry_of, eventually, tool_settings
from services.execution.adapters.mcp import McpAdapter
from services.execution.adapters.process import Profile
from services.execution.adapters.warm import discover
from services.execution.ports import NotReady

pytestmark = [pytest.mark.asyncio, pytest.mark.requirement("F2"), pytest.mark.requirement("T9")]

SERVER = """
import time
from mcp.server.mcpserver import MCPServer
server = MCPServer("notes")
@server.tool(description="{says}")
def append(text: str, wait: float = 0) -> str:
    time.sleep(wait)
    return "{says}"
server.run()
"""


class Notes:
    """A server whose program is changed on the disk, an adapter that keeps it, and what its watcher heard."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "notes.py"
        self.profile = Profile("notes", (sys.executable, str(self.file)))
        self.adapter = McpAdapter({"notes": self.profile}, tool_settings(folder, definitions_max_age_ms=0))
        self.told = Told()
        self.adapter.watch(self.told)

    async def accepted(self, says: str, seq: int) -> Registered:
        """The program is another one; an operator has looked at it and accepted it."""
        self.file.write_text(SERVER.format(says=says))
        (definition,) = await discover(self.profile, 1 << 20, 20_000)
        given = {"success_rule": SuccessRule.ANSWER, "effect_class": EffectClass.READ_ONLY}
        self.told.at = seq
        return Registered("notes/append", entry_of("notes", definition, **given), profile="notes", seq=seq)

    async def says(self, tool: Registered, wait: float = 0) -> str:
        wanted = effect("notes/append", text="x", wait=wait)
        await self.adapter.ready(wanted, tool)
        answer = await self.adapter.call(wanted, tool, lambda: True)
        assert answer.status is AnswerStatus.SUCCEEDED
        return answer.summary


async def test_what_was_accepted_takes_effect_though_an_older_process_runs(tmp_path: Path) -> None:
    notes = Notes(tmp_path)
    assert await notes.says(await notes.accepted("first", 1)) == "first"
    second = await notes.accepted("second", 2)
    assert set(await asyncio.gather(notes.says(second), notes.says(second))) == {"second"}
    await eventually(lambda: not notes.adapter._leaving)
    starts = {since for _, _, since in notes.told.heard}
    assert starts == {1, 2}  # nobody held the first process against what was accepted after it
    await notes.adapter.close()


async def test_what_the_older_process_is_doing_goes_on(tmp_path: Path) -> None:
    notes = Notes(tmp_path)
    first = await notes.accepted("first", 1)
    assert await notes.says(first) == "first"
    working = asyncio.create_task(notes.says(first, wait=3))
    server = notes.adapter._servers["notes"]
    await eventually(lambda: bool(server.connection and server.connection.in_flight))
    assert await notes.says(await notes.accepted("second", 2)) == "second"
    assert not working.done()
    assert await working == "first"
    await notes.adapter.close()


async def test_a_process_that_is_young_enough_is_held_against_what_was_accepted(tmp_path: Path) -> None:
    notes = Notes(tmp_path)
    second = await notes.accepted("second", 2)
    notes.file.write_text(SERVER.format(says="third"))
    with pytest.raises(NotReady, match="TOOL_CHANGED"):
        await notes.says(second)
    server = notes.adapter._servers["notes"]
    with pytest.raises(NotReady, match="TOOL_CHANGED"):
        await notes.says(second)
    assert notes.adapter._servers["notes"] is server  # and not started anew each time
    await notes.adapter.close()
