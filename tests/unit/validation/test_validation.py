"""Allowed or blocked, once, with every result, and with all that later steps need."""

from __future__ import annotations

from typing import Any

import pytest

from libs.contracts import events as e
from libs.governance.subject import action_digest, subject_of
from libs.testkit.flow import KEY, submit
from libs.testkit.flow import desk as whole_desk
from libs.testkit.given import Desk
from libs.testkit.samples import (
    HOUR,
    HUMAN_RULE,
    NOW,
    SECOND,
    budget,
    control,
    intent,
    policy,
    standard_control,
    switch,
)


def judged(view: Any = None, wanted: e.Intent | None = None) -> Desk:
    at = whole_desk(view or standard_control())
    submit(at, wanted)
    at.run()
    return at


def test_an_allowed_intent_carries_what_later_steps_need() -> None:
    at = judged(standard_control(policy(approvals=[HUMAN_RULE | {"needed": 2}])), intent(cost_cap_micros=500))
    body = at.last(e.IntentAllowed)
    accepted = subject_of(at.facts[0])
    tool = at.world.control.tools["git/commit"].entry
    assert body.action_digest == action_digest(accepted, tool.definition_hash, "git/commit", body.policy_hash)
    assert (body.human_required, body.approvals_needed, body.approver_roles) == (True, 2, ("approver",))
    assert body.approval_expires_at == NOW + 60 * SECOND
    assert (body.price_micros, body.cost_cap_micros, body.requester) == (100, 500, "agent-1")
    assert (body.effect, body.effect_class, body.cost_class) == (tool.effect, tool.effect_class, tool.cost_class)
    assert body.display == '{"message":"hello","repo":"r1"}'


def test_an_approval_never_outlives_its_intent() -> None:
    at = judged(standard_control(policy(approvals=[HUMAN_RULE])), intent(expires_at=NOW + SECOND))
    assert at.last(e.IntentAllowed).approval_expires_at == NOW + SECOND


def test_secrets_are_not_displayed() -> None:
    at = judged(wanted=intent(arguments='{"token": "canary"}'))
    assert "canary" not in at.last(e.IntentAllowed).display


@pytest.mark.parametrize(
    ("view", "code"),
    [
        (control(budget()), "TOOL_UNKNOWN"),
        (standard_control(switch()), "SWITCH_GLOBAL"),
        (standard_control(switch(e.SwitchKind.ACCOUNT, "acme/main")), "SWITCH_ACCOUNT"),
        (standard_control(roles_allowed=("committer",)), "ROLE_MISSING"),
        (standard_control(policy(tools={"allow": []})), "TOOL_NOT_ALLOWED"),
    ],
)
def test_a_blocked_intent_says_what_blocked_first(view: Any, code: str) -> None:
    at = judged(view)
    body = at.last(e.IntentBlocked)
    assert body.code == code
    assert body.reason
    assert len({result.validator for result in body.results}) == 6
    assert at.names(KEY) == ["IntentAccepted", "IntentBlocked", "OutcomeRecorded"]


def test_an_expensive_operation_passes_a_choke_point_of_its_own() -> None:
    at = judged(standard_control(cost_class=e.CostClass.EXPENSIVE))
    points = [result.choke_point for result in at.last(e.IntentAllowed).results]
    assert points.count(e.ChokePoint.STEP_EXECUTION) == 6
    assert points.count(e.ChokePoint.EXPENSIVE_OPERATION) == 4


def test_a_warning_alters_nothing() -> None:
    at = judged(wanted=intent(data_sources=(e.DataSource("crm", NOW - 100 * SECOND),)))
    assert at.last(e.IntentAllowed).verdict is e.Verdict.WARN
    assert at.last(e.ExecutionDispatched).attempt == 1


def test_the_verdict_is_given_once() -> None:
    at = judged()
    accepted = at.facts[0]
    at.under(standard_control(switch())).at(NOW + 2 * HOUR)
    assert at.tell("validation", accepted) == []
