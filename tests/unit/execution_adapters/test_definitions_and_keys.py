"""Definitions are pinned whole, names cannot be mistaken, keys are the same for ever (T9, T10, F5, T32)."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import msgspec
import pytest

from libs.contracts.events import EffectClass, KeyPlacement
from libs.runtime.settings import SettingsError, load
from libs.testkit.tool_bench import entry_of
from services.execution.adapters.builtin import JOURNAL
from services.execution.adapters.definition import definition_of, definitions_of
from services.execution.adapters.keys import effect_key, place_key
from services.execution.ports import NotReady
from services.execution.settings import ToolSettings

TOOL: dict[str, Any] = {
    "name": "git_commit",
    "description": "Records changes",
    "inputSchema": {"type": "object", "properties": {"b": {}, "a": {}}},
    "annotations": {"readOnlyHint": False},
}


def test_the_hash_is_that_of_the_canonical_text() -> None:
    found = definition_of(TOOL)
    assert found.hash == hashlib.sha256(found.json.encode()).digest()
    assert found.json == json.dumps(json.loads(found.json), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def test_the_order_of_keys_and_unpinned_fields_change_nothing() -> None:
    other = dict(reversed(TOOL.items())) | {"inputSchema": {"properties": {"a": {}, "b": {}}, "type": "object"}}
    assert definition_of(other | {"icons": [], "_meta": {"x": 1}}).hash == definition_of(TOOL).hash


@pytest.mark.requirement("T9")
@pytest.mark.parametrize(
    "change",
    [
        {"name": "git_commit2"},
        {"description": "Records changes "},
        {"description": "Records ch\u0430nges"},
        {"inputSchema": {"type": "object"}},
        {"outputSchema": {"type": "object"}},
        {"annotations": {"readOnlyHint": True}},
        {"annotations": None},
        {"title": "Record changes"},
    ],
)
def test_any_change_of_what_is_pinned_changes_the_hash(change: dict[str, Any]) -> None:
    assert definition_of(TOOL | change).hash != definition_of(TOOL).hash


@pytest.mark.requirement("T10")
@pytest.mark.parametrize(
    "name", ["", "git commit", "g\u0131t", "git_\u0441ommit", "git/commit", "a" * 129, "a\u200bb", "a\n", None, 5]
)
def test_a_name_that_could_be_mistaken_is_refused(name: Any) -> None:
    with pytest.raises(ValueError, match="its name has other characters"):
        definition_of(TOOL | {"name": name})


@pytest.mark.parametrize(
    "schema", [{"x": float("nan")}, {"x": float("inf")}, {"x": 2**60}, {"x": "\ud800"}, {"x": "y" * 70_000}]
)
def test_a_definition_that_cannot_be_pinned_is_refused(schema: Any) -> None:
    with pytest.raises(ValueError, match=r"canonical JSON|more than"):
        definition_of(TOOL | {"inputSchema": schema})


def test_a_definition_without_a_title_has_the_hash_that_it_always_had() -> None:
    assert definition_of(TOOL).hash.hex().startswith("9c25aa59b7135ad3")


@pytest.mark.requirement("X7")
def test_a_long_definition_is_refused_before_its_canonical_form_is_sought(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.execution.adapters.definition.canonical", lambda value: pytest.fail("it was"))
    with pytest.raises(ValueError, match="more than"):
        definition_of(TOOL | {"inputSchema": {"x": [1.5] * 100_000}})


@pytest.mark.requirement("T10")
def test_a_name_offered_twice_is_nobodys() -> None:
    twice = [TOOL, TOOL | {"description": "Another"}, TOOL | {"name": "git_log"}, {"name": "no good"}]
    assert set(definitions_of(twice, "git")) == {"git_log"}


@pytest.mark.requirement("F5")
def test_keys_differ_by_tenant_and_intent_and_by_nothing_else() -> None:
    secret = b"k7Qm2vX9pLr4Wz8Tn3Bd"
    keys = {effect_key(secret, tenant, intent) for tenant in ("a", "ab", "é") for intent in (b"\0" * 16, b"\1" * 16)}
    assert len(keys) == 6
    assert all(len(key) == 64 for key in keys)
    assert effect_key(secret, "a", b"b" + bytes(15)) != effect_key(secret, "ab", bytes(15))
    assert effect_key(secret, "acme", bytes(16)) == effect_key(secret, "acme", bytes(16))
    assert effect_key(b"another secret of size", "acme", bytes(16)) != effect_key(secret, "acme", bytes(16))


def test_the_key_goes_where_the_registry_says() -> None:
    def placed(placement: KeyPlacement, name: str, over_http: bool = False) -> tuple[Any, ...]:
        entry = entry_of("s", JOURNAL, effect_class=EffectClass.KEYED, key_placement=placement, key_name=name)
        return place_key(entry, "K", {"a": 1}, over_http)

    assert placed(KeyPlacement.ARGUMENT, "key") == ({"a": 1, "key": "K"}, {}, {})
    assert placed(KeyPlacement.META, "x/key") == ({"a": 1}, {"x/key": "K"}, {})
    assert placed(KeyPlacement.META, "") == ({"a": 1}, {"deedbook/idempotency-key": "K"}, {})
    assert placed(KeyPlacement.HEADER, "Idempotency-Key", True) == ({"a": 1}, {}, {"idempotency-key": "K"})
    for name in ("", "Mcp-Session-Id", "Host", "content-length", "a b", "x\r\ny"):
        with pytest.raises(NotReady, match="KEY_NOT_PLACEABLE"):
            placed(KeyPlacement.HEADER, name, True)
    for name in ("deedbook/intent", "deedbook/attempt", "traceparent", "progressToken"):  # would be written over
        with pytest.raises(NotReady, match="KEY_NOT_PLACEABLE"):
            placed(KeyPlacement.META, name)
    for placement, name in [(KeyPlacement.NONE, ""), (KeyPlacement.HEADER, "h"), (KeyPlacement.ARGUMENT, "")]:
        with pytest.raises(NotReady, match="KEY_NOT_PLACEABLE"):
            placed(placement, name)
    with pytest.raises(NotReady, match="KEY_ARGUMENT_TAKEN"):
        placed(KeyPlacement.ARGUMENT, "a")


def test_only_a_keyed_tool_gets_a_key() -> None:
    entry = entry_of("s", JOURNAL, key_placement=KeyPlacement.ARGUMENT, key_name="key")
    assert tuple(place_key(entry, "K", {"a": 1})) == ({"a": 1}, {}, {})


@pytest.mark.requirement("T32")
@pytest.mark.parametrize("secret", [None, "", "changeme", "short", "change-me-change-me-change-me"])
def test_without_a_real_secret_nothing_starts(secret: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DEED_EFFECT_KEY_SECRET", raising=False)
    if secret is not None:
        monkeypatch.setenv("DEED_EFFECT_KEY_SECRET", secret)
    with pytest.raises(SettingsError, match="DEED_EFFECT_KEY_SECRET"):
        load(ToolSettings)


def test_a_definition_survives_the_ledger() -> None:
    found = definition_of(TOOL)
    assert definition_of(msgspec.json.decode(found.json)) == found
