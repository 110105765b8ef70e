"""From what people write about a tool to the entry that is registered, and back."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from libs.client.ending import Exit, Failed
from libs.client.registry import ENTRY, Offered, chosen, entry_of, read_answers, short, shown
from libs.contracts.proto.deedbook.control.v1 import registry_pb2 as reg

DEFINITION = json.dumps(
    {"name": "git_commit", "description": "Commits.\nMore.", "inputSchema": {"properties": {"b": {}, "a": {}}}}
)
COMMIT = Offered("git_commit", DEFINITION, "ab" * 32)


def answers(**more: Any) -> dict[str, Any]:
    return {**tomllib.loads(ENTRY)["tools"]["git_commit"], **more}


def test_the_example_makes_an_entry() -> None:
    entry = entry_of("git", COMMIT, answers())
    assert (entry.server, entry.definition, entry.definition_hash) == ("git", DEFINITION, "")
    assert (entry.effect, entry.effect_class) == (reg.EFFECT_KIND_WRITE, reg.EFFECT_CLASS_OPAQUE)
    assert [(one.kind, one.type) for one in entry.extractors] == [(reg.EXTRACTOR_KIND_TEXT, "commit")]


@pytest.mark.parametrize("said", ["keyed", "KEYED", "EFFECT_CLASS_KEYED"])
def test_a_class_may_be_written_with_or_without_its_prefix(said: str) -> None:
    assert entry_of("git", COMMIT, answers(effect_class=said)).effect_class == reg.EFFECT_CLASS_KEYED


@pytest.mark.parametrize(
    "wrong",
    [
        {"efect": "READ"},
        {"effect_class": "MAYBE"},
        {"price_micros": "much"},
        {"extractors": [{"kind": "GUESS", "type": "x"}]},
        {"extractors": ["x"]},
        {"definition_hash": "ab"},
        {"server": "other"},
    ],
)
def test_what_cannot_be_is_refused_and_names_the_tool(wrong: dict[str, Any]) -> None:
    with pytest.raises(Failed, match="git_commit") as caught:
        entry_of("git", COMMIT, answers(**wrong))
    assert caught.value.code == "ANSWERS_INVALID"


@pytest.mark.parametrize(
    ("name", "given", "found"),
    [
        ("append", ("append", "other"), ["append"]),  # answers about a tool that is not named now are no fault
        ("", ("append", "other"), ["append", "other"]),
        ("", ("other",), ["other"]),
        ("append", None, ["append"]),
        ("", None, ["append", "other"]),
    ],
)
def test_the_named_tool_is_registered_else_all_that_have_answers(
    name: str, given: tuple[str, ...] | None, found: list[str]
) -> None:
    offered = [Offered("append", DEFINITION), Offered("other", DEFINITION)]
    said = None if given is None else dict.fromkeys(given, answers())
    assert [one.name for one in chosen("notes", offered, name, said)] == found


@pytest.mark.parametrize(("name", "given"), [("apend", None), ("", ("append", "apend")), ("append", ("apend",))])
def test_a_tool_that_its_server_does_not_offer_is_named_with_those_that_it_does(
    name: str, given: tuple[str, ...] | None
) -> None:
    said = None if given is None else dict.fromkeys(given, answers())
    with pytest.raises(Failed, match="notes does not offer apend") as caught:
        chosen("notes", [Offered("append", DEFINITION), Offered("other", DEFINITION)], name, said)
    assert (caught.value.code, caught.value.exit_code) == ("UNKNOWN_TOOL", Exit.NOT_FOUND)
    assert caught.value.remedy.startswith("It offers append, other: ")


@pytest.mark.parametrize("text", ["tools = 1", "[other]\n[tools.x]", "=", "[tools]\nx = 1"])
def test_a_file_of_another_shape_is_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "answers.toml"
    file.write_text(text)
    with pytest.raises(Failed, match=r"answers\.toml"):
        read_answers(str(file))
    with pytest.raises(Failed, match="cannot be read"):
        read_answers(str(tmp_path / "none"))


def test_what_is_shown_can_be_written_again() -> None:
    entry = entry_of("git", COMMIT, answers())
    again = shown(entry)
    assert (again["effect_class"], again["price_micros"], again["definition"]["name"]) == ("OPAQUE", 2000, "git_commit")
    for name in ("server", "definition", "definition_hash"):
        del again[name]
    assert entry_of("git", COMMIT, again) == entry


def test_a_tool_says_what_it_is_for_in_one_line() -> None:
    assert (COMMIT.purpose, COMMIT.arguments) == ("Commits.", ["a", "b"])
    assert Offered("x", '{"name": "x"}').purpose == "(it says nothing about itself)"
    assert short(reg.TRANSPORT_STDIO, reg.Transport) == "STDIO"
