"""What a server offers is held against what was registered, and a difference is reported once (T9)."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from libs.contracts import events as e
from libs.governance.control import ControlView, freshened
from libs.runtime.rpc import Away
from libs.runtime.telemetry import Metrics
from libs.testkit.samples import control, said, server, standard_control, tool
from services.control.reading import check
from services.execution.changes import CODE, Changes, changed, report_of

pytestmark = pytest.mark.requirement("T9")
OTHER, THIRD = b"o" * 32, b"t" * 32
IN_QUARANTINE = e.ToolQuarantined(**said(tool="git/commit", code="BY_HAND"))


def registered(view: ControlView) -> bytes:
    return view.tools["git/commit"].entry.definition_hash


@pytest.mark.parametrize(
    ("view", "profile", "name", "found"),
    [
        (standard_control(), "git", "commit", 1),
        (standard_control(), "hub", "commit", 0),
        (standard_control(), "git", "push", 0),
        (freshened(standard_control(), False), "git", "commit", 0),
        (control(IN_QUARANTINE, start=standard_control()), "git", "commit", 0),
        (control(server("hub"), tool("hub/commit", server="hub"), start=standard_control()), "git", "commit", 1),
    ],
)
def test_a_tool_in_use_that_its_server_offers_otherwise_has_changed(
    view: ControlView, profile: str, name: str, found: int
) -> None:
    assert len(changed(view, profile, {name: OTHER}, view.seq)) == found
    assert changed(view, profile, {name: registered(view)}, view.seq) == []


def test_what_was_accepted_after_a_server_was_started_is_not_held_against_it() -> None:
    view = standard_control()
    before = view.tools["git/commit"].seq - 1
    assert changed(view, "git", {"commit": OTHER}, before) == []
    assert len(changed(view, "git", {"commit": OTHER}, before + 1)) == 1


def test_all_workers_give_the_same_command_and_control_takes_it() -> None:
    [(one, offered)] = changed(standard_control(), "git", {"commit": OTHER}, standard_control().seq)
    first, second = report_of(one, offered, 1), report_of(one, offered, 2)
    assert first.command_id == second.command_id != report_of(one, THIRD, 1).command_id
    assert first.command_id != report_of(msgspec.structs.replace(one, seq=99), offered, 1).command_id
    assert check(first) == first
    assert (first.code, first.observed_hash) == (CODE, OTHER)
    assert OTHER.hex() in first.reason
    assert one.entry.definition_hash.hex() in first.reason


def test_a_change_is_reported_once_and_again_only_if_it_could_not_be() -> None:
    given: list[Any] = []
    away = [True, False, False, False]

    async def give(command: Any) -> str:
        given.append(command)
        if away.pop(0):
            raise Away
        return ""

    async def story() -> None:
        changes = Changes(give, standard_control, Metrics())
        for found in (OTHER, OTHER, OTHER, THIRD):
            changes.offered("git", {"commit": found}, changes.now())
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    asyncio.run(story())
    assert [command.observed_hash for command in given] == [OTHER, OTHER, THIRD]
