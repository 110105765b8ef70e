"""Whoever meets a stable code is told what to do about it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from libs.contracts.errors import CodecError
from libs.contracts.events import SwitchKind
from libs.governance.remedies import REMEDIES, remedy, remedy_after, remedy_in_doubt
from services.intake.refusals import REFUSALS

ROOT = Path(__file__).parents[3]
# Where codes come from that people meet: in status, in answers of calls, in dead letters.
SPEAKERS = (
    *ROOT.glob("services/**/*.py"),
    *ROOT.glob("libs/governance/*.py"),
    *(ROOT / "libs/runtime" / name for name in ("rpc.py", "outbound.py")),
    *(ROOT / "libs/ledger" / name for name in ("batch.py", "feeding.py", "gate.py", "outside.py", "parking.py")),
)
CODE = re.compile(r"(?!DEED_)[A-Z][A-Z0-9]+(_[A-Z0-9]+)*")  # not the name of a setting
# Words in capitals that are no codes: names of things, states and phases, keys of algorithms, alarms of the lane.
NO_CODES = frozenset({
    "ACCOUNT", "ALL", "AMENDED", "BY_HAND", "CALLED", "CAPABILITY", "CONNECTED", "CONNECTING", "CURRENT_CALL",
    "DELETE", "ERROR", "ES256", "NO_DEAD_LETTER", "ONCE", "PATH", "POST", "RS256", "SERVER", "STARTING", "STOPPED",
    "TCP_USER_TIMEOUT", "TENANT", "TOOL", "UNKNOWN", "UNSPECIFIED",
})  # fmt: skip


def _words(tree: ast.AST) -> Iterator[str]:
    """Text constants that look like codes, but for members of enumerations and names that a module offers."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef) and any(
            isinstance(base, ast.Name) and "Enum" in base.id for base in node.bases
        ):
            continue
        if isinstance(node, ast.Assign) and any(isinstance(to, ast.Name) and to.id == "__all__" for to in node.targets):
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and CODE.fullmatch(node.value):
            yield node.value
        yield from _words(node)


def _spoken() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for file in SPEAKERS:
        if file.name == "remedies.py":
            continue
        for word in _words(ast.parse(file.read_text())):
            found.setdefault(word, set()).add(str(file.relative_to(ROOT)))
    return found


def test_no_code_that_a_person_can_meet_is_without_a_remedy() -> None:
    spoken = _spoken()
    assert {"TOOL_DENIED", "KEY_REUSED", "QUIET_PERIOD", "OVERLOADED", "DECIDE_FAILED"} <= spoken.keys()
    made = {f"SWITCH_{kind}" for kind in SwitchKind} | {kind.code for kind in CodecError.__subclasses__()}
    silent = {word: sorted(files) for word, files in spoken.items() if word not in REMEDIES and word not in NO_CODES}
    assert silent == {}
    assert sorted(made - REMEDIES.keys()) == []


def test_no_remedy_is_for_a_code_that_nobody_says() -> None:
    made = {f"SWITCH_{kind}" for kind in SwitchKind} | {CodecError.code, *(k.code for k in CodecError.__subclasses__())}
    assert sorted(REMEDIES.keys() - _spoken().keys() - made) == []


@pytest.mark.parametrize("code", sorted(REMEDIES))
def test_a_remedy_is_one_plain_sentence_or_two(code: str) -> None:
    said = remedy(code)
    assert said[0].isupper()
    assert said.endswith(".")
    assert len(said) <= 160
    assert said.isprintable()


def test_a_code_without_a_remedy_says_nothing() -> None:
    assert remedy("NEVER_HEARD_OF") == ""


def test_a_submission_is_told_the_same() -> None:
    assert all(told == remedy(code) for code, (_, told) in REFUSALS.items())


@pytest.mark.parametrize("code", [*sorted(REMEDIES), "NEVER_HEARD_OF", ""])
def test_whoever_is_in_doubt_is_told_to_find_out_and_never_to_do_it_again(code: str) -> None:
    said = remedy_in_doubt(code)
    assert "`deed resolve INTENT`" in said
    assert "ubmit" not in said and "new key" not in said


@pytest.mark.parametrize("code", sorted(REMEDIES))
def test_when_it_has_ended_there_is_no_doubt_to_resolve(code: str) -> None:
    assert "Find out in the outside system" not in remedy_after(code)
    assert remedy_after(code).endswith(".")
