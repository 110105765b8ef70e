"""Whoever is told to use a command finds it: every `deed ...` in a remedy, an explanation, the README or the help."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.main import get_command

from libs.client.cli import build
from libs.governance.remedies import REMEDIES

ROOT = Path(__file__).parents[3]
FILES = (
    ROOT / "README.md",
    *(ROOT / "libs/client").rglob("*.py"),
    *(ROOT / "libs/governance").glob("*.py"),
    *(ROOT / "libs/stack").glob("*.py"),
)
NAMED = re.compile(r"(?:`|^|bin/|\"|: |\} )deed(?: --as \w+)?((?: [a-z][a-z-]*)+)", re.MULTILINE)

TEXTS = frozenset({"logs", "tool example"})  # what they print is for people or a file


def named() -> Iterator[tuple[str, str]]:
    """(where, the words after `deed`)."""
    for code, told in REMEDIES.items():
        yield from ((code, words.strip()) for words in NAMED.findall(told))
    for file in FILES:
        for words in NAMED.findall(file.read_text()):
            yield str(file.relative_to(ROOT)), words.strip()


def test_every_command_that_somebody_is_told_to_use_exists() -> None:
    commands = {words for words, _ in _commands(get_command(build()))}
    found = list(named())
    assert {"tool show", "resolve", "lanes clear"} <= {words for _, words in found}
    wrong = {f"{where}: deed {words}" for where, words in found if not _exists(words.split(), commands)}
    assert wrong == set()


def test_every_command_has_an_example_and_an_answer_for_programs() -> None:
    wanting = []
    for words, command in _commands(get_command(build())):
        options = {option for parameter in command.params for option in parameter.opts}
        if not re.search(rf"deed (--as \S+ )?{words}\b", command.epilog or ""):
            wanting.append(f"deed {words}: no example")
        if "--json" not in options and words not in TEXTS:
            wanting.append(f"deed {words}: no --json")
    assert wanting == []


def _commands(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Everything that can be run, with its words; of groups only what is in them."""
    inner = getattr(command, "commands", {})
    if words and (not inner or command.invoke_without_command):
        yield " ".join(words), command
    for name, one in inner.items():
        yield from _commands(one, (*words, name))


def _exists(words: list[str], commands: set[str]) -> bool:
    """Is it a command, or one with arguments after it?"""
    return any(" ".join(words[:n]) in commands for n in range(1, len(words) + 1))
