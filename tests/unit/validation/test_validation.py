"""Allowed or blocked, once, with every result, and with all that later steps need."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from libs.contracts import events as e
from libs.governance.subject import action_digest, subject_of
from libs.governance.validators import CITED_MAX, citations
from libs.ledger.service import CitedNeeded
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


@pytest.mark.requirement("E1")
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


@pytest.mark.requirement("B1")
def test_an_expensive_operation_passes_a_choke_point_of_its_own() -> None:
    at = judged(standard_control(cost_class=e.CostClass.EXPENSIVE))
    points = [result.choke_point for result in at.last(e.IntentAllowed).results]
    assert points.count(e.ChokePoint.STEP_EXECUTION) == 6
    assert points.count(e.ChokePoint.EXPENSIVE_OPERATION) == 6


@pytest.mark.requirement("B2")
def test_a_warning_alters_nothing() -> None:
    at = judged(wanted=intent(data_sources=(e.DataSource("crm", NOW - 100 * SECOND),)))
    assert at.last(e.IntentAllowed).verdict is e.Verdict.WARN
    assert at.last(e.ExecutionDispatched).attempt == 1


@pytest.mark.requirement("B3")
def test_the_verdict_is_given_once() -> None:
    at = judged()
    accepted = at.facts[0]
    at.under(standard_control(switch())).at(NOW + 2 * HOUR)
    assert at.tell("validation", accepted) == []


# -- cited ledger events


EVENT = e.Evidence(e.EvidenceKind.LEDGER_EVENT, "b" * 32, "a" * 32)
CITED = (bytes.fromhex(EVENT.type), bytes.fromhex(EVENT.id))


def citing(owner: str | None, *evidence: e.Evidence) -> Desk:
    """An intent that cites events, all of which somebody owns ("" = nobody, None = it could not be asked)."""
    at = whole_desk()
    wanted = intent(evidence=evidence or (EVENT,))
    cited = {(bytes.fromhex(one.type), bytes.fromhex(one.id)): owner for one in wanted.evidence}
    at.world = replace(at.world, cited=cited)
    submit(at, wanted)
    return at.run()


def grounds(at: Desk) -> list[e.ValidatorResult]:
    body = at.facts[1].body
    return [result for result in body.results if result.validator == "grounding"]


@pytest.mark.requirement("B5")
def test_an_event_of_the_tenant_is_evidence_and_the_verdict_says_so() -> None:
    (result,) = grounds(citing("acme"))
    assert (result.verdict, result.target) == (e.Verdict.ALLOW, "a" * 32)
    assert result.reason == "the cited event is on the ledger"


@pytest.mark.requirement("B5")
@pytest.mark.parametrize(
    ("owner", "code"), [("", "EVIDENCE_UNKNOWN"), ("rival", "EVIDENCE_UNKNOWN"), (None, "EVIDENCE_UNREADABLE")]
)
def test_an_event_that_is_not_the_tenants_or_cannot_be_asked_for_blocks(owner: str | None, code: str) -> None:
    at = citing(owner)
    blocked = at.last(e.IntentBlocked)
    assert (blocked.code, grounds(at)[0].target) == (code, "a" * 32)
    assert "rival" not in blocked.reason


def test_nothing_is_decided_before_the_events_were_looked_up() -> None:
    at = whole_desk()
    submit(at, intent(evidence=(EVENT, EVENT)))
    with pytest.raises(CitedNeeded) as needed:
        at.run()
    assert needed.value.citations == (CITED,)
    assert at.names() == ["IntentAccepted"]


def test_only_so_many_events_are_looked_up() -> None:
    many = [e.Evidence(e.EvidenceKind.LEDGER_EVENT, "b" * 32, f"{n:032x}") for n in range(CITED_MAX + 1)]
    at = citing("acme", *many)
    assert at.last(e.IntentBlocked).code == "GROUNDING_SHAPE"
    assert len(grounds(at)) == CITED_MAX + 1


def test_intents_without_such_evidence_ask_for_nothing() -> None:
    assert citations(subject_of(judged().facts[0])) == ()
