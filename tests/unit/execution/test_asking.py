"""A QUERYABLE tool is asked what became of a call whose answer was lost; 'not there' counts only after the quiet period
(F5, T18, guarantees.md section 1)."""

from __future__ import annotations

from typing import Any

import pytest

from libs.contracts import events as e
from libs.ledger.service import Recover, Stopped, WaitKind
from libs.testkit.flow import KEY, cancel, desk, late, rebuild_is_equal, resolve, submit
from libs.testkit.given import Desk
from libs.testkit.samples import BOB, HOUR, NOW, SECOND, WORKER, answer
from services.execution.asking import ASKS_MAX
from services.execution.effects import question
from services.execution.ports import NotReady
from services.execution.state import QUERY_FROM

S, C = e.AnswerStatus, e.FailureCategory
QUERYABLE: dict[str, Any] = {
    "effect_class": e.EffectClass.QUERYABLE,
    "query_tool": "find",
    "query_template": '{"message":"{message}"}',
    "quiet_ms": 10_000,
}
QUIET_UNTIL = NOW + (1 + 5 + 10) * SECOND  # time-out of the call, margin, quiet_ms
REF = (e.ObjectRef("commit", "c0ffee"),)
THERE, ABSENT = answer(object_refs=REF), answer(object_refs=())
FIRST, SECOND_QUESTION = QUERY_FROM + 1, QUERY_FROM + 2

pytestmark = [pytest.mark.rule(19), pytest.mark.requirement("F5"), pytest.mark.requirement("T18")]


def asked() -> Desk:
    """The answer is lost, and the tool is being asked."""
    at = desk(**QUERYABLE)
    submit(at)
    at.run()
    at.result(KEY, answer(S.AMBIGUOUS, code="TIMEOUT", started_at=NOW))
    at.run()
    return at


def doubt(at: Desk) -> e.ExecutionInDoubt:
    found: e.ExecutionInDoubt = at.last(e.ExecutionInDoubt)
    return found


def asked_again(at: Desk) -> Desk:
    ask_at = doubt(at).ask_at
    assert ask_at is not None
    at.at(ask_at).due("execution", KEY)
    return at


def test_the_question_passes_the_gate_and_is_not_the_deeds_call() -> None:
    at = asked()
    assert (doubt(at).query, doubt(at).ask_at, doubt(at).quiet_until_at) == (1, None, QUIET_UNTIL)
    [effect] = at.effects()
    assert (effect.query, effect.attempt, effect.tool, effect.effect_class) == (True, FIRST, "git/commit", "READ_ONLY")
    waiting = at.waits("execution", KEY)
    assert waiting is not None
    assert (waiting.kind, waiting.attempt) == (WaitKind.DISPATCHED, FIRST)
    assert at.names(KEY).count("ExecutionDispatched") == 1


def test_what_is_there_ends_the_doubt_at_once() -> None:
    at = asked()
    at.result(KEY, THERE, FIRST)
    at.run()
    body = at.last(e.ExecutionResolved)
    assert (body.applied, body.cost_micros, body.by, body.object_refs) == (True, 100, "deedbook/execution", REF)
    assert body.command_id is None
    assert "c0ffee" in body.evidence
    assert at.last(e.OutcomeRecorded).status is e.OutcomeStatus.SUCCEEDED
    assert at.effects() == []
    rebuild_is_equal(at, 1)


def test_what_is_not_there_yet_is_looked_for_again_after_the_quiet_period() -> None:
    at = asked()
    at.result(KEY, ABSENT, FIRST)
    assert (doubt(at).code, doubt(at).ask_at, doubt(at).query) == ("NOT_THERE_YET", QUIET_UNTIL, 1)
    assert at.effects() == []
    at.at(QUIET_UNTIL - 1)
    assert at.due("execution", KEY) == []
    asked_again(at)
    assert [effect.attempt for effect in at.effects()] == [SECOND_QUESTION]
    at.result(KEY, ABSENT, SECOND_QUESTION)
    at.run()
    assert (at.last(e.ExecutionResolved).applied, at.last(e.ExecutionResolved).cost_micros) == (False, 0)
    assert at.last(e.OutcomeRecorded).status is e.OutcomeStatus.FAILED
    assert "BudgetReleased" in at.names(KEY)
    rebuild_is_equal(at, 2)


def test_a_question_put_before_the_quiet_period_proves_nothing_however_late_its_answer() -> None:
    at = asked()
    at.at(QUIET_UNTIL + HOUR).result(KEY, ABSENT, FIRST)
    assert doubt(at).code == "NOT_THERE_YET"


