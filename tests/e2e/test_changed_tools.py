"""A tool whose server changes its definition goes out of use for everybody until somebody accepts it (T9)."""

from __future__ import annotations

import sys
import uuid
from functools import partial
from typing import Any

import pytest

from libs.contracts.events import (
    AcceptTool,
    CostClass,
    EffectClass,
    EffectKind,
    OutcomeStatus,
    RegisterServer,
    RegisterTool,
    SuccessRule,
    ToolQuarantined,
    Transport,
)
from libs.testkit import seeding
from libs.testkit.tool_bench import entry_of
from services.execution.adapters.process import Profile
from services.execution.adapters.warm import discover
from tests.faults.building import FICKLE
from tests.faults.rig import Rig, until

pytestmark = pytest.mark.integration
TOOL = "fickle/add"


@pytest.mark.requirement("T9")
@pytest.mark.requirement("F2")
async def test_a_changed_tool_is_in_quarantine_for_all_until_it_is_accepted(rig: Rig) -> None:
    (definition,) = await discover(Profile("fickle", (sys.executable, str(FICKLE))), 1 << 20, 20_000)
    entry = entry_of(
        "fickle", definition, effect=EffectKind.READ, effect_class=EffectClass.READ_ONLY,
        success_rule=SuccessRule.ANSWER, cost_class=CostClass.CHEAP, capability="sum",
    )  # fmt: skip
    server: dict[str, Any] = {"server": "fickle", "transport": Transport.STDIO, "profile": "fickle"}
    await rig.system.seed([RegisterServer(**_head(), **server), RegisterTool(**_head(), tool=TOOL, entry=entry)])
    assert await _add(rig, 1, 2) == (OutcomeStatus.SUCCEEDED, "")
    assert await _add(rig, 0, 0) == (OutcomeStatus.SUCCEEDED, "")  # from now on it is another tool, and says so

    (quarantined,) = await until(partial(_quarantined, rig), "nobody was told")
    assert (quarantined.code, quarantined.by) == ("TOOL_CHANGED", "deedbook/execution")
    assert quarantined.observed_hash not in (None, definition.hash)
    assert definition.hash.hex() in quarantined.reason
    assert await until(partial(_add_unless_done, rig), "it is in use") == (OutcomeStatus.BLOCKED, "TOOL_QUARANTINED")

    accepted = AcceptTool(**_head(), tool=TOOL, definition_hash=quarantined.observed_hash)
    await rig.system.seed([accepted])
    assert await until(partial(_add_unless_blocked, rig), "it is not in use") == (OutcomeStatus.SUCCEEDED, "")
    assert len(await _quarantined(rig)) == 1
    await rig.prove()


async def _quarantined(rig: Rig) -> list[ToolQuarantined]:
    await rig.witness.catch_up()
    return [fact.body for fact in rig.witness.of("ledger.control") if isinstance(fact.body, ToolQuarantined)]


async def _add(rig: Rig, a: int, b: int) -> tuple[OutcomeStatus, str]:
    """One sum through the whole system, and how it ended."""
    intent = seeding.intent(f"sum-{uuid.uuid4().hex}", TOOL, capability="sum", arguments=f'{{"a":{a},"b":{b}}}')
    (key,) = await rig.submit([intent])

    async def ended() -> Any:
        await rig.witness.catch_up()
        return rig.witness.outcomes().get(key)

    outcome = await until(ended, "the sum does not end")
    return outcome.status, outcome.code


async def _add_unless_done(rig: Rig) -> tuple[OutcomeStatus, str] | None:
    """Until the workers have read the quarantine, the adapter is what refuses."""
    found = await _add(rig, 1, 2)
    assert found[0] is not OutcomeStatus.SUCCEEDED
    return found if found[0] is OutcomeStatus.BLOCKED else None


async def _add_unless_blocked(rig: Rig) -> tuple[OutcomeStatus, str] | None:
    found = await _add(rig, 1, 2)
    return None if found[0] is OutcomeStatus.BLOCKED else found


def _head() -> dict[str, Any]:
    return {
        "command_id": uuid.uuid4().bytes, "principal": seeding.OPERATOR, "reason": "a test",
        "issued_at": seeding.now_at(),
    }  # fmt: skip
