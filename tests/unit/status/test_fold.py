"""In whatever order the topics are read: the same view, never back, never ahead of the ledger (G4, G5)."""

from __future__ import annotations

from itertools import chain
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.contracts import events as e
from libs.ledger.service import Fact
from services.status.adapters.wire import show
from services.status.timeline import FIRST_ENTRIES, LAST_ENTRIES, TOPICS
from services.status.view import INITIAL, IntentView, State, error_category, index, is_overdue, waiting
from tests.unit.status.given import ACCEPTED, KEY, STATUS, Ledger, any_topics, fact_of, fold, mixed

ENDED = {state for state in State if state.value in {status.value for status in e.OutcomeStatus}}
MANY = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
FEW = settings(MANY, max_examples=15)


@pytest.mark.requirement("G5")
@MANY
@given(any_topics(), st.randoms(use_true_random=False))
def test_any_interleaving_leads_to_the_same_view(topics: list[list[Fact]], random: Any) -> None:
    one, two = fold(mixed(topics, random)), fold(mixed(topics, random))
    in_turn, backwards = fold(chain(*topics)), fold(chain(*reversed(topics)))
    assert one == two == in_turn == backwards
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(one), type=IntentView) == one


@pytest.mark.requirement("G5")
@MANY
@given(any_topics(), st.randoms(use_true_random=False))
def test_the_state_never_goes_back(topics: list[list[Fact]], random: Any) -> None:
    view, outcomes = INITIAL, 0
    for fact in mixed(topics, random):
        after = STATUS.evolve(view, fact)
        assert after.standing.rank >= view.standing.rank
        assert after.version >= view.version
        outcomes += isinstance(fact.body, e.OutcomeRecorded | e.OutcomeAmended)
        assert (after.standing.state in ENDED) == (outcomes > 0)
        if view.standing.state in ENDED and not isinstance(fact.body, e.OutcomeAmended):
            assert after.standing == view.standing
        view = after


@MANY
@given(any_topics(), st.randoms(use_true_random=False))
def test_a_fact_that_comes_again_leaves_no_trace(topics: list[list[Fact]], random: Any) -> None:
    facts = mixed(topics, random)
    view = fold(facts)
    assert fold(facts, view) is view


@MANY
@given(any_topics(), st.randoms(use_true_random=False))
def test_whatever_was_read_can_be_asked_about(topics: list[list[Fact]], random: Any) -> None:
    view = fold(mixed(topics, random))
    assert (index(view) is None) == (view.tenant == "")
    assert waiting(view) is None or all(isinstance(part, str | int) for part in waiting(view) or ())
    assert is_overdue(view, 10**18) == (view.expires_at > 0 and view.ended_at == 0)
    error_category(view)


@pytest.mark.requirement("G4")
@MANY
@given(any_topics(), st.randoms(use_true_random=False))
def test_nothing_of_a_stranger_is_in_the_timeline(topics: list[list[Fact]], random: Any) -> None:
    view = fold(mixed(topics, random))
    if view.tenant:
        assert {entry.tenant for entry in view.entries} <= {"", view.tenant}
        assert not view.early
    else:
        assert not view.entries


@FEW
@given(st.lists(st.integers(1_000, 1_010), min_size=80, max_size=130), st.integers(0, 129), st.randoms())
def test_of_a_long_timeline_both_ends_are_kept_in_any_interleaving(times: list[int], late: int, random: Any) -> None:
    spam = [
        fact_of(
            "ledger.execution", seq, e.CommandRejected((99 + seq).to_bytes(16), "Cancel", "ALREADY_ENDED", "no"), at
        )
        for seq, at in enumerate(times, 1)
    ]
    more = [
        fact_of("ledger.approval", seq, e.CommandRejected((99 + seq).to_bytes(16), "Vote", "TOO_LATE", "no"), at)
        for seq, at in enumerate(times[:40], 1)
    ]
    topics = [[fact_of("ledger.intake", 1, ACCEPTED, 1_005)], more, spam]
    view = fold(mixed(topics, random))
    assert view == fold([*spam[:late], *topics[0], *more, *spam[late:]]) == fold(chain(*topics))
    assert len(view.entries) == FIRST_ENTRIES + LAST_ENTRIES
    assert view.dropped == len(times) + 41 - len(view.entries)
    assert [entry.at for entry in view.entries] == sorted(entry.at for entry in view.entries)


def test_other_topics_and_refused_commands_leave_no_trace() -> None:
    refused = e.CommandRejected(KEY, "Cancel", "UNKNOWN_INTENT", "there is no such intent")
    switch = e.SwitchFlipped(KEY, "olga", "drill", e.SwitchKind.GLOBAL, "", True)
    assert Ledger().say("approval", refused).say("control", switch).view is INITIAL


def test_it_reads_every_ledger_topic_and_writes_none() -> None:
    assert STATUS.writes is None
    assert STATUS.reads == TOPICS
    assert STATUS.decide(fact_of("ledger.intake", 1, ACCEPTED, 1_000), INITIAL, None) == []  # type: ignore[arg-type]


@pytest.mark.requirement("G4")
def test_a_stranger_who_was_faster_than_the_intent_is_not_seen() -> None:
    theirs = e.CancelRequested(bytes(16), "mallory", "because")
    ledger = Ledger().say("execution", theirs, tenant="evil", actor="mallory")
    assert ledger.view.tenant == ""
    assert index(ledger.view) is None
    ours = e.CancelRequested(bytes(15) + b"\1", "olga", "no longer needed")
    view = ledger.say("intake", ACCEPTED).say("execution", ours, actor="olga").view
    assert [(entry.event, entry.actor) for entry in view.entries] == [
        ("IntentAccepted", "someone"),
        ("CancelRequested", "olga"),
    ]
    alone = Ledger().say("intake", ACCEPTED)
    alone.facts.append(ledger.facts[-1])
    assert view.version == alone.view.version == 2
    assert (view.positions, view.updated_at) == (alone.view.positions, ledger.now_at)


@pytest.mark.requirement("G4")
@MANY
@given(any_topics(), st.randoms(use_true_random=False))
def test_what_strangers_say_changes_nothing_that_is_shown(topics: list[list[Fact]], random: Any) -> None:
    """With and without the cancellations of others, and their refusals."""
    said = (e.CancelRequested, e.CommandRejected)
    own = [[f for f in facts if not isinstance(f.body, said) or f.envelope.tenant in ("", "acme")] for facts in topics]
    with_strangers, alone = fold(mixed(topics, random)), fold(mixed(own, random))
    if with_strangers.tenant:
        assert show(KEY, with_strangers, 2_000, 8) == show(KEY, alone, 2_000, 8)
