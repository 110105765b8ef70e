"""An intent as a person writes it."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from libs.client import intent_text as text
from libs.client.ending import Exit, Failed
from libs.contracts.events import EvidenceKind

NOW = datetime(2026, 11, 21, 22, 0, tzinfo=UTC)
DOCUMENT = {
    "tool": "git/git_commit",
    "arguments": {"message": "Pay", "count": 2},
    "key": "invoice-1",
    "expires_at": "2026-11-21T23:00:00Z",
    "evidence": [{"type": "ticket", "id": "OPS-17"}],
    "data_sources": [{"name": "crm", "as_of": "2026-11-21T21:59:00+00:00"}],
    "cost_cap_micros": 5000,
}


def test_a_document_has_the_names_of_the_client() -> None:
    intent = text.make(text.read_document(json.dumps(DOCUMENT)))
    assert (intent.tool, intent.key, intent.cost_cap_micros) == ("git/git_commit", "invoice-1", 5000)
    assert intent.expires_at == datetime(2026, 11, 21, 23, 0, tzinfo=UTC)
    assert intent.evidence[0].id == "OPS-17"
    assert intent.data_sources[0].as_of == datetime(2026, 11, 21, 21, 59, tzinfo=UTC)


def test_options_go_over_the_document_and_arguments_are_added() -> None:
    given = text.together(
        DOCUMENT, {"key": "other", "account": "", "evidence": []}, ["count=3", "dry=true", "note=a=b"]
    )
    intent = text.make(given)
    assert (intent.key, intent.account, intent.evidence[0].id) == ("other", "", "OPS-17")
    assert intent.arguments == {"message": "Pay", "count": 3, "dry": True, "note": "a=b"}


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("n=1", ("n", 1)),
        ("n=[1,2]", ("n", [1, 2])),
        ("n=", ("n", "")),
        ('n="1"', ("n", "1")),
        ("n=a b", ("n", "a b")),
        ('n=1,"m":2', ("n", '1,"m":2')),
        ('n=1],"m":[2', ("n", '1],"m":[2')),
        ("n=1,2", ("n", "1,2")),
        ('n="99999999999999999999"', ("n", "99999999999999999999")),
        ("n=9007199254740991", ("n", 2**53 - 1)),
        ("n=-Infinity", ("n", "-Infinity")),
        ("n=NaN", ("n", "NaN")),
        ("n=4711-99999999999999999999", ("n", "4711-99999999999999999999")),
    ],
)
def test_a_value_is_json_if_it_can_be(written: str, read: tuple[str, object]) -> None:
    assert text.argument(written) == read


@pytest.mark.parametrize(
    ("written", "kind", "of", "name"),
    [("ticket:OPS:17", "SOURCE", "ticket", "OPS:17"), ("event:abc/def", "LEDGER_EVENT", "abc", "def")],
)
def test_evidence_is_a_source_or_an_event(written: str, kind: str, of: str, name: str) -> None:
    (found,) = text.make({"tool": "a/b", "evidence": [text.evidence(written)]}).evidence
    assert (found.kind, found.type, found.id) == (EvidenceKind(kind), of, name)


def test_an_event_is_cited_by_its_intent_too() -> None:
    with pytest.raises(Failed) as failed:
        text.evidence("event:abc")
    assert failed.value.code == "GROUNDING_SHAPE"


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("90s", "2026-11-21T22:01:30+00:00"),
        ("2h", "2026-11-22T00:00:00+00:00"),
        ("2026-11-22T01:00:00+01:00", "2026-11-22T00:00:00+00:00"),
    ],
)
def test_an_expiry_is_a_time_from_now_or_a_moment(written: str, moment: str) -> None:
    assert text.expiry(written, NOW) == moment


def test_data_is_from_now_unless_a_time_is_named() -> None:
    assert text.source("crm", NOW) == {"name": "crm", "as_of": "2026-11-21T22:00:00+00:00"}
    assert text.source("crm=2026-11-21T20:00:00Z", NOW)["as_of"] == "2026-11-21T20:00:00Z"


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (lambda: text.read_document('{"tool":"a","tool":"b"}'), "JSON_DUPLICATE_KEY"),
        (lambda: text.read_document("[1]"), "JSON_NOT_AN_OBJECT"),
        (lambda: text.read_document('{"tool":"a/b","tennant":"x"}'), "FIELD_INVALID"),
        (lambda: text.make({}), "FIELD_INVALID"),
        (lambda: text.make({"tool": 7}), "FIELD_INVALID"),
        (lambda: text.argument("nothing"), "FIELD_INVALID"),
        (lambda: text.argument("n=123456789012345678901"), "JSON_NUMBER"),
        (lambda: text.argument('n={"amounts":[9007199254740992]}'), "JSON_NUMBER"),
        (lambda: text.argument("n=1e400"), "JSON_NUMBER"),
        (lambda: text.evidence("ticket"), "FIELD_INVALID"),
        (lambda: text.expiry("soon", NOW), "FIELD_INVALID"),
        (lambda: text.expiry("2026-11-22T01:00:00", NOW), "FIELD_INVALID"),
        (lambda: text.expiry("999999999d", NOW), "FIELD_INVALID"),
        (lambda: text.expiry("0001-01-01T00:00:00+23:00", NOW), "FIELD_INVALID"),
        (lambda: text.together({"arguments": [1]}, {}, ["n=1"]), "FIELD_INVALID"),
        (lambda: text.together({}, {}, ["n=1", "n=2"]), "FIELD_INVALID"),
    ],
)
def test_what_is_wrong_is_wrong_use_and_says_what(wrong: object, code: str) -> None:
    with pytest.raises(Failed) as refused:
        wrong()  # type: ignore[operator]
    assert (refused.value.code, refused.value.exit_code) == (code, Exit.WRONG_USE)
    assert refused.value.reason


@pytest.mark.parametrize("note", ["plain", "Zahlung \u00fcber 3 \u20ac", "a\u200bb \U000e0001 \x9b", 'it\'s "so"\nEND'])
def test_the_document_of_an_intent_is_that_very_intent_again(note: str) -> None:
    intent = text.make(
        {**DOCUMENT, "arguments": {"note": note, "n": [1, None]}, "cost_class": "MEDIUM", "retry_of": "x"}
    )
    said = text.document(intent)
    assert said.isascii() and said.isprintable()
    assert text.make(text.read_document(said)) == intent
    assert text.make(text.read_document(text.document(text.make({"tool": "a/b"})))).tool == "a/b"
