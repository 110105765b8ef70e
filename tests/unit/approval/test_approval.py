"""People agree to exactly this, in time, with a role, and never to their own request (E1, E2; threats T1-T4)."""

from __future__ import annotations

from typing import Any

import pytest

from libs.contracts import events as e
from libs.ledger.codec import encode_message
from libs.ledger.service import Due, DueKind, Fact, Record
from libs.testkit.flow import KEY, cancel, head, submit, vote
from libs.testkit.flow import desk as whole_desk
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
    SECOND,
    ZERO,
    answer,
    changed,
    envelope,
    policy,
    standard_control,
)
from services.approval.state import INITIAL, ApprovalState, Phase, evolve

APPROVE, DENY = e.Vote.APPROVE, e.Vote.DENY


def asked(needed: int = 1, capacity: int = 0, who: e.Principal = AGENT) -> Desk:
    """A request that waits; the deed would then wait for capacity."""
    at = whole_desk(standard_control(policy(approvals=[HUMAN_RULE | {"needed": needed}])))
    at.capacity = capacity
    submit(at, who=who)
    at.run()
    assert at.state("approval", KEY).phase is Phase.REQUESTED
    return at


def withdraw(who: e.Principal, **more: Any) -> e.WithdrawApproval:
    return e.WithdrawApproval(**head(who) | more)


def refused(at: Desk, command: Any) -> str:
    """The command changes nothing but says why."""
    before = at.state("approval", KEY)
    decided = at.command(command)
    assert len(decided) == 1
    body = decided[0].body  # type: ignore[union-attr]
    assert isinstance(body, e.CommandRejected)
    assert (body.command_id, body.command) == (command.command_id, type(command).__name__)
    assert changed(at.state("approval", KEY), seen=()) == changed(before, seen=())
    return body.code


@pytest.mark.requirement("E1")
def test_a_request_shows_what_is_asked() -> None:
    at = asked(needed=2)
    body = at.last(e.ApprovalRequested)
    allowed = at.last(e.IntentAllowed)
    assert (body.action_digest, body.needed, body.roles) == (allowed.action_digest, 2, ("approver",))
    assert (body.display, body.requester, body.expires_at) == (allowed.display, "agent-1", NOW + 60 * SECOND)
    waiting = at.waits("approval", KEY)
    assert waiting is not None
    assert (waiting.owner, waiting.due_at) == ("approver", NOW + 60 * SECOND)


@pytest.mark.requirement("E2")
def test_enough_votes_grant_to_the_action_that_was_asked_about() -> None:
    at = asked(needed=2)
    at.command(vote(at, ALICE))
    assert at.state("approval", KEY).phase is Phase.REQUESTED
    at.command(vote(at, BOB))
    body = at.last(e.ApprovalGranted)
    assert (body.approvers, body.expires_at) == (("alice", "bob"), NOW + HOUR)
    assert body.action_digest == at.last(e.ApprovalRequested).action_digest
    assert at.waits("approval", KEY) is None


def test_one_no_is_enough() -> None:
    at = asked(needed=2)
    at.command(vote(at, ALICE))
    at.command(vote(at, BOB, DENY, reason="not today"))
    assert (at.last(e.ApprovalDenied).by, at.last(e.ApprovalDenied).reason) == ("bob", "not today")
    assert refused(at, vote(at, OLGA)) == "ALREADY_DECIDED"


def test_who_approved_may_still_say_no() -> None:
    at = asked(needed=2)
    at.command(vote(at, ALICE))
    at.command(vote(at, ALICE, DENY))
    assert at.state("approval", KEY).phase is Phase.DENIED


@pytest.mark.requirement("E2")
@pytest.mark.parametrize(
    ("who", "more", "code"),
    [
        (changed(ALICE, subject="agent-1"), {}, "SELF_APPROVAL"),
        (changed(ALICE, kind=e.ActorKind.MACHINE), {}, "NOT_HUMAN"),
        (changed(ALICE, kind=e.ActorKind.SYSTEM), {}, "NOT_HUMAN"),
        (changed(ALICE, roles=()), {}, "ROLE_MISSING"),
        (OLGA, {}, "ROLE_MISSING"),
        (ALICE, {"action_digest": b"x" * 32}, "DIGEST_MISMATCH"),
    ],
)
def test_a_vote_that_may_not_count_is_refused(who: e.Principal, more: dict[str, Any], code: str) -> None:
    at = asked()
    assert refused(at, vote(at, who, **more)) == code


def test_nobody_counts_twice() -> None:
    at = asked(needed=2)
    at.command(vote(at, ALICE))
    assert refused(at, vote(at, ALICE)) == "ALREADY_VOTED"


@pytest.mark.parametrize("who", [EVE, changed(ALICE, accounts=())])
def test_a_stranger_learns_nothing_and_leaves_no_trace(who: e.Principal) -> None:
    at = asked()
    before = dict(at.states)
    for command in (vote(at, who), withdraw(who)):
        unknown = changed(command, intent_id=b"u" * 16)
        answers = [at.command(c)[0] for c in (command, unknown)]
        bodies = [answer.body for answer in answers]  # type: ignore[union-attr]
        assert changed(bodies[0], command_id=b"") == changed(bodies[1], command_id=b"")
        assert bodies[0].code == "UNKNOWN_INTENT"
    assert all(f.envelope.intent_id == f.body.command_id for f in at.facts if isinstance(f.body, e.CommandRejected))
    assert at.states == before


def test_the_same_command_twice_gives_nothing() -> None:
    at = asked(needed=2)
    first, wrong = vote(at, ALICE), vote(at, OLGA)
    assert at.command(first)
    assert at.command(wrong)
    assert at.command(first) == at.command(wrong) == []


