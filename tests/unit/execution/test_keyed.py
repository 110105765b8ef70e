"""A KEYED tool is called again with the same key while its window lasts, and then never; and nothing that may have
been applied is ever said not to have been (F5, T18, guarantees.md section 1)."""

from __future__ import annotations

from typing import Any

import pytest

from libs.contracts import events as e
from libs.ledger.service import DueKind, Recover, Stopped
from libs.testkit.flow import KEY, cancel, desk, rebuild_is_equal, submit
from libs.testkit.given import Desk
from libs.testkit.samples import NOW, SECOND, answer, control, intent, said, standard_control, switch, tool

S, C = e.AnswerStatus, e.FailureCategory
KEYED: dict[str, Any] = {
    "effect_class": e.EffectClass.KEYED,
    "key_placement": e.KeyPlacement.META,
    "key_window_ms": 61_000,
    "attempts_max": 4,
}
LAST_START = NOW + 60 * SECOND  # the window, less the time-out of a call

pytestmark = [pytest.mark.rule(19), pytest.mark.requirement("F5"), pytest.mark.requirement("T18")]


def dispatched(wanted: e.Intent | None = None, **entry: Any) -> Desk:
    at = desk(**KEYED | entry)
    submit(at, wanted)
    at.run()
    return at


def lost(**entry: Any) -> Desk:
    """The answer of the first call is lost."""
    at = dispatched(**entry)
    at.result(KEY, answer(S.AMBIGUOUS, code="TIMEOUT", started_at=NOW))
    return at


def again(**entry: Any) -> Desk:
    """The second call is under way."""
    at = lost(**entry)
    at.at(at.last(e.ExecutionRetryScheduled).retry_at).due("execution", KEY)
    assert [effect.attempt for effect in at.effects()] == [2]
    return at


def last_word(at: Desk) -> tuple[str, str]:
    body = [fact.body for fact in at.facts if fact.topic == "ledger.execution"][-1]
    return type(body).__name__, getattr(body, "code", "")


def test_a_lost_answer_is_asked_for_again_with_the_same_key_in_its_window() -> None:
    at = lost()
    scheduled = at.last(e.ExecutionRetryScheduled)
    assert (scheduled.attempt, scheduled.first_started_at, scheduled.call_until_at) == (2, NOW, LAST_START)
    at.at(scheduled.retry_at).due("execution", KEY)
    effect = at.effects()[0]
    assert (effect.attempt, effect.expires_at) == (2, LAST_START)
    at.result(KEY, answer(), attempt=2)
    at.run()
    assert at.last(e.OutcomeRecorded).status is e.OutcomeStatus.SUCCEEDED
    rebuild_is_equal(at, 1)


def test_so_is_a_call_whose_owner_was_lost() -> None:
    at = dispatched()
    at.tell("execution", Recover(KEY, 1, True, NOW - SECOND, NOW + 9 * SECOND))
    scheduled = at.last(e.ExecutionRetryScheduled)
    assert (scheduled.first_started_at, scheduled.call_until_at) == (NOW - SECOND, LAST_START - SECOND)


def test_the_window_counts_from_the_first_call_however_many_there_were() -> None:
    at = again(attempts_max=20, backoff_ms=10_000, backoff_max_ms=10_000)
    for attempt in range(2, 20):
        at.result(KEY, answer(S.AMBIGUOUS, started_at=at.world.now_at), attempt)
        if last_word(at)[0] == "ExecutionInDoubt":
            break
        scheduled = at.last(e.ExecutionRetryScheduled)
        assert (scheduled.first_started_at, scheduled.call_until_at) == (NOW, LAST_START)
        at.at(scheduled.retry_at).due("execution", KEY)
    assert last_word(at)[0] == "ExecutionInDoubt"
    assert 4 <= attempt <= 8


@pytest.mark.parametrize(
    "entry",
    [
        {"key_window_ms": 0},
        {"key_window_ms": 1_000},
        {"attempts_max": 1},
        {"backoff_ms": 120_000, "backoff_max_ms": 120_000},
    ],
)
def test_without_a_window_or_an_attempt_left_it_is_in_doubt(entry: dict[str, Any]) -> None:
    assert last_word(lost(**entry)) == ("ExecutionInDoubt", "TIMEOUT")


def test_a_window_that_passes_while_it_waits_is_over() -> None:
    at = lost()
    at.at(LAST_START).due("execution", KEY)
    assert last_word(at) == ("ExecutionInDoubt", "KEY_WINDOW_OVER")
    assert at.effects() == []


