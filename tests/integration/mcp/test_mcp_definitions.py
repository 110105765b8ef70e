"""A tool that changes after it was accepted is not called (T9, T10), and the older protocol is spoken as well."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from libs.contracts.events import AnswerStatus, EffectClass, FailureCategory, SuccessRule
from libs.testkit.tool_bench import Told, ToolBench, effect, eventually
from libs.testkit.tool_double import effects
from services.execution.adapters.process import Profile
from services.execution.adapters.warm import discover
from services.execution.ports import NotReady

pytestmark = pytest.mark.asyncio
Make = Callable[..., ToolBench]
LEGACY = Path(__file__).parent / "legacy_server.py"


@pytest.mark.requirement("T9")
@pytest.mark.requirement("F2")
async def test_a_definition_that_changes_on_the_second_list_stops_the_tool(make: Make) -> None:
    bench = make("--change-after", "1", definitions_max_age_ms=0)
    tool = await make().tool()
    first = effect()
    assert (await bench.run(tool, first)).status is AnswerStatus.SUCCEEDED
    with pytest.raises(NotReady) as caught:
        await bench.adapter.ready(effect(), tool)
    assert (caught.value.code, caught.value.category) == ("TOOL_CHANGED", FailureCategory.POLICY)
    late = await bench.adapter.call(effect(), tool, lambda: True)
    assert (late.status, late.code) == (AnswerStatus.NOT_SENT, "TOOL_CHANGED")
    assert effects(bench.journal) == [first.key.hex()]


@pytest.mark.requirement("T10")
async def test_a_tool_that_the_server_does_not_offer_is_not_ready(make: Make) -> None:
    bench = make()
    tool = await bench.tool()
    missing = type(tool)("double/a\u0440\u0440ly", tool.entry, profile="double")
    with pytest.raises(NotReady, match="TOOL_MISSING"):
        await bench.adapter.ready(effect(), missing)


@pytest.mark.requirement("T13")
async def test_a_server_that_the_operator_does_not_know_is_never_started(make: Make) -> None:
    bench = make()
    tool = await bench.tool()
    with pytest.raises(NotReady, match="SERVER_UNKNOWN"):
        await bench.adapter.ready(effect(), type(tool)(tool.id, tool.entry, profile="/bin/sh"))


@pytest.fixture
def legacy(make: Make) -> ToolBench:
    profile = Profile(name="legacy", argv=(sys.executable, str(LEGACY)))
    return make(profiles={"legacy": profile}, definitions_max_age_ms=60_000)


@pytest.mark.requirement("F2")
async def test_an_older_server_is_spoken_to_in_its_own_revision(legacy: ToolBench) -> None:
    tool = await legacy.tool("legacy/add", success_rule=SuccessRule.ANSWER, effect_class=EffectClass.READ_ONLY)
    answer = await legacy.run(tool, effect("legacy/add", a=1, b=2))
    assert (answer.status, answer.summary) == (AnswerStatus.SUCCEEDED, "3")
    found = await discover(legacy.profiles["legacy"], 1 << 20, 10_000)
    assert [definition.name for definition in found] == ["add"]


@pytest.mark.requirement("T9")
async def test_a_notice_that_tools_have_changed_makes_us_look_again(legacy: ToolBench) -> None:
    """At once, though nobody calls the tool; whoever watches is told what it is now."""
    tool = await legacy.tool("legacy/add", success_rule=SuccessRule.ANSWER)
    told = Told()
    legacy.adapter.watch(told)
    await legacy.run(tool, effect("legacy/add", a=1, b=2))
    await legacy.run(tool, effect("legacy/add", a=0, b=0))  # from now on it has another description, and says so
    await eventually(lambda: len({hashes["add"] for _, hashes, _ in told.heard}) == 2)
    assert told.heard[0] == ("legacy", {"add": tool.entry.definition_hash}, 0)
    answer = await legacy.adapter.call(effect("legacy/add", a=1, b=2), tool, lambda: True)
    assert (answer.status, answer.code) == (AnswerStatus.NOT_SENT, "TOOL_CHANGED")
    with pytest.raises(NotReady, match="TOOL_CHANGED"):
        await legacy.adapter.ready(effect("legacy/add", a=1, b=2), tool)
