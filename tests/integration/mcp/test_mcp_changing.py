"""Between the look at a tool and its call the server, its list or its entry may change (T9, F5): what is called is what
was looked at, and what is under way for others goes on."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from libs.contracts.events import AnswerStatus
from libs.testkit.tool_bench import effect, eventually, tool_settings
from services.execution.adapters.mcp import McpAdapter
from services.execution.ports import NotReady
from tests.integration.mcp.hostile_http import Hostile
from tests.integration.mcp.over_http import offered, profile, registered, run

pytestmark = [pytest.mark.asyncio, pytest.mark.requirement("F2")]
S = AnswerStatus


@pytest.mark.requirement("T9")
async def test_while_nobody_knows_what_a_server_offers_now_it_is_not_called(calling: McpAdapter, bad: Hostile) -> None:
    tool, wanted = registered((await offered(profile(bad.port)))["act"], "act"), effect("there/act")
    await calling.ready(wanted, tool)
    connection = calling._servers["there"].connection
    assert connection is not None
    bad.list_waits, listed = asyncio.Event(), bad.methods.count("tools/list")
    connection.transport.definitions_changed = True  # as its notice says
    looking = asyncio.create_task(calling.ready(wanted, tool))  # somebody else wants to call it, too
    await eventually(lambda: bad.methods.count("tools/list") > listed)
    answer = await calling.call(wanted, tool, lambda: True)
    assert (answer.status, answer.code, bad.calls) == (S.NOT_SENT, "LOOK_AGAIN", [])
    bad.list_waits.set()
    await looking
    assert (await calling.call(wanted, tool, lambda: True)).status is S.SUCCEEDED


@pytest.mark.requirement("T9")
async def test_one_that_says_so_again_and_again_is_refused(calling: McpAdapter, bad: Hostile) -> None:
    tool, wanted = registered((await offered(profile(bad.port)))["act"], "act"), effect("there/act")
    await calling.ready(wanted, tool)
    connection = calling._servers["there"].connection
    assert connection is not None
    codes = []
    for _ in range(10):
        connection.transport.definitions_changed = True
        codes.append((await calling.call(wanted, tool, lambda: True)).code)
        await calling.ready(wanted, tool)
    assert set(codes) == {"LOOK_AGAIN", "TOOL_CHANGED"}
    assert codes[-1] == "TOOL_CHANGED"
    assert bad.calls == []


@pytest.mark.requirement("F5")
async def test_a_list_that_fails_does_not_cut_off_the_calls_of_others(bad: Hostile, tmp_path: Path) -> None:
    adapter = McpAdapter({"there": profile(bad.port)}, tool_settings(tmp_path, definitions_max_age_ms=0))
    tool = registered((await offered(profile(bad.port)))["act"], "act")
    working = asyncio.create_task(run(adapter, tool, effect("there/act", 2_000, mode="hang")))
    await eventually(lambda: len(bad.calls) == 1)
    bad.list_fails = True
    with pytest.raises(NotReady, match="SERVER_LIST_FAILED"):
        await adapter.ready(effect("there/act"), tool)
    answer = await working
    assert (answer.status, answer.code) == (S.AMBIGUOUS, "TIMEOUT")  # and not CONNECTION_LOST
    await adapter.close()


@pytest.mark.requirement("T9")
async def test_a_definition_that_was_looked_at_long_ago_is_looked_at_again_before_a_call(
    calling: McpAdapter, bad: Hostile
) -> None:
    """Between `ready` and `call` the gate may wait for the switches, or for the lease, as long as it takes."""
    tool, wanted = registered((await offered(profile(bad.port)))["act"], "act"), effect("there/act")
    await calling.ready(wanted, tool)
    connection = calling._servers["there"].connection
    assert connection is not None
    connection._listed_at -= 3_600
    answer = await calling.call(wanted, tool, lambda: True)
    assert (answer.status, answer.code, bad.calls) == (S.NOT_SENT, "LOOK_AGAIN", [])
    assert (await run(calling, tool, wanted)).status is S.SUCCEEDED


async def test_a_server_whose_entry_has_changed_gets_nothing_new_however_busy_it_is(
    bad: Hostile, tmp_path: Path
) -> None:
    profiles = {"there": profile(bad.port, headers={"Authorization": "Bearer old"})}
    adapter = McpAdapter(profiles, tool_settings(tmp_path))
    tool = registered((await offered(profile(bad.port)))["act"], "act")
    await adapter.ready(effect("there/act"), tool)
    hanging = asyncio.create_task(run(adapter, tool, effect("there/act", 3_000, mode="hang")))
    await eventually(lambda: len(bad.calls) == 1)
    profiles["there"] = profile(bad.port, headers={"Authorization": "Bearer new"})
    assert (await run(adapter, tool, effect("there/act"))).status is S.SUCCEEDED
    assert bad.heads[-1]["authorization"] == "Bearer new"
    assert (await hanging).code == "TIMEOUT"  # what was under way was not cut off
    await eventually(lambda: not adapter._leaving)
    await adapter.close()
