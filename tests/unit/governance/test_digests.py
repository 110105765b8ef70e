"""One content, one digest; and JSON that two programs could read differently is refused."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.contracts import events as e
from libs.governance.digests import INTEGER_MAX, JsonLimits, JsonRefused, canonical, content_digest, read_object
from libs.governance.subject import Subject, action_digest
from libs.testkit.samples import changed, intent

PLAIN = st.none() | st.booleans() | st.integers(-INTEGER_MAX, INTEGER_MAX) | st.text(max_size=8)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False, min_value=-(2.0**53) + 1, max_value=2.0**53 - 1)
VALUES = st.recursive(
    PLAIN | NUMBERS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4)
)
OBJECTS = st.dictionaries(st.text(max_size=6), VALUES, max_size=5)


@given(OBJECTS)
@settings(max_examples=40, deadline=None)
def test_canonical_bytes_are_those_of_the_reference(value: dict[str, Any]) -> None:
    assert canonical(value) == rfc8785.dumps(value)


def test_keys_are_sorted_by_utf16_units() -> None:
    value = {"\ue000": 1, "\U0001f600": 2, "a": 3}
    assert canonical(value) == rfc8785.dumps(value)
    assert list(json.loads(canonical(value))) == ["a", "\U0001f600", "\ue000"]


@given(OBJECTS)
@settings(max_examples=40, deadline=None)
def test_a_canonical_text_reads_back_to_itself(value: dict[str, Any]) -> None:
    once = read_object(json.dumps(value))
    assert read_object(once.text) == once


@given(OBJECTS)
@settings(max_examples=40, deadline=None)
def test_spacing_and_order_do_not_count(value: dict[str, Any]) -> None:
    backwards = dict(reversed(value.items()))
    assert read_object(json.dumps(value, indent=3)).text == read_object(json.dumps(backwards)).text


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('{"a": 1, "a": 1}', "JSON_DUPLICATE_KEY"),
        ('{"x": {"a": 1, "\\u0061": 2}}', "JSON_DUPLICATE_KEY"),
        ('{"a": NaN}', "JSON_NUMBER"),
        ('{"a": -Infinity}', "JSON_NUMBER"),
        ('{"a": 1e999}', "JSON_NUMBER"),
        ('{"a": 9007199254740992}', "JSON_NUMBER"),
        ('{"a": -9007199254740992}', "JSON_NUMBER"),
        ('{"a": 1e300}', "JSON_NUMBER"),
        ('{"a": 9007199254740993.0}', "JSON_NUMBER"),
        ('{"a": ' + "1" * 5_000 + "}", "JSON_NUMBER"),
        ('{"a": "\\ud800"}', "JSON_UNICODE"),
        ('{"\\udfff": 1}', "JSON_UNICODE"),
        ("[1]", "JSON_NOT_AN_OBJECT"),
        ("7", "JSON_NOT_AN_OBJECT"),
        ("", "JSON_SYNTAX"),
        ("{", "JSON_SYNTAX"),
        ("{'a': 1}", "JSON_SYNTAX"),
        ('{"a": 1} x', "JSON_SYNTAX"),
        ('{"a": "\t"}', "JSON_SYNTAX"),
        ('{"a": 01}', "JSON_SYNTAX"),
        ('\ufeff{"a": 1}', "JSON_SYNTAX"),
        ('{"a":' * 33 + "1" + "}" * 33, "JSON_TOO_DEEP"),
        ('{"a":' + "[" * 100_000 + "]" * 100_000 + "}", "JSON_TOO_LARGE"),
        ('{"a":' + "[" * 30_000 + "]" * 30_000 + "}", "JSON_TOO_DEEP"),
        ('{"a": [' + "1," * 20_000 + "1]}", "JSON_TOO_LARGE"),
        ('{"a": "' + "é" * 40_000 + '"}', "JSON_TOO_LARGE"),
    ],
)
def test_what_could_be_read_differently_is_refused(text: str, code: str) -> None:
    with pytest.raises(JsonRefused) as refused:
        read_object(text)
    assert refused.value.code == code


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        read_object(text, JsonLimits(bytes_max=100, depth_max=3, values_max=10))
    except JsonRefused as refused:
        assert refused.code.startswith("JSON_")


SUBJECT = Subject(
    intent_id=bytes(16),
    tenant="acme",
    account="main",
    actor="agent-1",
    actor_kind=e.ActorKind.MACHINE,
    tool="git/commit",
    capability="vcs",
    arguments='{"message":"hello"}',
    expires_at=5,
    content_digest=bytes(32),
    evidence=(e.Evidence(e.EvidenceKind.SOURCE, "doc", "1"),),
    cost_cap_micros=7,
)
OTHERS: dict[str, Any] = {
    "tenant": "acmf",
    "account": "",
    "actor": "agent-2",
    "actor_kind": e.ActorKind.HUMAN,
    "tool": "git/push",
    "capability": "net",
    "arguments": '{"message":"hellp"}',
    "expires_at": 6,
    "evidence": (),
    "cost_cap_micros": None,
}


@pytest.mark.parametrize("field", OTHERS)
def test_an_action_digest_changes_with_each_field(field: str) -> None:
    """Threat T1: nothing that was approved can be swapped for something else."""
    first = action_digest(SUBJECT, b"t" * 32, "repo", b"p" * 32)
    assert action_digest(changed(SUBJECT, **{field: OTHERS[field]}), b"t" * 32, "repo", b"p" * 32) != first


def test_an_action_digest_changes_with_tool_target_and_policy() -> None:
    digests = {
        action_digest(SUBJECT, b"t" * 32, "repo", b"p" * 32),
        action_digest(SUBJECT, b"u" * 32, "repo", b"p" * 32),
        action_digest(SUBJECT, b"t" * 32, "rep0", b"p" * 32),
        action_digest(SUBJECT, b"t" * 32, "repo", b"q" * 32),
    }
    assert len(digests) == 4


def test_an_action_digest_is_over_canonical_json() -> None:
    form: Any = {
        "tenant": "acme",
        "account": "main",
        "actor": {"id": "agent-1", "kind": "MACHINE"},
        "capability": "vcs",
        "tool": "git/commit",
        "tool_hash": (b"t" * 32).hex(),
        "target": "repo",
        "arguments": {"message": "hello"},
        "cost_cap_micros": 7,
        "expires_at": 5,
        "policy_hash": (b"p" * 32).hex(),
        "evidence": [{"kind": "SOURCE", "type": "doc", "id": "1"}],
    }
    expected = hashlib.sha256(rfc8785.dumps(form)).digest()
    assert action_digest(SUBJECT, b"t" * 32, "repo", b"p" * 32) == expected


def content(wanted: e.Intent, subject: str = "agent-1") -> bytes:
    return content_digest(wanted, read_object(wanted.arguments).text, subject)


def test_content_is_the_same_whatever_the_spacing_and_trace() -> None:
    one = intent(arguments='{"a": 1, "b": 2}', trace_parent="one")
    assert content(one) == content(intent(arguments='{"b":2,"a":1}', trace_parent="two"))


@pytest.mark.parametrize("field", [f for f in e.Intent.__struct_fields__ if f != "trace_parent"])
def test_content_is_other_with_any_other_field(field: str) -> None:
    others: dict[str, Any] = {
        "arguments": "{}",
        "expires_at": 1,
        "cost_class": e.CostClass.CHEAP,
        "cost_cap_micros": 1,
        "evidence": (e.Evidence(e.EvidenceKind.RECORD, "a", "b"),),
        "data_sources": (e.DataSource("crm", 1),),
        "retry_of": b"r" * 16,
        "edited_from": b"r" * 16,
    }
    assert content(intent(**{field: others.get(field, "other")})) != content(intent())


def test_content_is_other_from_somebody_else() -> None:
    assert content(intent()) != content(intent(), "agent-2")
