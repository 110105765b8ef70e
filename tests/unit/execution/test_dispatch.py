"""Dispatched when everything is there and still right (F5, guarantees 1)."""

from __future__ import annotations

from typing import Any

import pytest

from libs.contracts import events as e
from libs.ledger.service import DueKind, WaitKind
from libs.testkit.flow import KEY, desk, submit, vote
from libs.testkit.given import Desk
from libs.testkit.samples import (
    AGENT,
    ALICE,
    HOUR,
    HUMAN_RULE,
    NOW,
    changed,
    control,
    policy,
    said,
    server,
    standard_control,
    switch,
    tool,
)
from tests.unit.execution.given import dispatched, names, ready


def test_it_waits_until_everything_is_there() -> None:
    at = desk()
    submit(at)
    while at.names(topic="ledger.execution") == []:
        state = at.state("execution", KEY)
        assert not state.ready
        assert at.step()
    assert "BudgetReserved" in at.names()


def test_a_dispatch_names_what_it_rests_on() -> None:
    at = dispatched()
    body = at.last(e.ExecutionDispatched)
    reserved = next(fact for fact in at.facts if isinstance(fact.body, e.BudgetReserved))
    assert body.reservation_id == reserved.envelope.event_id
    assert body.action_digest == at.last(e.IntentAllowed).action_digest
    assert {result.choke_point for result in body.rechecks} == {e.ChokePoint.EXTERNAL_WRITE}
    effect = at.effects()[0]
    assert (effect.key, effect.attempt, effect.tool, effect.server) == (KEY, 1, "git/commit", "git")
    assert (effect.arguments, effect.expires_at) == ('{"message":"hello","repo":"r1"}', NOW + HOUR)
    assert (effect.tenant, effect.account, effect.capability) == ("acme", "main", "vcs")
    assert (effect.effect_class, effect.timeout_ms, effect.stop_code) == ("OPAQUE", 1_000, "")


def test_without_capacity_it_stays_ready() -> None:
    at = ready()
    waiting = at.waits("execution", KEY)
    assert waiting is not None
    assert (waiting.kind, waiting.due_at) == (WaitKind.READY, NOW + HOUR)
    at.capacity = 1
    assert names(at.due("execution", KEY, DueKind.READY)) == ["ExecutionDispatched"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (tool(definition={"name": "other"}), "TOOL_CHANGED"),
        (tool(effect=e.EffectKind.READ), "TOOL_CHANGED"),
        (tool(cost_class=e.CostClass.MEDIUM), "TOOL_CHANGED"),
        (tool(price_micros=101), "PRICE_CHANGED"),
        (e.ToolRemoved(**said(tool="git/commit")), "TOOL_UNKNOWN"),
        (e.ToolQuarantined(**said(tool="git/commit", code="CHANGED")), "TOOL_QUARANTINED"),
        (e.ServerRemoved(**said(server="git")), "SERVER_UNKNOWN"),
    ],
)
def test_what_no_longer_holds_is_refused_at_dispatch(change: Any, code: str) -> None:
    at = ready()
    at.capacity = 1
    at.under(control(change, start=standard_control()))
    assert names(at.due("execution", KEY, DueKind.READY)) == ["ExecutionRefused"]
    assert at.last(e.ExecutionRefused).code == code
    assert at.effects() == []


@pytest.mark.requirement("B1")
@pytest.mark.parametrize("effect", e.EffectKind)
@pytest.mark.parametrize("cost_class", e.CostClass)
@pytest.mark.parametrize(
    ("change", "code"),
    [
        (e.ServerRemoved(**said(server="git")), "SERVER_UNKNOWN"),
        (server(tenants=("other",)), "SERVER_UNKNOWN"),
        (tool(roles_allowed=("nobody",)), "ROLE_MISSING"),
        (policy(tools={"allow": []}), "TOOL_NOT_ALLOWED"),
        (policy(grounding={"required_for": ["READ", "WRITE"]}), "GROUNDING_MISSING"),
        (switch(), "KILLED"),
    ],
)
def test_what_is_not_allowed_any_more_does_not_run_whatever_it_costs(
    change: Any, code: str, effect: e.EffectKind, cost_class: e.CostClass
) -> None:
    at = ready(effect=effect, cost_class=cost_class)
    at.capacity = 1
    if isinstance(change, e.ToolRegistered):
        change = tool(roles_allowed=("nobody",), effect=effect, cost_class=cost_class)
    at.under(control(change, start=standard_control(effect=effect, cost_class=cost_class)))
    at.due("execution", KEY, DueKind.READY)
    assert at.facts[-1].body.code == code
    assert at.effects() == []


