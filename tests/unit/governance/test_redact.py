"""What people see of arguments hides secrets; what reaches the ledger holds references only (E1, flow decision 12)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.governance.paths import cover, leaves, select, select_text
from libs.governance.redact import DISPLAY_MAX, HIDDEN, display, literal_secrets


def shown(arguments: dict[str, Any]) -> Any:
    return json.loads(display(arguments))


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "userPassword",
        "PASSWD",
        "client_secret",
        "token",
        "access-token",
        "api_key",
        "auth",
        "authorization",
    ],
)
def test_values_under_telling_names_are_hidden(name: str) -> None:
    assert shown({"a": [{name: {"deep": "canary"}}]}) == {"a": [{name: HIDDEN}]}


def test_names_that_only_look_alike_are_shown() -> None:
    assert shown({"author": "ada", "authors": ["ada"]}) == {"author": "ada", "authors": ["ada"]}


@pytest.mark.requirement("E1")
def test_arrays_are_cut_at_ten_and_long_texts_too() -> None:
    found = shown({"rows": list(range(13)), "text": "x" * 600})
    assert found["rows"] == [*range(10), "... 3 more"]
    assert found["text"].endswith("... 100 more characters")


@given(st.dictionaries(st.text(min_size=1), st.text() | st.lists(st.text(max_size=600), max_size=30), max_size=40))
@settings(max_examples=30, deadline=None)
def test_a_display_is_bounded(arguments: dict[str, Any]) -> None:
    assert len(display(arguments)) <= 2 * DISPLAY_MAX


@pytest.mark.parametrize("value", ["secret://vault/db", "secret://a.b-c/d_e"])
def test_references_are_no_literals(value: str) -> None:
    assert literal_secrets({"db": {"password": value}}, ("db.password",)) == []


@pytest.mark.parametrize(
    "value", ["hunter2", "", "secret://", "secret://a/../", "xsecret://a", "secret://a b", 7, None, {"a": 1}, True]
)
def test_anything_else_is_a_literal(value: Any) -> None:
    assert literal_secrets({"db": [{"password": value}]}, ("db.password", "db.user")) == ["db.password"]


def test_references_in_arrays_are_looked_at_one_by_one() -> None:
    assert literal_secrets({"tokens": ["secret://a", "secret://b"]}, ("tokens",)) == []
    assert literal_secrets({"tokens": ["secret://a", ["b"]]}, ("tokens",)) == ["tokens"]


def test_paths_lead_into_arrays_without_naming_them() -> None:
    value = {"files": [{"name": "a"}, {"name": "b"}], "n": 3}
    assert select(value, "files.name") == ["a", "b"]
    assert select(value, "*.name") == ["a", "b"]
    assert select(value, "files.size") == []
    assert select_text(value, "n") == "3"
    assert select_text(value, "files") == ""


def test_leaves_and_covers_agree_and_a_dot_in_a_key_is_no_step() -> None:
    found = set(leaves({"a": {"b": [{"c": 1}, 2]}, "a.b": 3, "e": {}}))
    assert found == {("a", "b", "c"), ("a", "b"), ("a.b",), ("e",)}
    assert cover(["a.b"])(("a", "b", "c"))
    assert cover(["x", "*.b"])(("a", "b"))
    assert cover(["a.c", "*.b"])(("a", "b"))
    assert not cover(["a.b"])(("a.b",))
    assert not cover(["a.b.c"])(("a", "b"))
    assert not cover([])(("a",))
    assert not cover(["a"])(("", "a"))
