"""Every ending of flow.md, section 2, through real processes: what was submitted, what people said, how it ended."""

from __future__ import annotations

import uuid
from functools import partial
from typing import Any

import pytest

from libs.contracts.events import (
    ActorKind,
    ApprovalRequested,
    ApprovalVote,
    BudgetKind,
    Cancel,
    DataSource,
    OutcomeStatus,
    Principal,
    Resolve,
    SwitchKind,
    Vote,
)
from libs.ledger.codec import CATALOGUE
from libs.ledger.partition import lane_of
from libs.testkit import seeding
from tests.faults.rig import Rig, double_intent, until

TENANT = "globex"
POOR = "account-2"
SECOND = 1_000_000
# People must agree to `sleep`, and to nothing else.
POLICY: dict[str, Any] = seeding.POLICY | {
    "approvals": [{"tools": ["builtin/sleep"], "roles": ["approver"], "within_ms": 60_000}]
}
ANN = Principal(TENANT, "ann", ActorKind.HUMAN, tuple(f"account-{n}" for n in range(16)), ("approver", "resolver"))

pytestmark = pytest.mark.integration


async def test_every_deed_ends_as_the_flow_says(rig: Rig) -> None:
    await rig.system.seed(
        [
            seeding.policy(POLICY, TENANT),
            seeding.budget(BudgetKind.TENANT, TENANT, 10**9),
            seeding.budget(BudgetKind.ACCOUNT, f"{TENANT}/{POOR}", 1),
        ]
    )
    now_at = seeding.now_at()
    stale = (DataSource(name="crm", as_of_at=now_at - 3_600 * SECOND),)
    names = {
        "done": double_intent(_key("done"), 20),
        "stale": double_intent(_key("stale"), 20, data_sources=stale),
        "poor": double_intent(_key("poor"), 20, account=POOR),
        "wrong": seeding.intent(_key("wrong"), "builtin/sleep", arguments='{"ms":"soon"}'),
        "agreed": seeding.intent(_key("agreed"), "builtin/sleep"),
        "denied": seeding.intent(_key("denied"), "builtin/sleep"),
        "cancelled": seeding.intent(_key("cancelled"), "builtin/sleep"),
        "late": seeding.intent(_key("late"), "builtin/sleep", expires_at=now_at + 4 * SECOND),
    }
    ids = dict(zip(names, await _submit(rig, list(names.values())), strict=True))

    for name, vote in (("wrong", Vote.APPROVE), ("agreed", Vote.APPROVE), ("denied", Vote.DENY)):
        asked = await _asked(rig, ids[name])
        await _say(rig, ApprovalVote(**_head(ids[name]), vote=vote, action_digest=asked.action_digest))
    await _asked(rig, ids["cancelled"])
    await _say(rig, Cancel(**_head(ids["cancelled"])))
    for name, key in ids.items():
        await until(partial(_ended, rig, key), f"{name} does not end")

    # The tool's server acts and dies, so nothing else may be under way in it.
    (ids["lost"],) = await _submit(rig, [double_intent(_key("lost"), 20, arguments='{"mode":"drop"}')])
    await until(lambda: _in_doubt(rig, ids["lost"]), "the lost answer is not in doubt")
    await _say(rig, Resolve(**_head(ids["lost"]), applied=True, evidence="the tool's own log"))
    await until(lambda: _ended(rig, ids["lost"]), "the resolved deed does not end")
    await rig.prove()
    outcomes = rig.witness.outcomes()
    assert {name: (outcomes[key].status, outcomes[key].code) for name, key in ids.items()} == {
        "done": (OutcomeStatus.SUCCEEDED, ""),
        "stale": (OutcomeStatus.BLOCKED, "FRESHNESS_STALE"),
        "poor": (OutcomeStatus.DENIED, "BUDGET_EXCEEDED"),
        "wrong": (OutcomeStatus.FAILED, "BAD_ARGUMENTS"),
        "agreed": (OutcomeStatus.SUCCEEDED, ""),
        "denied": (OutcomeStatus.DENIED, "DENIED"),
        "cancelled": (OutcomeStatus.CANCELLED, "CANCELLED"),
        "late": (OutcomeStatus.EXPIRED, "APPROVAL_EXPIRED"),
        "lost": (OutcomeStatus.SUCCEEDED, ""),
    }


async def test_a_kill_switch_stops_what_has_not_started(rig: Rig) -> None:
    await rig.system.seed([seeding.switch(SwitchKind.TOOL, "double/apply", stopped=True)])
    number = 0

    async def stopped() -> str:
        """Until the workers have seen the switch, deeds go through: one after the other."""
        nonlocal number
        number += 1
        (key,) = await rig.submit([double_intent(_key("switch"), 0)])
        await until(lambda: _ended(rig, key), "a deed does not end")
        outcome = rig.witness.outcomes()[key]
        return str(outcome.code) if outcome.status is not OutcomeStatus.SUCCEEDED else ""

    try:
        assert await until(stopped, "the switch stops nothing") == "SWITCH_TOOL"
    finally:
        await rig.system.seed([seeding.switch(SwitchKind.TOOL, "double/apply", stopped=False)])
    await rig.prove()


def _key(name: str) -> str:
    """Unique, since the system is shared with other tests."""
    return f"{name}-{uuid.uuid4().hex[:8]}"


def _head(key: bytes) -> dict[str, Any]:
    return {
        "command_id": uuid.uuid4().bytes, "intent_id": key, "principal": ANN, "reason": "a test",
        "issued_at": seeding.now_at(),
    }  # fmt: skip


async def _submit(rig: Rig, intents: list[Any]) -> list[bytes]:
    token = rig.system.token(tenant=TENANT)
    ids = await seeding.submit(rig.system.kafka, intents, token, TENANT)
    rig.wanted.update(ids)
    return ids


async def _say(rig: Rig, command: Any) -> None:
    """What the front ends do with what people say."""
    await rig.publish("commands", lane_of(command.intent_id, rig.system.plan.lanes), CATALOGUE.encode_message(command))


async def _asked(rig: Rig, key: bytes) -> ApprovalRequested:
    async def look() -> list[ApprovalRequested]:
        await rig.witness.catch_up()
        return rig.witness.bodies(ApprovalRequested, "ledger.approval").get(key, [])

    found: list[ApprovalRequested] = await until(look, "nobody is asked")
    return found[0]


async def _in_doubt(rig: Rig, key: bytes) -> bool:
    await rig.witness.catch_up()
    return key in rig.witness.in_doubt()


async def _ended(rig: Rig, key: bytes) -> bool:
    await rig.witness.catch_up()
    return key in rig.witness.outcomes()