def test_a_moment_before_it_may_still_be_called() -> None:
    at = lost()
    at.at(LAST_START - 1).due("execution", KEY)
    assert [effect.attempt for effect in at.effects()] == [2]


@pytest.mark.parametrize(
    "stopped",
    [
        Stopped(KEY, 2, "EXPIRED", "too late"),
        Stopped(KEY, 2, "KILLED", "a switch"),
        Stopped(KEY, 2, "CANCELLED", "because"),
        Stopped(KEY, 2, "APPROVAL_WITHDRAWN", "because"),
    ],
)
def test_a_second_call_that_the_gate_stops_leaves_the_first_in_doubt(stopped: Stopped) -> None:
    at = again()
    at.tell("execution", stopped)
    assert last_word(at) == ("ExecutionInDoubt", stopped.code)


@pytest.mark.parametrize("status", [S.FAILED, S.NOT_SENT, S.AMBIGUOUS])
@pytest.mark.parametrize("category", [C.PERMANENT, C.TRANSIENT])
def test_whatever_a_second_call_says_but_success_does_not_end_it(
    status: e.AnswerStatus, category: e.FailureCategory
) -> None:
    at = again(attempts_max=2)
    at.result(KEY, answer(status, category=category, code="X"), 2)
    assert last_word(at) == ("ExecutionInDoubt", "X")


def test_a_second_call_that_was_not_sent_is_tried_again_in_the_same_window() -> None:
    at = again()
    at.result(KEY, answer(S.NOT_SENT, category=C.TRANSIENT, code="BUSY"), 2)
    scheduled = at.last(e.ExecutionRetryScheduled)
    assert (scheduled.attempt, scheduled.first_started_at, scheduled.call_until_at) == (3, NOW, LAST_START)


def test_a_first_call_that_was_not_sent_leaves_nothing_in_doubt() -> None:
    at = dispatched()
    at.result(KEY, answer(S.NOT_SENT, category=C.TRANSIENT, code="BUSY"))
    assert at.last(e.ExecutionRetryScheduled).call_until_at is None
    at.command(cancel())
    assert last_word(at) == ("ExecutionCancelled", "CANCELLED")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (switch(), "KILLED"),
        (tool(**KEYED | {"key_placement": e.KeyPlacement.ARGUMENT, "key_name": "other"}), "KEY_WINDOW_OVER"),
        (tool(**KEYED | {"effect_class": e.EffectClass.OPAQUE}), "KEY_WINDOW_OVER"),
        (tool(**KEYED), "KEY_WINDOW_OVER"),
        (tool(**KEYED | {"definition": {"name": "other"}}), "TOOL_CHANGED"),
        (e.ToolRemoved(**said(tool="git/commit")), "TOOL_UNKNOWN"),
        (e.ToolQuarantined(**said(tool="git/commit", code="TOOL_CHANGED")), "TOOL_QUARANTINED"),
    ],
)
def test_what_changed_since_the_first_call_stops_a_second_one(change: Any, code: str) -> None:
    at = lost()
    at.under(control(change, start=standard_control(**KEYED)))
    at.at(at.last(e.ExecutionRetryScheduled).retry_at).due("execution", KEY, DueKind.READY)
    assert last_word(at) == ("ExecutionInDoubt", code)
    assert at.effects() == []


def test_a_cancellation_or_the_end_of_its_time_does_not_end_what_may_have_been_applied() -> None:
    at = lost()
    at.command(cancel())
    assert last_word(at) == ("ExecutionInDoubt", "CANCELLED")
    at = dispatched(intent(expires_at=NOW + 30 * SECOND))
    at.result(KEY, answer(S.AMBIGUOUS, started_at=NOW))
    at.at(NOW + 30 * SECOND).due("execution", KEY)
    assert last_word(at) == ("ExecutionInDoubt", "EXPIRED")
    assert at.last(e.ExecutionInDoubt).quiet_until_at == NOW + 36 * SECOND


def test_status_says_of_the_first_call_that_nobody_knows() -> None:
    at = again()
    at.run()
    tries = at.state("status", KEY).tries
    assert tries[0].status.value == "IN_DOUBT"


def test_a_late_answer_of_the_first_call_does_not_end_the_second() -> None:
    at = again()
    assert at.result(KEY, answer(S.FAILED), 1) == []
    assert at.last(e.ExecutionDispatched).attempt == 2
