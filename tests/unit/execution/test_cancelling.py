"""A cancellation may overtake its intent, and anybody may guess an intent's id: what strangers say must not count."""

from __future__ import annotations

from typing import Any

import pytest

from libs.contracts import events as e
from libs.testkit.flow import KEY, cancel, desk, rebuild_is_equal, resolve, submit
from libs.testkit.samples import AGENT, ALICE, EVE, NOW, changed
from services.execution.state import COMMAND_WAIT, EARLY_MAX, EARLY_OF_TENANT_MAX
from services.status.adapters.wire import show
from tests.unit.execution.given import code_of, names

STRANGERS = [changed(EVE, tenant=f"evil-{n}", subject=f"eve-{m}") for n in range(9) for m in range(6)]


def test_strangers_who_are_faster_do_not_make_the_owners_cancellation_fail() -> None:
    at = desk()
    for who in [EVE, *STRANGERS[:6], changed(ALICE, accounts=("spare",))]:
        at.command(cancel(who))
    assert names(at.command(cancel())) == ["CancelRequested"]
    submit(at)
    at.run()
    assert at.last(e.ExecutionCancelled).by == AGENT.subject
    assert not any(isinstance(fact.body, e.ExecutionDispatched) for fact in at.facts)
    rejected = [fact.envelope for fact in at.of(KEY) if isinstance(fact.body, e.CommandRejected)]
    assert {one.tenant for one in rejected} == {"evil", "evil-0", "acme"}
    assert at.waits("execution", KEY) is None


def test_early_cancellations_are_bounded_for_each_tenant_and_in_all() -> None:
    at = desk()
    noted = [who.tenant for who in STRANGERS if names(at.command(cancel(who))) == ["CancelRequested"]]
    assert {noted.count(tenant) for tenant in noted} == {EARLY_OF_TENANT_MAX}
    assert len(noted) == len(at.state("execution", KEY).cancels) == EARLY_MAX
    last = at.facts[-1]
    assert (last.body.code, last.envelope.intent_id) == ("UNKNOWN_INTENT", last.body.command_id)
    at.at(NOW + COMMAND_WAIT).due("execution", KEY)
    assert at.state("execution", KEY).cancels == ()


def test_of_several_early_cancellations_each_gets_its_answer() -> None:
    at = desk()
    first, second = cancel(), cancel(ALICE)
    assert names(at.command(first)) == names(at.command(second)) == ["CancelRequested"]
    assert at.command(first) == at.command(second) == []
    assert code_of(at.command(cancel())) == "UNKNOWN_INTENT"
    submit(at)
    at.run()
    assert at.last(e.ExecutionCancelled).by == AGENT.subject
    answers = {f.body.command_id: f.body.code for f in at.of(KEY) if isinstance(f.body, e.CommandRejected)}
    assert answers == {second.command_id: "ALREADY_REQUESTED"}


def test_each_early_cancellation_has_its_own_time() -> None:
    at = desk()
    at.command(cancel(EVE))
    at.at(NOW + COMMAND_WAIT - 1).command(cancel())
    at.at(NOW + COMMAND_WAIT).due("execution", KEY)
    assert [mark.by for mark in at.state("execution", KEY).cancels] == [AGENT.subject]
    submit(at)
    at.run()
    assert "ExecutionCancelled" in at.names(KEY)


def test_a_refusal_that_is_about_no_intent_leaves_no_state_behind() -> None:
    at = desk()
    for who in STRANGERS:
        at.command(cancel(who))
    for _ in range(20):
        at.command(resolve(EVE, applied=True, intent_id=bytes(16)))
    refused = [fact.envelope.intent_id for fact in at.facts if isinstance(fact.body, e.CommandRejected)]
    assert len(refused) > 40
    assert {key for _, key in at.run().states} == {KEY}


@pytest.mark.requirement("G4")
def test_the_owner_is_shown_the_same_with_and_without_a_stranger() -> None:
    """But for the numbers of the ledger itself, which all tenants share."""

    def told(*who: e.Principal) -> Any:
        at = desk()
        for one in who:
            at.command(cancel(one))
        submit(at)
        at.run()
        rebuild_is_equal(at, 1)
        shown = show(KEY, at.state("status", KEY), NOW, 8)
        for position in [*shown.positions, *[entry.position for entry in shown.timeline]]:
            position.seq = 0
        for entry in shown.timeline:
            entry.event_id = ""
        return shown

    assert told(EVE, AGENT) == told(AGENT)
    assert told(AGENT, EVE, *STRANGERS[:5]) == told(AGENT)
    assert told(EVE) == told()
