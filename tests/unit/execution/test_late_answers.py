"""A late answer speaks of its own call. What it says of the deed depends on which other calls there were (F5, T18)."""

from __future__ import annotations

from typing import Any

import pytest

from libs.contracts import events as e
from libs.ledger.service import Recover
from libs.testkit.flow import KEY, desk, late, rebuild_is_equal, resolve, submit
from libs.testkit.given import Desk
from libs.testkit.samples import BOB, HOUR, NOW, READING, SECOND, WORKER, answer

S = e.AnswerStatus
KEYED: dict[str, Any] = {
    "effect_class": e.EffectClass.KEYED,
    "key_placement": e.KeyPlacement.META,
    "key_window_ms": 61_000,
    "attempts_max": 2,
}
pytestmark = [pytest.mark.rule(20), pytest.mark.requirement("F5"), pytest.mark.requirement("T18")]


def twice(**entry: Any) -> Desk:
    """The owner of the first call was lost, and its successor calls again."""
    at = desk(**entry)
    submit(at)
    at.run()
    at.tell("execution", Recover(KEY, 1, True, NOW, NOW + 9 * SECOND))
    at.at(at.last(e.ExecutionRetryScheduled).retry_at).due("execution", KEY)
    assert [effect.attempt for effect in at.effects()] == [2]
    return at


def heard(at: Desk, given: e.ToolAnswer, attempt: int) -> list[str]:
    before = len(at.facts)
    at.command(late(given, WORKER, attempt))
    names = [type(fact.body).__name__ for fact in at.facts[before:]]
    at.run()
    return names


@pytest.mark.parametrize("entry", [READING, KEYED])
@pytest.mark.parametrize("status", [S.FAILED, S.NOT_SENT, S.AMBIGUOUS])
def test_that_the_first_call_failed_does_not_undo_the_second(entry: dict[str, Any], status: e.AnswerStatus) -> None:
    at = twice(**entry)
    at.result(KEY, answer(cost_micros=90), attempt=2)
    at.run()
    assert heard(at, answer(status), 1) == ["LateAnswerRecorded"]
    assert at.last(e.LateAnswerRecorded).contradicts is False
    assert (at.last(e.OutcomeRecorded).status, at.last(e.BudgetSettled).actual_micros) == (
        e.OutcomeStatus.SUCCEEDED,
        90,
    )
    assert not {"OutcomeAmended", "BudgetCorrected"} & set(at.names(KEY))
    rebuild_is_equal(at, 1)


@pytest.mark.parametrize("status", [S.FAILED, S.NOT_SENT])
def test_that_the_second_call_failed_says_nothing_of_the_first(status: e.AnswerStatus) -> None:
    at = twice(**KEYED)
    at.tell("execution", Recover(KEY, 2, True, NOW, NOW + 19 * SECOND))
    assert at.last(e.ExecutionInDoubt).code == "OWNER_LOST"
    assert heard(at, answer(status), 2) == ["LateAnswerRecorded"]
    assert "OutcomeRecorded" not in at.names(KEY)
    assert heard(at, answer(), 1) == ["LateAnswerRecorded", "ExecutionResolved"]
    assert at.last(e.OutcomeRecorded).status is e.OutcomeStatus.SUCCEEDED
    rebuild_is_equal(at, 1)


def test_nor_does_it_contradict_who_has_found_out_that_it_was_applied() -> None:
    at = twice(**KEYED)
    at.tell("execution", Recover(KEY, 2, True, NOW, NOW + 19 * SECOND))
    at.at(NOW + HOUR).command(resolve(BOB, applied=True))
    at.run()
    heard(at, answer(S.FAILED), 2)
    assert at.last(e.LateAnswerRecorded).contradicts is False
    assert "OutcomeAmended" not in at.names(KEY)


def test_what_the_first_call_cost_is_not_what_the_second_did() -> None:
    at = twice(**READING)
    at.result(KEY, answer(cost_micros=90), attempt=2)
    at.run()
    heard(at, answer(cost_micros=40), 1)
    assert "BudgetCorrected" not in at.names(KEY)
    heard(at, answer(cost_micros=80), 2)
    assert at.last(e.BudgetCorrected).to_micros == 80