@pytest.mark.parametrize("status", [S.FAILED, S.NOT_SENT, S.AMBIGUOUS])
def test_no_word_is_no_absence(status: e.AnswerStatus) -> None:
    at = asked()
    at.at(QUIET_UNTIL + SECOND).result(KEY, answer(status, code="X", object_refs=()), FIRST)
    assert (doubt(at).code, doubt(at).ask_at) == ("X", at.world.now_at + SECOND)


def test_after_some_questions_it_is_left_to_a_person() -> None:
    at = asked()
    waits = []
    for number in range(1, ASKS_MAX):
        at.result(KEY, answer(S.NOT_SENT, code="SERVER_DOWN"), QUERY_FROM + number)
        waits.append(((doubt(at).ask_at or 0) - at.world.now_at) // SECOND)
        asked_again(at)
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60]
    at.result(KEY, answer(S.NOT_SENT, code="SERVER_DOWN"), QUERY_FROM + ASKS_MAX)
    assert (doubt(at).query, doubt(at).ask_at, at.effects()) == (0, None, [])
    waiting = at.waits("execution", KEY)
    assert waiting is not None
    assert (waiting.due_at, waiting.owner) == (None, "resolver")
    at.at(at.world.now_at + HOUR).command(resolve(BOB, applied=False))
    assert at.last(e.ExecutionResolved).by == "bob"


def test_a_lost_owner_leads_to_a_question_and_a_lost_question_to_another() -> None:
    at = desk(**QUERYABLE)
    submit(at)
    at.run()
    at.tell("execution", Recover(KEY, 1, True, NOW, NOW + 9 * SECOND))
    assert (doubt(at).query, doubt(at).quiet_until_at) == (1, NOW + 19 * SECOND)
    assert at.tell("execution", Recover(KEY, FIRST, False, None, 0)) == []
    assert at.tell("execution", Recover(KEY, SECOND_QUESTION, True, NOW, 0)) == []
    at.tell("execution", Recover(KEY, FIRST, True, NOW, NOW))
    assert (doubt(at).code, doubt(at).ask_at) == ("OWNER_LOST", NOW + SECOND)


def test_a_question_that_the_gate_stops_is_put_later() -> None:
    at = asked()
    at.tell("execution", Stopped(KEY, FIRST, "KILLED", "a switch"))
    assert (doubt(at).code, doubt(at).ask_at) == ("KILLED", NOW + SECOND)


def test_a_person_may_end_the_doubt_meanwhile_and_so_may_a_late_answer() -> None:
    at = asked()
    at.command(resolve(BOB, applied=True))
    assert at.result(KEY, THERE, FIRST) == []
    at = asked()
    at.command(late(answer(), WORKER))
    assert at.last(e.ExecutionResolved).applied
    assert at.result(KEY, ABSENT, FIRST) == []


def test_an_answer_to_a_question_that_comes_late_counts_if_it_is_the_present_one() -> None:
    at = asked()
    at.command(late(THERE, WORKER, FIRST))
    assert at.last(e.ExecutionResolved).applied
    at = asked()
    at.command(late(THERE, WORKER, SECOND_QUESTION))
    assert at.last(e.CommandRejected).code == "ALREADY_ENDED"
    assert "LateAnswerRecorded" not in at.names()


def test_no_cancellation_ends_a_doubt_in_which_the_tool_is_asked() -> None:
    at = asked()
    at.command(cancel())
    assert at.last(e.CommandRejected).code == "IN_DOUBT"


def test_status_keeps_how_the_doubt_began() -> None:
    at = asked()
    at.result(KEY, ABSENT, FIRST)
    at.run()
    found = at.state("status", KEY).doubt
    assert (found.code, found.quiet_until_at) == ("TIMEOUT", QUIET_UNTIL)


# -- the question


@pytest.mark.parametrize(
    ("template", "found"),
    [
        ("", "{}"),
        ('{"ref":"{key}"}', '{"ref":"k"}'),
        ('{"id":"{order.id}","n":"no. {order.id}"}', '{"id":7,"n":"no. 7"}'),
        ('{"all":[true,null,1,"{name}"]}', '{"all":[true,null,1,"a\\"},{key}"]}'),
    ],
)
def test_a_template_is_filled_inside_its_texts_only(template: str, found: str) -> None:
    """What an agent writes into an argument stays one text: it cannot ask for something else."""
    assert question(template, '{"order":{"id":7},"name":"a\\"},{key}"}', "k") == found


def test_a_place_without_a_value_asks_nothing() -> None:
    with pytest.raises(NotReady, match="QUERY_UNFILLED"):
        question('{"id":"{other}"}', '{"id":7}', "k")
