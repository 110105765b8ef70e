"""What comes of an answer: ended once, another attempt, or in doubt rather than wrong; and what of it is kept."""

from __future__ import annotations

from typing import Any

import pytest

from libs.contracts import events as e
from libs.ledger.service import DueKind, Fact, Recover, Result, Stopped
from libs.testkit.flow import KEY
from libs.testkit.samples import (
    NOW,
    READING,
    SECOND,
    ZERO,
    answer,
    envelope,
    intent,
    standard_control,
    switch,
)
from services.execution.decider import INITIAL, ExecutionState, evolve
from services.execution.state import Phase
from tests.unit.execution.given import C, S, dispatched, names, ready


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
