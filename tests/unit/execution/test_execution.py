"""Dispatched when everything is there and still right; ended once; in doubt rather than wrong (F5, guarantees 1)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from libs.contracts import events as e
from libs.ledger.codec import encode_message
from libs.ledger.service import Due, DueKind, Fact, Record, Recover, Result, Stopped, WaitKind
from libs.testkit.flow import KEY, cancel, desk, head, late, resolve, submit, vote
from libs.testkit.given import Desk
from libs.testkit.samples import (
    AGENT,
    ALICE,
    BOB,
    EVE,
    HOUR,
    HUMAN_RULE,
    NOW,
    OLGA,
    READING,
    SECOND,
    WORKER,
    ZERO,
    answer,
    changed,
    control,
    envelope,
    intent,
    policy,
    said,
    standard_control,
    switch,
    tool,
)
from services.execution.decider import INITIAL, ExecutionState, evolve
from services.execution.state import COMMAND_WAIT, Phase

S, C = e.AnswerStatus, e.FailureCategory


def ready(capacity: int = 0, wanted: e.Intent | None = None, **entry: Any) -> Desk:
    """Everything is there; the deed waits for capacity."""
    at = desk(**entry)
    at.capacity = capacity
    submit(at, wanted)
    at.run()
    return at


def dispatched(**entry: Any) -> Desk:
    return ready(1, **entry)


def in_doubt() -> Desk:
    at = dispatched()
    at.result(KEY, answer(S.AMBIGUOUS, code="TIMEOUT", reason="no answer"))
    return at


def names(decided: list[Any]) -> list[str]:
    return [type(decision.body).__name__ for decision in decided]


def code_of(decided: list[Any]) -> str:
    assert names(decided) == ["CommandRejected"]
    code: str = decided[0].body.code
    return code


# -- dispatch


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


# -- answers


@pytest.mark.requirement("F7")
@pytest.mark.parametrize(
    ("status", "category", "entry", "event"),
    [
        (S.SUCCEEDED, C.PERMANENT, {}, "ExecutionSucceeded"),
        (S.FAILED, C.PERMANENT, {}, "ExecutionFailed"),
        (S.FAILED, C.TRANSIENT, {"attempts_max": 3}, "ExecutionFailed"),
        (S.FAILED, C.TRANSIENT, READING, "ExecutionRetryScheduled"),
        (S.FAILED, C.PERMANENT, READING, "ExecutionFailed"),
        (S.NOT_SENT, C.TRANSIENT, {"attempts_max": 3}, "ExecutionRetryScheduled"),
        (S.NOT_SENT, C.TRANSIENT, {}, "ExecutionFailed"),
        (S.NOT_SENT, C.PERMANENT, {"attempts_max": 3}, "ExecutionFailed"),
        (S.AMBIGUOUS, C.TRANSIENT, {"attempts_max": 3}, "ExecutionInDoubt"),
        (S.AMBIGUOUS, C.PERMANENT, {"effect_class": e.EffectClass.QUERYABLE}, "ExecutionInDoubt"),
        (S.AMBIGUOUS, C.PERMANENT, {"effect_class": e.EffectClass.KEYED}, "ExecutionInDoubt"),
        (S.AMBIGUOUS, C.PERMANENT, READING, "ExecutionRetryScheduled"),
        (S.AMBIGUOUS, C.PERMANENT, READING | {"attempts_max": 1}, "ExecutionFailed"),
    ],
)
def test_what_comes_of_an_answer(
    status: e.AnswerStatus, category: e.FailureCategory, entry: dict[str, Any], event: str
) -> None:
    at = dispatched(**entry)
    assert names(at.result(KEY, answer(status, category=category, code="X"))) == [event]
    assert names(at.result(KEY, answer(status, category=category, code="X"))) == []


def test_an_answer_of_another_attempt_changes_nothing() -> None:
    at = dispatched()
    assert at.tell("execution", Result(KEY, 2, answer())) == []
    assert at.tell("execution", Stopped(KEY, 2, "EXPIRED", "")) == []
    assert at.tell("execution", Recover(KEY, 2, True, NOW, NOW)) == []


@pytest.mark.parametrize(("cost", "found"), [(None, 100), (0, 0), (70, 70), (-1, 100), (500, 500)])
def test_the_actual_cost_is_the_answers_or_the_price(cost: int | None, found: int) -> None:
    at = dispatched()
    at.result(KEY, answer(cost_micros=cost))
    assert at.last(e.ExecutionSucceeded).cost_micros == found


@pytest.mark.requirement("F7")
def test_back_off_doubles_is_capped_and_respects_the_tool() -> None:
    at = dispatched(**READING | {"attempts_max": 6, "backoff_ms": 1_000, "backoff_max_ms": 3_000})
    waits = []
    for attempt in range(1, 5):
        at.result(KEY, answer(S.FAILED, category=C.TRANSIENT, retry_after_ms=9_000 if attempt == 4 else None), attempt)
        retry_at = at.last(e.ExecutionRetryScheduled).retry_at
        waits.append((retry_at - at.world.now_at) // 1_000)
        at.at(retry_at).due("execution", KEY)
    for wait, around in zip(waits, (1_000, 2_000, 3_000), strict=False):
        assert around * 0.75 <= wait <= around * 1.25
    assert waits[3] == 9_000


def test_no_attempt_is_planned_that_could_not_start_in_time() -> None:
    at = ready(1, intent(expires_at=NOW + SECOND // 2), **READING)
    at.result(KEY, answer(S.FAILED, category=C.TRANSIENT, code="BUSY"))
    assert at.last(e.ExecutionFailed).code == "BUSY"


def test_quiet_lasts_beyond_the_calls_time_out() -> None:
    at = dispatched(quiet_ms=2_000)
    at.result(KEY, answer(S.AMBIGUOUS))
    assert at.last(e.ExecutionInDoubt).quiet_until_at == NOW + (1_000 + 5_000 + 2_000) * 1_000


def test_a_kill_ends_a_deed_that_waits_for_its_next_attempt() -> None:
    at = dispatched(**READING)
    at.result(KEY, answer(S.FAILED, category=C.TRANSIENT))
    at.under(standard_control(switch(), **READING)).due("execution", KEY, DueKind.READY)
    assert (at.last(e.ExecutionCancelled).attempt, at.last(e.ExecutionCancelled).code) == (1, "KILLED")


# -- Cancel


def test_an_early_cancellation_waits_for_its_intent() -> None:
    at = desk()
    at.command(cancel())
    waiting = at.waits("execution", KEY)
    assert waiting is not None
    assert waiting.due_at == NOW + COMMAND_WAIT
    submit(at)
    at.run()
    assert "ExecutionCancelled" in at.names(KEY)


def test_an_early_cancellation_of_nothing_is_refused_after_a_while() -> None:
    at = desk()
    at.command(cancel())
    assert at.due("execution", KEY) == []
    at.at(NOW + COMMAND_WAIT).due("execution", KEY)
    assert at.last(e.CommandRejected).code == "UNKNOWN_INTENT"
    assert at.waits("execution", KEY) is None
    submit(at)
    at.run()
    assert at.effects()


@pytest.mark.parametrize(
    ("who", "account", "counts"),
    [
        (AGENT, "main", True),
        (ALICE, "main", True),
        (changed(ALICE, accounts=("main", "spare")), "main", False),
        (changed(AGENT, accounts=("main", "spare")), "main", True),
        (changed(ALICE, accounts=()), "main", False),
        (changed(ALICE, accounts=()), "", True),
        (changed(ALICE, accounts=("spare",)), "main", False),
        (EVE, "main", False),
        (changed(EVE, subject="agent-1"), "main", False),
    ],
)
def test_an_early_cancellation_counts_if_it_is_its_givers(who: e.Principal, account: str, counts: bool) -> None:
    at = desk()
    at.command(cancel(who))
    submit(at, intent(account=account))
    at.run()
    assert ("ExecutionCancelled" in at.names()) is counts
    assert ("CommandRejected" in at.names()) is not counts


@pytest.mark.parametrize("who", [EVE, changed(ALICE, accounts=())])
def test_a_stranger_cannot_tell_a_foreign_intent_from_none(who: e.Principal) -> None:
    at = ready()
    before = dict(at.states)
    for command in (cancel(who), resolve(who, applied=True)):
        decided = at.command(command)
        assert code_of(decided) == "UNKNOWN_INTENT"
        assert at.facts[-1].envelope.intent_id == command.command_id
        assert at.facts[-1].envelope.tenant == who.tenant
    assert at.states == before


def test_a_cancellation_is_asked_for_once() -> None:
    at = dispatched()
    first = cancel()
    assert names(at.command(first)) == ["CancelRequested"]
    assert at.command(first) == []
    assert code_of(at.command(cancel(ALICE))) == "ALREADY_REQUESTED"
    at.result(KEY, answer())
    assert code_of(at.command(cancel(ALICE))) == "ALREADY_ENDED"


def test_what_was_decided_elsewhere_has_ended() -> None:
    at = desk(standard_control(switch()))
    submit(at)
    at.run()
    assert code_of(at.command(cancel())) == "ALREADY_ENDED"


# -- Resolve and LateResult


@pytest.mark.parametrize(
    ("who", "more", "code"),
    [
        (ALICE, {}, "ROLE_MISSING"),
        (AGENT, {}, "ROLE_MISSING"),
        (BOB, {"reason": " "}, "REASON_MISSING"),
        (BOB, {"evidence": ""}, "REASON_MISSING"),
        (BOB, {"cost_micros": -1}, "COST_INVALID"),
    ],
)
def test_a_resolution_needs_a_role_a_reason_and_evidence(who: e.Principal, more: dict[str, Any], code: str) -> None:
    assert code_of(in_doubt().command(resolve(who, applied=True, **more))) == code


def test_only_a_doubt_is_resolved_and_only_once() -> None:
    assert code_of(ready().command(resolve(BOB, applied=True))) == "NOT_IN_DOUBT"
    at = in_doubt()
    at.command(resolve(OLGA, applied=True))
    body = at.last(e.ExecutionResolved)
    assert (body.applied, body.cost_micros, body.by) == (True, 100, "olga")
    assert "looked at the repository" in body.evidence
    assert code_of(at.command(resolve(BOB, applied=False))) == "ALREADY_RESOLVED"


def test_a_late_answer_of_an_owner_that_was_lost_counts_as_the_answer() -> None:
    at = dispatched()
    assert names(at.command(late(answer(), WORKER))) == ["ExecutionSucceeded"]


@pytest.mark.parametrize(
    ("given", "events"),
    [
        (answer(), ["LateAnswerRecorded", "ExecutionResolved"]),
        (answer(S.FAILED), ["LateAnswerRecorded", "ExecutionResolved"]),
        (answer(S.NOT_SENT), ["LateAnswerRecorded", "ExecutionResolved"]),
        (answer(S.AMBIGUOUS), ["LateAnswerRecorded"]),
    ],
)
def test_a_late_answer_ends_a_doubt_if_it_is_definite(given: e.ToolAnswer, events: list[str]) -> None:
    at = in_doubt()
    command = late(given, WORKER)
    assert names(at.command(command)) == events
    assert at.command(command) == []
    if len(events) == 2:
        assert at.last(e.ExecutionResolved).applied is (given.status is S.SUCCEEDED)


@pytest.mark.parametrize(
    ("applied", "given", "contradicts"),
    [
        (True, answer(cost_micros=100), False),
        (True, answer(), False),
        (True, answer(cost_micros=90), True),
        (True, answer(S.FAILED), True),
        (True, answer(S.AMBIGUOUS), False),
        (False, answer(S.FAILED), False),
        (False, answer(), True),
    ],
)
def test_a_late_answer_after_a_resolution_says_whether_it_contradicts(
    applied: bool, given: e.ToolAnswer, contradicts: bool
) -> None:
    at = in_doubt()
    at.at(NOW + HOUR).command(resolve(BOB, applied=applied))
    assert names(at.command(late(given, WORKER))) == ["LateAnswerRecorded"]
    assert at.last(e.LateAnswerRecorded).contradicts is contradicts


def test_only_workers_report_late_answers() -> None:
    assert code_of(in_doubt().command(late(answer(), OLGA))) == "UNKNOWN_INTENT"
    assert code_of(desk().command(late(answer(), WORKER))) == "UNKNOWN_INTENT"


# -- state and records


def test_an_ended_deed_keeps_little() -> None:
    at = dispatched()
    at.result(KEY, answer())
    state = at.state("execution", KEY)
    assert state == ExecutionState(
        Phase.ENDED, "acme", "main", attempt=1, price_micros=100, applied=True, cost_micros=100
    )
    assert len(at.states[("execution", KEY)]) < 150


def test_a_state_that_does_not_change_stays_the_same_object() -> None:
    for body in (
        e.ProgressReported(1, 5, ""),
        e.BudgetReleased(1, "", ()),
        e.ApprovalRequested(ZERO, 1, (), 1, "", "", ""),
    ):
        assert evolve(INITIAL, Fact("ledger.budget", envelope(), body, ZERO)) is INITIAL


def test_what_nobody_can_read_on_commands_is_buried_here_and_only_here() -> None:
    at = desk()
    for value in (b"rubbish", encode_message(cancel())[:-1]):
        at.arrive("execution", Record("commands", 0, 0, NOW, None, value))
    assert [letter.code for _, letter in at.dead] == ["WRONG_MAGIC", "TRUNCATED"]
    assert at.facts == []


def test_a_command_in_a_foreign_lane_is_buried() -> None:
    at = desk()
    service = at.services["execution"]
    assert service.prepare is not None
    for lane in range(8):
        world = changed_world(at, lane)
        prepared = service.prepare(Record("commands", lane, 0, NOW, None, encode_message(cancel())), world).command
        assert prepared is not None
        assert (prepared.key == KEY) is (type(prepared.body) is e.Cancel)


def changed_world(at: Desk, lane: int) -> Any:
    return replace(at.world, lane=lane, lanes=8)


def test_other_commands_are_not_for_execution() -> None:
    at = desk()
    unpark = e.Unpark(**head(OLGA), service="budget")
    assert at.arrive("execution", Record("commands", 0, 0, NOW, None, encode_message(unpark))) == []
    assert at.tell("execution", Due(KEY, DueKind.TIMER)) == []
