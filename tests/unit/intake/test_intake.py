"""Well-formed, authentic and new: accepted once; everything else gets a stable code, a remedy and a dead letter."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.contracts import events as e
from libs.governance.identity import submission_id
from libs.ledger.codec import decode_message, encode_message
from libs.ledger.partition import lane_of
from libs.ledger.service import IN_TRANSACTION, Record
from libs.testkit.samples import (
    AGENT,
    HOUR,
    NOW,
    changed,
    control,
    intent,
    said,
    standard_control,
    tool,
    tool_entry,
)
from services.intake.refusals import REFUSALS
from tests.unit.intake.given import KEY, bearer, desk, record, rejected


@pytest.mark.requirement("A1")
@pytest.mark.requirement("A3")
def test_an_authentic_intent_is_accepted_under_its_id() -> None:
    at = desk()
    at.arrive("intake", record(intent(arguments='{"b" : 1.0, "a": "x"}')))
    fact = at.facts[0]
    assert (fact.envelope.intent_id, fact.envelope.tenant, fact.envelope.account) == (KEY, "acme", "main")
    assert fact.envelope.actor == e.Actor("agent-1", e.ActorKind.MACHINE)
    assert fact.body.principal == e.Principal("acme", "agent-1", e.ActorKind.MACHINE, ("main",), ("agent",))
    assert fact.body.arguments == '{"a":"x","b":1}'
    assert fact.body.arrived_at == NOW


@pytest.mark.requirement("A2")
def test_whatever_an_intent_says_is_on_the_ledger_as_it_was_said() -> None:
    whole = intent(
        account="main", cost_class=e.CostClass.EXPENSIVE, cost_cap_micros=7, snapshot_id="snap-3",
        evidence=(e.Evidence(e.EvidenceKind.RECORD, "crm", "row-9"),), data_sources=(e.DataSource("crm", NOW - 5),),
        trace_parent="00-" + "a" * 32 + "-" + "b" * 16 + "-01", run_id="run-1", plan_id="plan-2", step_id="step-3",
        parent_id="parent-4", retry_of=b"r" * 16, edited_from=b"e" * 16,
    )  # fmt: skip
    unsaid = [name for name in whole.__struct_fields__ if not getattr(whole, name)]
    assert unsaid == [], "this test is to say everything that can be said"
    at = desk()
    at.arrive("intake", record(whole))
    accepted = at.last(e.IntentAccepted)
    told = {name: getattr(accepted, name) for name in whole.__struct_fields__ if name != "arguments"}
    assert told == {name: getattr(whole, name) for name in told}
    assert accepted.principal.kind is e.ActorKind.MACHINE


@pytest.mark.requirement("A6")
def test_a_repeat_gives_nothing_and_other_content_is_refused() -> None:
    at = desk()
    at.arrive("intake", record(intent()))
    assert at.arrive("intake", record(intent(), 1)) == []
    at.at(NOW + 2 * HOUR)
    assert at.arrive("intake", record(intent(), 2)) == []
    at.arrive("intake", record(intent(capability="other"), 3))
    body = at.last(e.SubmissionRejected)
    assert (body.code, body.submission_id) == ("KEY_REUSED", submission_id("intents", 0, 3))
    assert str(UUID(bytes=KEY)) in body.reason
    assert at.names(KEY) == ["IntentAccepted"]


def test_the_same_key_from_somebody_else_is_other_content() -> None:
    at = desk()
    at.arrive("intake", record(intent()))
    at.arrive("intake", record(intent(), 1, bearer(sub="agent-2")))
    assert at.last(e.SubmissionRejected).code == "KEY_REUSED"


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (b"", "WRONG_MAGIC"),
        (b"hello", "WRONG_MAGIC"),
        (b"\x00\x00\x00", "TRUNCATED"),
        (b"\x00\xff\xff\xff\xff abc", "UNKNOWN_SCHEMA"),
        (encode_message(intent()) + b"x", "TRAILING_BYTES"),
        (encode_message(intent())[:-1], "TRUNCATED"),
        (encode_message(intent())[:6], "TRUNCATED"),
        (b"\x00" * 200_000, "OVERSIZE"),
    ],
)
def test_bytes_that_are_no_intent_are_refused(value: bytes, code: str) -> None:
    at = desk()
    at.arrive("intake", record(value))
    rejected(at, code)


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"arguments": "{"}, "JSON_SYNTAX"),
        ({"arguments": '{"a": 1, "a": 2}'}, "JSON_DUPLICATE_KEY"),
        ({"arguments": '{"a": NaN}'}, "JSON_NUMBER"),
        ({"arguments": "[]"}, "JSON_NOT_AN_OBJECT"),
        ({"arguments": '{"a": "' + "x" * 70_000 + '"}'}, "JSON_TOO_LARGE"),
        ({"idempotency_key": ""}, "FIELD_INVALID"),
        ({"idempotency_key": "k" * 201}, "FIELD_INVALID"),
        ({"idempotency_key": "a\nb"}, "FIELD_INVALID"),
        ({"tool": ""}, "FIELD_INVALID"),
        ({"tool": "git/" + "x" * 300}, "FIELD_INVALID"),
        ({"run_id": "\x1b[31m"}, "FIELD_INVALID"),
        ({"cost_cap_micros": -1}, "FIELD_INVALID"),
        ({"expires_at": 0}, "FIELD_INVALID"),
        ({"expires_at": -5}, "FIELD_INVALID"),
        ({"expires_at": NOW}, "EXPIRED"),
        ({"expires_at": NOW - HOUR}, "EXPIRED"),
        ({"expires_at": NOW + 32 * 24 * HOUR}, "EXPIRY_TOO_FAR"),
        ({"expires_at": 2**63 - 1}, "EXPIRY_TOO_FAR"),
        ({"account": "spare"}, "PERMISSION_DENIED"),
        ({"evidence": (e.Evidence(e.EvidenceKind.SOURCE, "a", "b"),) * 65}, "FIELD_INVALID"),
        ({"data_sources": (e.DataSource("a", 1),) * 33}, "FIELD_INVALID"),
        ({"data_sources": (e.DataSource("a\x00", 1),)}, "FIELD_INVALID"),
    ],
)
def test_an_intent_with_something_wrong_is_refused(wrong: dict[str, Any], code: str) -> None:
    at = desk()
    at.arrive("intake", record(intent(**wrong)))
    body = rejected(at, code)
    assert body.idempotency_key == intent(**wrong).idempotency_key[:200]


def test_a_literal_secret_never_reaches_the_ledger() -> None:
    entry = tool_entry(secret_fields=("auth.password",))
    view = control(e.ToolRegistered(**said(tool="git/commit", entry=entry)), start=standard_control())
    at = desk(view)
    at.arrive("intake", record(intent(arguments='{"auth": {"password": "canary"}}')))
    body = rejected(at, "SECRET_LITERAL")
    assert "canary" not in body.reason + str(at.dead)
    good = desk(view)
    good.arrive("intake", record(intent(arguments='{"auth": {"password": "secret://git/main"}}')))
    assert good.names() == ["IntentAccepted"]


# -- home


def elsewhere(lanes: int = 8) -> int:
    return (lane_of(KEY, lanes) + 1) % lanes


def test_a_misplaced_intent_is_forwarded_once_without_its_token() -> None:
    at = desk(lane=(elsewhere(), 8))
    at.arrive("intake", record(intent(), offset=5))
    forward = at.forwards[0]
    assert (forward.topic, forward.partition, forward.key) == ("intake.home", lane_of(KEY, 8), KEY)
    assert bearer()[7:40] not in forward.value
    home = decode_message(forward.value, "intake.home")
    assert (home.forwarded, home.arrived_at, home.origin_offset) == (True, NOW, 5)
    assert at.facts == []

    here = desk(lane=(lane_of(KEY, 8), 8))
    here.arrive("intake", Record("intake.home", lane_of(KEY, 8), 0, NOW, None, forward.value))
    assert here.names() == ["IntentAccepted"]

    wrong = desk(lane=(elsewhere(), 8))
    wrong.arrive("intake", Record("intake.home", elsewhere(), 0, NOW, None, forward.value))
    assert rejected(wrong, "MISPLACED").origin_topic == "intents"


def test_a_forward_that_comes_twice_is_one_intent() -> None:
    home = e.HomeSubmission(encode_message(intent()), AGENT, NOW, "intents", 3, 9, True)
    at = desk()
    for offset in (0, 1):
        at.arrive("intake", Record("intake.home", 0, offset, NOW, None, encode_message(home)))
    assert at.names() == ["IntentAccepted"]


def test_submissions_of_the_front_end_are_told_apart_by_their_place() -> None:
    home = e.HomeSubmission(encode_message(intent(tool="")), AGENT, NOW, "grpc", 0, 0, False)
    at = desk()
    for offset in (4, 5):
        at.arrive("intake", Record("intake.home", 0, offset, NOW, None, encode_message(home)))
    found = [fact.body.submission_id for fact in at.facts]
    assert found == [submission_id("intake.home", 0, 4), submission_id("intake.home", 0, 5)]


def test_a_trace_context_is_taken_over_only_if_it_is_one() -> None:
    sound = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
    for given_trace, found in ((sound, sound), ("rubbish", "")):
        at = desk()
        submitted, prepare = record(intent(trace_parent=given_trace)), at.services["intake"].prepare
        assert prepare and (command := prepare(submitted, at.world).command)
        assert command.trace_parent == found, "what fails before it is accepted is found by it too"
        at.arrive("intake", submitted)
        assert at.facts[0].envelope.trace_parent == at.facts[0].body.trace_parent == found


def test_other_topics_are_not_for_intake() -> None:
    assert desk().arrive("intake", Record("commands", 0, 0, NOW, None, b"x")) == []


MUTABLE = st.sampled_from(list(range(len(encode_message(intent())))))


@given(st.lists(st.tuples(MUTABLE, st.integers(0, 255)), max_size=4))
@settings(max_examples=80, deadline=None)
def test_any_bytes_are_accepted_or_refused_with_a_known_code(mutations: list[tuple[int, int]]) -> None:
    raw = bytearray(encode_message(intent()))
    for place, byte in mutations:
        raw[place] = byte
    at = desk()
    at.arrive("intake", record(bytes(raw)))
    assert at.names() in (["IntentAccepted"], ["SubmissionRejected"])
    for fact in at.facts:
        assert not isinstance(fact.body, e.SubmissionRejected) or fact.body.code in REFUSALS


def test_a_refused_tool_entry_is_no_matter_for_intake() -> None:
    at = desk(control(tool("git/other")))
    at.arrive("intake", record(changed(intent(), tool="git/unknown")))
    assert at.names() == ["IntentAccepted"]


@pytest.mark.requirement("T5")
def test_what_cannot_be_read_is_refused_with_its_offsets_and_nothing_of_it() -> None:
    at = desk()
    flaw = "offsets 3 to 7: compressed, and more than 8388608 bytes when unpacked"
    at.arrive("intake", Record("intents", 0, 7, NOW, None, b"digest", (), flaw))
    body = rejected(at, "UNREADABLE")
    assert (body.reason, body.origin_offset) == (flaw, 7)
    assert "compress" in body.remedy


def test_an_intent_in_a_transaction_is_refused_whether_or_not_it_will_be_committed() -> None:
    at = desk()
    good = record(intent())
    at.arrive("intake", Record(good.topic, 0, 7, NOW, None, good.value, good.headers, IN_TRANSACTION))
    assert "outside of a transaction" in rejected(at, "IN_TRANSACTION").remedy
    at.arrive("intake", good)
    assert at.names()[-1] == "IntentAccepted", "the same intent is no repeat: nothing was taken of it"
