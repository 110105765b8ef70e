"""Whatever happens in whatever order, every accepted intent comes to one end, the books balance, and a rebuild from
the ledger gives the same tables."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.contracts import events as e
from libs.ledger.service import DueKind, Recover, Stopped
from libs.testkit.flow import KEY, cancel, desk, late, rebuild_is_equal, resolve, submit, vote
from libs.testkit.given import Desk, Queue
from libs.testkit.samples import (
    AGENT,
    ALICE,
    BOB,
    EVE,
    HUMAN_RULE,
    READING,
    SECOND,
    WORKER,
    answer,
    intent,
    policy,
    standard_control,
    switch,
)

S = e.AnswerStatus
ENDINGS = (
    e.ExecutionSucceeded | e.ExecutionFailed | e.ExecutionRefused | e.ExecutionCancelled | e.ExecutionExpired
) | e.ExecutionResolved


def at_random(seed: int) -> Callable[[Sequence[Queue]], Queue]:
    """Serve the queues in an order that the seed decides."""
    return random.Random(seed).choice


class Player:
    """Things that can happen to one intent, at any time."""

    def __init__(self, human: bool, read: bool) -> None:
        rules = policy(approvals=[HUMAN_RULE]) if human else policy()
        self.open = standard_control(rules, **(READING if read else {}))
        self.shut = standard_control(rules, switch(), **(READING if read else {}))
        self.desk = desk(self.open)
        self.read = read
        self.offsets = 0

    def submit(self) -> None:
        self.offsets += 1
        submit(self.desk, offset=self.offsets)

    def submit_other(self) -> None:
        self.offsets += 1
        submit(self.desk, intent(arguments='{"message": "another"}'), offset=self.offsets)

    def approve(self) -> None:
        self._vote(ALICE, e.Vote.APPROVE)

    def deny(self) -> None:
        self._vote(BOB, e.Vote.DENY)

    def cancel(self) -> None:
        self.desk.command(cancel())

    def cancel_as_stranger(self) -> None:
        self.desk.command(cancel(EVE))

    def withdraw(self) -> None:
        said = cancel(ALICE)
        self.desk.command(e.WithdrawApproval(**{f: getattr(said, f) for f in said.__struct_fields__}))

    def full(self) -> None:
        self.desk.capacity = 0

    def free(self) -> None:
        self.desk.capacity = 9
        self.desk.due("execution", KEY, DueKind.READY)

    def kill(self) -> None:
        self.desk.under(self.shut).due("execution", KEY, DueKind.READY)

    def unkill(self) -> None:
        self.desk.under(self.open).due("execution", KEY, DueKind.READY)

    def wait(self) -> None:
        self.desk.at(self.desk.world.now_at + 20 * SECOND)
        self.timers()

    def timers(self) -> None:
        for name in ("approval", "execution"):
            waiting = self.desk.waits(name, KEY)
            if waiting and waiting.due_at is not None and waiting.due_at <= self.desk.world.now_at:
                self.desk.due(name, KEY)

    def succeed(self) -> None:
        self._answer(answer(cost_micros=60))

    def fail(self) -> None:
        self._answer(answer(S.FAILED, category=e.FailureCategory.TRANSIENT, code="BUSY"))

    def lose(self) -> None:
        self._answer(answer(S.AMBIGUOUS, code="TIMEOUT"))

    def stop(self) -> None:
        for effect in self.desk.effects():
            self.desk.tell("execution", Stopped(KEY, effect.attempt, effect.stop_code or "KILLED", "gate"))

    def crash(self) -> None:
        for effect in self.desk.effects():
            now_at = self.desk.world.now_at
            self.desk.tell("execution", Recover(KEY, effect.attempt, True, now_at, now_at + 10 * SECOND))

    def resolve(self) -> None:
        self.desk.command(resolve(BOB, applied=True))

    def deny_doubt(self) -> None:
        self.desk.command(resolve(BOB, applied=False))

    def late_success(self) -> None:
        self.desk.command(late(answer(cost_micros=60), WORKER))

    def late_failure(self) -> None:
        self.desk.command(late(answer(S.FAILED, code="REFUSED"), WORKER))

    def _vote(self, who: e.Principal, choice: e.Vote) -> None:
        if any(isinstance(fact.body, e.ApprovalRequested) for fact in self.desk.facts):
            self.desk.command(vote(self.desk, who, choice))

    def _answer(self, given_answer: e.ToolAnswer) -> None:
        for effect in self.desk.effects():
            if not effect.stop_code:
                self.desk.result(KEY, given_answer, effect.attempt)

    def finish(self, choose: Callable[[Sequence[Queue]], Queue]) -> None:
        """Everybody does what is theirs to do, until nothing waits any more."""
        at = self.desk
        self.submit()
        for _ in range(30):
            at.run(choose)
            at.capacity = 9
            at.at(at.world.now_at + 61 * SECOND)
            at.due("execution", KEY, DueKind.READY)
            self.timers()
            self.stop() if at.effects() and at.effects()[0].stop_code else self.succeed()
            self.deny_doubt()
            if not at.queues_waiting() and at.waits("execution", KEY) is None and at.waits("approval", KEY) is None:
                break
        at.run(choose)


ACTIONS = sorted(name for name in vars(Player) if not name.startswith("_") and name not in ("finish", "timers"))


@given(
    human=st.booleans(),
    read=st.booleans(),
    steps=st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 4)), max_size=14),
    seed=st.integers(0, 10_000),
)
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_any_story_comes_to_one_end(human: bool, read: bool, steps: list[tuple[str, int]], seed: int) -> None:
    player, choose = Player(human, read), at_random(seed)
    for name, served in steps:
        getattr(player, name)()
        for _ in range(served):
            player.desk.step(choose)
    player.finish(choose)
    at = player.desk
    one_end(at)
    books_balance(at)
    nothing_ran_unasked(at, human, read)
    status_agrees(at)
    rebuild_is_equal(at, seed)


def one_end(at: Desk) -> None:
    accepted = [fact for fact in at.facts if isinstance(fact.body, e.IntentAccepted)]
    outcomes = [fact for fact in at.facts if isinstance(fact.body, e.OutcomeRecorded)]
    assert len(accepted) == len(outcomes) == 1, at.names(KEY)
    assert sum(isinstance(fact.body, ENDINGS) for fact in at.facts) <= 1
    assert at.waits("execution", KEY) is None
    assert at.waits("approval", KEY) is None


def books_balance(at: Desk) -> None:
    reserved = [f.body for f in at.facts if isinstance(f.body, e.BudgetReserved)]
    closed = [f.body for f in at.facts if isinstance(f.body, e.BudgetSettled | e.BudgetReleased)]
    assert len(reserved) == len(closed) <= 1
    outcome = at.last(e.OutcomeRecorded)
    amended = [f.body for f in at.facts if isinstance(f.body, e.OutcomeAmended)]
    rows = at.scopes.rows.values()
    assert sum(row.pending_micros for row in rows) == 0
    assert sum(row.posted_micros for row in rows) == (amended or [outcome])[-1].cost_micros


def nothing_ran_unasked(at: Desk, human: bool, read: bool) -> None:
    names = at.names(KEY)
    dispatches = [f.body for f in at.facts if isinstance(f.body, e.ExecutionDispatched)]
    if dispatches:
        assert names.index("BudgetReserved") < names.index("ExecutionDispatched")
        assert (dispatches[0].approval_id is not None) == human
        assert not human or "ApprovalGranted" in names
    ambiguous = [i for i, name in enumerate(names) if name == "ExecutionInDoubt"]
    if ambiguous and not read:
        assert not {"ExecutionCancelled", "ExecutionExpired", "ExecutionFailed"} & set(names[ambiguous[0] :])
        assert "ExecutionDispatched" not in names[ambiguous[0] :]


def status_agrees(at: Desk) -> None:
    view = at.state("status", KEY)
    amended = [f.body.status for f in at.facts if isinstance(f.body, e.OutcomeAmended)]
    assert view.standing.state.value == [at.last(e.OutcomeRecorded).status, *amended][-1].value
    assert all(entry.tenant == AGENT.tenant for entry in view.entries)
    assert view.reserved_micros == 0


def story(*names: str, human: bool = False, **more: Any) -> Callable[[int], Desk]:
    def tell(seed: int) -> Desk:
        player, choose = Player(human, more.get("read", False)), at_random(seed)
        for name in names:
            getattr(player, name)()
            player.desk.run(choose)
        return player.desk

    return tell


@pytest.mark.parametrize(
    "tell",
    [
        story("submit", "succeed"),
        story("submit", "fail"),
        story("submit", "lose", "resolve"),
        story("submit", "lose", "late_success"),
        story("submit", "approve", "succeed", human=True),
        story("submit", "deny", human=True),
        story("submit", "cancel", human=True),
        story("full", "submit", "cancel"),
        story("cancel", "submit"),
        story("kill", "submit"),
    ],
)
def test_every_interleaving_of_the_topics_leads_to_the_same_end(tell: Callable[[int], Desk]) -> None:
    ends = {
        (tuple(sorted(at.names(KEY))), str(at.last(e.OutcomeRecorded).status))
        for at in (tell(seed) for seed in range(12))
    }
    assert len(ends) == 1
