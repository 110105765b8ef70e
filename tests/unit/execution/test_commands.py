"""What people and workers tell execution about a deed: cancellations, resolutions, late answers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from libs.contracts import events as e
from libs.ledger.codec import encode_message
from libs.ledger.service import Due, DueKind, Record
from libs.testkit.flow import KEY, cancel, desk, head, late, resolve, submit
from libs.testkit.given import Desk
from libs.testkit.samples import (
    AGENT,
    ALICE,
    BOB,
    EVE,
    HOUR,
    NOW,
    OLGA,
    WORKER,
    answer,
    changed,
    intent,
    standard_control,
    switch,
)
from services.execution.state import COMMAND_WAIT
from tests.unit.execution.given import S, code_of, dispatched, in_doubt, names, ready

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
        (BOB, {"cost_micros": 2**53}, "COST_INVALID"),
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