@pytest.mark.requirement("E1")
@pytest.mark.parametrize(
    ("then", "now", "runs"),
    [
        (None, HUMAN_RULE, False),
        (HUMAN_RULE, HUMAN_RULE | {"needed": 2}, False),
        (HUMAN_RULE, HUMAN_RULE | {"roles": ["board"]}, False),
        (HUMAN_RULE, HUMAN_RULE | {"roles": ["approver", "board"]}, True),
        (HUMAN_RULE, HUMAN_RULE | {"tools": ["git/push"], "needed": 2}, True),
        (HUMAN_RULE, None, True),
    ],
)
def test_people_whom_a_newer_policy_wants_must_have_been_asked(then: Any, now: Any, runs: bool) -> None:
    at = desk(standard_control(policy(approvals=[then] if then else [])))
    at.capacity = 0
    submit(at)
    at.run()
    if then:
        at.command(vote(at, ALICE))
        at.run()
    at.capacity = 1
    at.under(control(policy(approvals=[now] if now else [], fields=[{}]), start=at.world.control))
    at.due("execution", KEY, DueKind.READY)
    if runs:
        assert at.names()[-1] == "ExecutionDispatched"
    else:
        assert at.last(e.ExecutionRefused).code == "APPROVAL_CHANGED"
        assert at.effects() == []


@pytest.mark.requirement("E2")
@pytest.mark.parametrize(
    "swap",
    [
        {"arguments": '{"message":"evil"}'},
        {"tool": "git/push"},
        {"account": "spare"},
        {"capability": "net"},
        {"expires_at": NOW + 2 * HOUR},
        {"cost_cap_micros": 5_000},
        {"evidence": (e.Evidence(e.EvidenceKind.SOURCE, "a", "b"),)},
        {"principal": changed(AGENT, subject="agent-2")},
        {"principal": changed(AGENT, tenant="other")},
    ],
)
def test_an_action_swapped_after_validation_never_runs(swap: dict[str, Any]) -> None:
    """Threat T1: whatever of the action is another one, the digest shows it."""
    at = ready()
    view = control(tool("git/push"), start=standard_control())
    accepted = at.facts[0]
    fact = changed(accepted, body=changed(accepted.body, **swap))
    fresh = desk(view)
    for one in (fact, *[f for f in at.facts[1:] if f.topic != "ledger.execution"]):
        fresh.tell("execution", one)
    assert fresh.names() == ["ExecutionRefused"]
    assert fresh.effects() == []


def consented(**grant: Any) -> Desk:
    """The facts of an approved deed in another order: the reservation is told before the consent."""
    at = desk(standard_control(policy(approvals=[HUMAN_RULE])))
    at.capacity = 0
    submit(at)
    at.run()
    at.command(vote(at, ALICE))
    at.run()
    facts = {type(fact.body): fact for fact in at.facts}
    fresh = desk(at.world.control)
    for kind in (e.IntentAccepted, e.BudgetReserved, e.IntentAllowed):
        assert fresh.tell("execution", facts[kind]) == []
    granted = facts[e.ApprovalGranted]
    fresh.tell("execution", changed(granted, body=changed(granted.body, **grant)))
    return fresh


def test_a_reservation_alone_is_no_consent() -> None:
    at = consented()
    assert at.names() == ["ExecutionDispatched"]
    assert at.last(e.ExecutionDispatched).approval_id is not None


@pytest.mark.requirement("E2")
def test_consent_to_another_action_is_no_consent() -> None:
    at = consented(action_digest=b"x" * 32)
    assert at.last(e.ExecutionRefused).code == "DIGEST_MISMATCH"


def test_consent_that_is_over_is_no_consent() -> None:
    at = consented(expires_at=NOW)
    assert at.last(e.ExecutionRefused).code == "APPROVAL_EXPIRED"


def test_a_stop_is_seen_before_capacity() -> None:
    at = ready()
    at.under(standard_control(switch(e.SwitchKind.TOOL, "git/commit")))
    decided = at.due("execution", KEY, DueKind.READY)
    assert names(decided) == ["ExecutionCancelled"]
    body = at.last(e.ExecutionCancelled)
    assert (body.code, body.attempt, body.not_sent, body.by) == ("KILLED", 0, False, "execution")
    assert "SWITCH_TOOL" in body.reason
