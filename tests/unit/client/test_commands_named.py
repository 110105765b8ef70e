"""Whoever is told to use a command finds it: every `deed ...` in a remedy, an explanation, the README or the help."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

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

COMING = frozenset({"doctor"})  # named already, and not there yet


def known() -> dict[str, bool]:
    """Command lines by their words, and whether words of other kinds may follow."""
    found: dict[str, bool] = {}

    def add(command: object, words: tuple[str, ...]) -> None:
        inner = getattr(command, "commands", None)
        if words:
            found[" ".join(words)] = inner is None or bool(getattr(command, "invoke_without_command", False))
        for name, one in (inner or {}).items():
            add(one, (*words, name))

    add(get_command(build()), ())
    return found


def named() -> Iterator[tuple[str, str]]:
    """(where, the words after `deed`)."""
    for code, told in REMEDIES.items():
        yield from ((code, words.strip()) for words in NAMED.findall(told))
    for file in FILES:
        for words in NAMED.findall(file.read_text()):
            yield str(file.relative_to(ROOT)), words.strip()


def test_every_command_that_somebody_is_told_to_use_exists() -> None:
    commands = known()
    found = list(named())
    assert {"tool show", "resolve", "lanes clear"} <= {words for _, words in found}
    wrong = {
        f"{where}: deed {words}"
        for where, words in found
        if not _exists(words.split(), commands) and words.split()[0] not in COMING
    }
    assert wrong == set()


def _exists(words: list[str], commands: dict[str, bool]) -> bool:
    """Is it a command, or one with arguments after it?"""
    return any(commands.get(" ".join(words[:n])) for n in range(1, len(words) + 1))
