"""All validators speak, in their order; the worst verdict counts; an error is a refusal (B1-B5, B7)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from libs.contracts import events as e
from libs.governance.choke_points import (
    CHOKE_POINTS,
    FINDINGS_MAX,
    Evaluation,
    evaluate,
    points_at_dispatch,
    points_at_validation,
)
from libs.governance.subject import Subject, target_of
from libs.governance.validators import Finding, Ground, ground_for
from libs.testkit.samples import (
    NOW,
    SECOND,
    budget,
    changed,
    control,
    policy,
    server,
    standard_control,
    switch,
    tool,
    tool_entry,
)

P, V = e.ChokePoint, e.Verdict
SUBJECT = Subject(
    intent_id=b"i" * 16,
    tenant="acme",
    account="main",
    actor="agent-1",
    actor_kind=e.ActorKind.MACHINE,
    tool="git/commit",
    capability="vcs",
    arguments='{"message":"hello","options":{"force":true}}',
    expires_at=NOW + SECOND,
    content_digest=b"c" * 32,
    roles=("agent",),
)
STEP = (P.STEP_EXECUTION,)


def judged(control_view: Any = None, at: int = NOW, **more: Any) -> Evaluation:
    subject = changed(SUBJECT, **more)
    return evaluate(STEP, subject, ground_for(control_view or standard_control(), "acme", subject.tool, at))


def codes(evaluation: Evaluation) -> list[str]:
    return [result.code for result in evaluation.results if result.verdict is not V.ALLOW]


def test_a_sound_intent_is_allowed_by_every_validator_in_order() -> None:
    found = judged()
    assert found.verdict is V.ALLOW
    order = ["switches", "registry", "compliance", "freshness", "grounding", "cost"]
    assert [result.validator for result in found.results] == order


@pytest.mark.requirement("B2")
def test_all_validators_run_even_when_the_first_blocks() -> None:
    view = standard_control(switch(), policy(tools={"allow": []}))
    found = judged(view, tool="git/none", cost_cap_micros=1)
    assert codes(found) == ["SWITCH_GLOBAL", "TOOL_UNKNOWN", "TOOL_NOT_ALLOWED", "PRICE_UNKNOWN"]
    assert found.verdict is V.BLOCK
    assert found.blocking is not None
    assert found.blocking.code == "SWITCH_GLOBAL"


@pytest.mark.requirement("B7")
@pytest.mark.parametrize(
    ("view", "code"),
    [
        (control(server(), tool(), budget()), "POLICY_MISSING"),
        (standard_control(policy("acme", tools={"allow": []})), "TOOL_NOT_ALLOWED"),
        (standard_control(policy(tools={"allow": ["*"], "deny": ["git/commit"]})), "TOOL_DENIED"),
        (control(tool(), policy(), budget()), "SERVER_UNKNOWN"),
        (standard_control(server(tenants=("evil",))), "SERVER_UNKNOWN"),
        (standard_control(roles_allowed=("committer",)), "ROLE_MISSING"),
        (standard_control(capability="net"), "CAPABILITY_MISMATCH"),
        (standard_control(target_path="repository"), "TARGET_MISSING"),
        (standard_control(policy(grounding={"required_for": ["WRITE"]})), "GROUNDING_MISSING"),
        (standard_control(policy(freshness={"required_for": ["WRITE"]})), "FRESHNESS_UNKNOWN"),
        (standard_control(policy(fields=[{"deny": ["options.force"]}])), "FIELD_DENIED"),
        (standard_control(policy(fields=[{"deny": ["options"]}])), "FIELD_DENIED"),
        (standard_control(policy(fields=[{"tools": ["git/*"], "allow": ["message"]}])), "FIELD_NOT_ALLOWED"),
    ],
)
def test_what_is_not_allowed_is_blocked(view: Any, code: str) -> None:
    assert code in codes(judged(view))
    assert judged(view).verdict is V.BLOCK


@pytest.mark.parametrize(
    "view",
    [
        standard_control(policy(fields=[{"allow": ["message", "options.*"]}])),
        standard_control(policy(fields=[{"tools": ["git/push"], "deny": ["*"]}])),
        standard_control(roles_allowed=("agent",)),
        standard_control(target_path="message"),
    ],
)
def test_what_is_allowed_passes(view: Any) -> None:
    assert judged(view).verdict is V.ALLOW


@pytest.mark.requirement("B4")
@pytest.mark.parametrize(
    ("age_ms", "verdict", "code"),
    [
        (0, V.ALLOW, ""),
        (60_000, V.ALLOW, ""),
        (60_001, V.WARN, "FRESHNESS_AGING"),
        (300_000, V.WARN, "FRESHNESS_AGING"),
        (300_001, V.BLOCK, "FRESHNESS_STALE"),
        (-60_000, V.ALLOW, ""),
        (-60_001, V.BLOCK, "FRESHNESS_FUTURE"),
    ],
)
def test_freshness_warns_then_blocks(age_ms: int, verdict: e.Verdict, code: str) -> None:
    found = judged(data_sources=(e.DataSource("crm", NOW - age_ms * 1_000),))
    assert found.verdict is verdict
    assert "".join(codes(found)) == code


def test_a_source_without_a_limit_is_blocked() -> None:
    view = standard_control(policy(freshness={"sources": {"crm": {"soft_ms": 1, "hard_ms": 1}}}))
    assert codes(judged(view, data_sources=(e.DataSource("erp", NOW),))) == ["FRESHNESS_UNDEFINED"]


@pytest.mark.requirement("B5")
@pytest.mark.parametrize(
    ("kind", "type_", "name", "fits"),
    [
        (e.EvidenceKind.SOURCE, "doc", "1", True),
        (e.EvidenceKind.SOURCE, "", "1", False),
        (e.EvidenceKind.RECORD, "row", " ", False),
        (e.EvidenceKind.LEDGER_EVENT, "b" * 32, "a" * 32, True),
        (e.EvidenceKind.LEDGER_EVENT, "b" * 32, "01234567-89ab-4def-8123-456789abcdef", True),
        (e.EvidenceKind.LEDGER_EVENT, "01234567-89ab-4def-8123-456789abcdef", "a" * 32, True),
        (e.EvidenceKind.LEDGER_EVENT, "", "a" * 32, False),
        (e.EvidenceKind.LEDGER_EVENT, "x", "a" * 32, False),
        (e.EvidenceKind.LEDGER_EVENT, "b" * 32, "A" * 32, False),
    ],
)
def test_evidence_has_a_shape(kind: e.EvidenceKind, type_: str, name: str, fits: bool) -> None:
    found = judged(evidence=(e.Evidence(kind, type_, name),))
    assert codes(found) == ([] if fits else ["GROUNDING_SHAPE"])


def test_the_intents_own_cap_can_only_refuse_and_its_class_says_nothing() -> None:
    assert judged(cost_cap_micros=100).verdict is V.ALLOW
    assert codes(judged(cost_cap_micros=99)) == ["COST_CAP"]
    spoofed = judged(standard_control(cost_class=e.CostClass.EXPENSIVE), cost_class=e.CostClass.CHEAP)
    assert (codes(spoofed), spoofed.verdict) == (["COST_CLASS"], V.WARN)


def test_an_error_inside_a_validator_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(subject: Subject, ground: Ground) -> Iterator[Finding]:
        raise ZeroDivisionError("with a secret")

    monkeypatch.setitem(CHOKE_POINTS, P.STEP_EXECUTION, (broken,))
    found = judged()
    assert (found.verdict, codes(found)) == (V.BLOCK, ["VALIDATOR_FAILED"])
    assert "secret" not in found.results[0].reason


def test_findings_are_bounded_and_the_worst_is_kept() -> None:
    many = {f"k{n}": n for n in range(500)}
    view = standard_control(policy(fields=[{"deny": ["*"]}]))
    found = judged(view, arguments=json.dumps(many))
    compliance = [result for result in found.results if result.validator == "compliance"]
    assert len(compliance) == FINDINGS_MAX
    assert (compliance[-1].code, compliance[-1].verdict) == ("MORE_FINDINGS", V.BLOCK)


def test_no_validators_is_no_verdict_but_a_refusal() -> None:
    assert evaluate((), SUBJECT, ground_for(standard_control(), "acme", "git/commit", NOW)).verdict is V.BLOCK


@pytest.mark.requirement("B1")
def test_choke_points_follow_cost_and_effect() -> None:
    cheap, dear = e.CostClass.CHEAP, e.CostClass.EXPENSIVE
    view = standard_control(cost_class=dear)
    assert points_at_validation(view.tools["git/commit"]) == (P.STEP_EXECUTION, P.EXPENSIVE_OPERATION)
    assert points_at_validation(None) == (P.STEP_EXECUTION,)
    assert points_at_dispatch(e.EffectKind.READ, cheap) == (P.STEP_EXECUTION,)
    assert points_at_dispatch(e.EffectKind.WRITE, cheap) == (P.EXTERNAL_WRITE,)
    assert points_at_dispatch(e.EffectKind.READ, dear) == (P.EXPENSIVE_OPERATION,)
    assert points_at_dispatch(e.EffectKind.WRITE, dear) == (P.EXPENSIVE_OPERATION, P.EXTERNAL_WRITE)


@pytest.mark.requirement("B1")
@pytest.mark.parametrize("effect", e.EffectKind)
@pytest.mark.parametrize("cost_class", e.CostClass)
def test_whatever_is_dispatched_is_looked_at_by_every_validator(effect: e.EffectKind, cost_class: e.CostClass) -> None:
    names = {
        validator.__name__ for point in points_at_dispatch(effect, cost_class) for validator in CHOKE_POINTS[point]
    }
    assert names == {"switches", "registry", "compliance", "freshness", "grounding", "cost"}


def test_a_target_is_found_by_the_registrys_path() -> None:
    assert target_of(SUBJECT, tool_entry()) == "git/commit"
    assert target_of(SUBJECT, tool_entry(target_path="message")) == "hello"
    assert target_of(SUBJECT, tool_entry(target_path="nowhere")) == ""
