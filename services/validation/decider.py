"""May it go on, on these grounds? All validators of the choke points speak once; the worst verdict counts."""

from __future__ import annotations

import msgspec

from libs.contracts.events import IntentAccepted, IntentAllowed, IntentBlocked
from libs.governance.choke_points import NO_POLICY, Evaluation, evaluate, points_at_validation
from libs.governance.control import Tool
from libs.governance.policy import ApprovalRule, PolicySnapshot, approval_rule
from libs.governance.redact import display, parse_canonical
from libs.governance.subject import Subject, action_digest, subject_of, target_of
from libs.governance.validators import citations, ground_for
from libs.ledger.service import CitedNeeded, Decision, Event, Fact, Input, World


class ValidationState(msgspec.Struct, frozen=True, omit_defaults=True):
    """Whether the verdict was given: it is never given twice (B3)."""

    decided: bool = False


INITIAL = ValidationState()
_DECIDED = ValidationState(decided=True)
_VERDICTS = (IntentAllowed, IntentBlocked)


def decide(item: Input, state: ValidationState, world: World) -> list[Decision]:
    """An accepted intent is allowed or blocked. When it expires is its holder's business, not ours."""
    match item:
        case Fact(body=IntentAccepted()) if not state.decided:
            return [Event(_judge(subject_of(item), world))]
        case _:
            return []


def evolve(state: ValidationState, fact: Fact) -> ValidationState:
    """Only own verdicts are kept."""
    return _DECIDED if isinstance(fact.body, _VERDICTS) else state


def _judge(subject: Subject, world: World) -> IntentAllowed | IntentBlocked:
    if unknown := [one for one in citations(subject) if one not in world.cited]:
        raise CitedNeeded(unknown)
    ground = ground_for(world.control, subject.tenant, subject.tool, world.now_at, world.cited)
    evaluation = evaluate(points_at_validation(ground.tool), subject, ground)
    blocking, tool, snapshot = evaluation.blocking, ground.tool, ground.snapshot
    if blocking is not None or tool is None or snapshot is None or snapshot.policy is None:
        code, reason = (blocking.code, blocking.reason) if blocking else ("GATE_FAILED", "a gate did not answer")
        return IntentBlocked(evaluation.results, code, reason, snapshot.hash if snapshot else NO_POLICY)
    entry = tool.entry
    rule = approval_rule(snapshot.policy, subject.tool, entry.cost_class, entry.effect)
    return _allow(subject, (tool, snapshot), evaluation, rule, world.now_at)


def _allow(
    subject: Subject,
    grounds: tuple[Tool, PolicySnapshot],
    evaluation: Evaluation,
    rule: ApprovalRule | None,
    now_at: int,
) -> IntentAllowed:
    (tool, snapshot), entry = grounds, grounds[0].entry
    target = target_of(subject, entry)
    return IntentAllowed(
        verdict=evaluation.verdict,
        results=evaluation.results,
        human_required=rule is not None,
        approvals_needed=rule.needed if rule else 0,
        approver_roles=rule.roles if rule else (),
        action_digest=action_digest(subject, entry.definition_hash, target, snapshot.hash),
        policy_hash=snapshot.hash,
        tool=tool.id,
        tool_hash=entry.definition_hash,
        server=entry.server,
        price_micros=entry.price_micros,
        cost_class=entry.cost_class,
        effect_class=entry.effect_class,
        effect=entry.effect,
        target=target,
        display=display(parse_canonical(subject.arguments)),
        expires_at=subject.expires_at,
        requester=subject.actor,
        approval_expires_at=min(subject.expires_at, now_at + rule.within_ms * 1000) if rule else None,
        cost_cap_micros=subject.cost_cap_micros,
    )