@pytest.mark.requirement("E1")
def test_silence_and_late_votes_are_refusals() -> None:
    at = asked()
    assert at.tell("approval", Due(KEY, DueKind.TIMER)) == []
    at.at(NOW + 60 * SECOND)
    decided = [decision.body for decision in at.command(vote(at, ALICE))]  # type: ignore[union-attr]
    assert [type(body).__name__ for body in decided] == ["ApprovalExpired", "CommandRejected"]
    assert at.due("approval", KEY) == []


def test_a_request_that_comes_too_late_expires_at_once() -> None:
    at = whole_desk(standard_control(policy(approvals=[HUMAN_RULE])))
    submit(at)
    at.step()
    at.at(NOW + HOUR).run()
    assert at.names(KEY, "ledger.approval") == ["ApprovalRequested", "ApprovalExpired"]


@pytest.mark.parametrize("more", [{"approvals_needed": 0}, {"approver_roles": ()}])
def test_nobody_to_ask_is_a_refusal(more: dict[str, Any]) -> None:
    """Threat T3: an empty chain of approval is no consent."""
    at = asked()
    fresh = whole_desk()
    body = changed(at.last(e.IntentAllowed), **more)
    fresh.tell("approval", Fact("ledger.validation", envelope(intent_id=KEY), body, ZERO))
    assert fresh.names() == ["ApprovalRequested", "ApprovalDenied"]
    assert fresh.last(e.ApprovalDenied).code == "NO_APPROVERS"


# -- cancellation and withdrawal


def test_a_cancellation_that_came_first_ends_the_request_at_once() -> None:
    at = whole_desk(standard_control(policy(approvals=[HUMAN_RULE])))
    at.command(cancel())
    submit(at)
    at.run()
    assert at.names(KEY, "ledger.approval") == ["ApprovalRequested", "ApprovalCancelled"]


def test_a_strangers_early_cancellation_is_void() -> None:
    at = whole_desk(standard_control(policy(approvals=[HUMAN_RULE])))
    at.command(cancel(EVE))
    submit(at)
    at.run(lambda queues: queues[-1])
    assert at.state("approval", KEY).phase is Phase.REQUESTED
    assert at.state("approval", KEY).cancels == ()
    at.command(vote(at, ALICE))
    at.run()
    assert at.last(e.ExecutionDispatched).attempt == 1


def test_a_stranger_beside_the_owner_does_not_keep_a_request_open() -> None:
    for strangers_first in (True, False):
        at = whole_desk(standard_control(policy(approvals=[HUMAN_RULE])))
        for who in (EVE, AGENT) if strangers_first else (AGENT, EVE):
            at.command(cancel(who))
        submit(at)
        at.run()
        assert at.names(KEY, "ledger.approval") == ["ApprovalRequested", "ApprovalCancelled"]
        assert at.last(e.ApprovalCancelled).by == AGENT.subject


@pytest.mark.parametrize("who", [ALICE, OLGA])
def test_who_approved_and_operators_may_take_a_grant_back(who: e.Principal) -> None:
    at = asked()
    at.command(vote(at, ALICE))
    at.command(withdraw(who))
    assert at.last(e.ApprovalWithdrawn).by == who.subject
    assert at.state("approval", KEY).phase is Phase.WITHDRAWN
    assert refused(at, withdraw(who)) == "NOT_GRANTED"


def test_others_may_not_and_nothing_can_be_taken_back_before_or_after() -> None:
    at = asked()
    assert refused(at, withdraw(ALICE)) == "NOT_GRANTED"
    at.command(vote(at, ALICE))
    assert refused(at, withdraw(BOB)) == "ROLE_MISSING"
    at.capacity = 1
    at.due("execution", KEY, DueKind.READY)
    at.run()
    at.result(KEY, answer())
    at.run()
    assert refused(at, withdraw(ALICE)) == "ALREADY_ENDED"
    assert refused(at, vote(at, BOB)) == "ALREADY_ENDED"


def test_a_deed_that_ended_without_an_attempt_has_ended_here_too() -> None:
    at = asked()
    at.command(vote(at, ALICE))
    at.run()
    at.command(cancel())
    at.run()
    assert at.last(e.ExecutionCancelled).attempt == 0
    assert refused(at, withdraw(ALICE)) == "ALREADY_ENDED"


# -- state


def test_commands_to_others_are_not_remembered_here() -> None:
    at = asked()
    at.command(cancel(BOB))
    at.run()
    assert at.state("approval", KEY).seen == ()


def test_intents_that_need_no_human_leave_no_state() -> None:
    at = whole_desk()
    submit(at)
    at.run()
    at.result(KEY, answer())
    at.run()
    assert ("approval", KEY) not in at.states


def test_a_state_that_does_not_change_stays_the_same_object() -> None:
    state = ApprovalState(tenant="acme")
    for body in (
        e.ProgressReported(1, 5, ""),
        e.ExecutionRetryScheduled(2, NOW, "", ""),
        e.KeyParked("", "", "", "", 1),
    ):
        assert evolve(state, Fact("ledger.execution", envelope(), body, ZERO)) is state
        assert evolve(INITIAL, Fact("ledger.execution", envelope(), body, ZERO)) is INITIAL


def test_only_votes_and_withdrawals_are_read() -> None:
    at = asked()

    def read(value: bytes) -> Any:
        service = at.services["approval"]
        assert service.prepare is not None
        return service.prepare(Record("commands", 0, 0, NOW, None, value), at.world).command

    assert read(encode_message(vote(at, ALICE))).key == KEY
    assert read(encode_message(cancel())) is None
    assert read(b"rubbish") is None
