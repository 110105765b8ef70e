"""Registry entries of tools as people write and read them: TOML tables, questions and answers, rows of text. The names
of the fields are those of `ToolEntry` in the contract; values of enums may be written without their prefix."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.json_format import MessageToDict, ParseDict, ParseError

from libs.client.ending import Exit, Failed
from libs.contracts.proto.deedbook.control.v1 import registry_pb2 as reg

ANSWERED_ELSEWHERE = frozenset({"server", "definition", "definition_hash"})
ENTRY = """[tools.git_commit]
capability = "git.write"
effect = "WRITE"                  # READ or WRITE
effect_class = "OPAQUE"           # READ_ONLY, KEYED, QUERYABLE or OPAQUE
cost_class = "CHEAP"              # CHEAP, MEDIUM or EXPENSIVE
price_micros = 2000               # the most that one call costs
timeout_ms = 20000
target_path = "repo_path"         # the argument that says what is acted upon
roles_allowed = []                # who may use it; none = everybody
[[tools.git_commit.extractors]]   # how its answer names what it made
kind = "TEXT"
type = "commit"
pattern = "committed successfully with hash ([0-9a-f]{40})"
"""


@dataclass(frozen=True)
class Offered:
    """A tool as its server offers it. `definition` is JSON text."""

    name: str
    definition: str
    hash: str = ""

    @property
    def purpose(self) -> str:
        """The first line of its own description: what a model reads, and nothing that we believe."""
        said = str(json.loads(self.definition).get("description") or "").strip()
        return said.splitlines()[0][:200] if said else "(it says nothing about itself)"

    @property
    def arguments(self) -> list[str]:
        """The names of its arguments."""
        schema = json.loads(self.definition).get("inputSchema")
        found = schema.get("properties") if isinstance(schema, dict) else None
        return sorted(found) if isinstance(found, dict) else []


def read_answers(file: str) -> dict[str, Mapping[str, Any]]:
    """The tables [tools.<name>] of a file. Raises Failed."""
    try:
        document = tomllib.loads(Path(file).read_text(encoding="utf-8"))
    except OSError as error:
        raise _wrong(f"{file} cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise _wrong(f"{file} is no TOML: {error}") from None
    tools = document.pop("tools", None)
    if document or not isinstance(tools, dict) or not all(isinstance(table, dict) for table in tools.values()):
        raise _wrong(f"{file} must hold tables [tools.<name>] and nothing else")
    return tools


def chosen(
    server: str, offered: Sequence[Offered], name: str, answers: Mapping[str, Mapping[str, Any]] | None
) -> list[Offered]:
    """Which of a server's tools are to be registered: the named one, "" = any, of those that the answers are about,
    None = any. Raises Failed: UNKNOWN_TOOL when the server offers not all that is named."""
    named = {*(answers or ()), *filter(None, (name,))}
    if missing := sorted(named - {one.name for one in offered}):
        mend = (
            f"It offers {', '.join(one.name for one in offered) or 'none'}: correct the name, or the file of answers."
        )
        raise Failed("UNKNOWN_TOOL", f"{server} does not offer {', '.join(missing)}", mend, Exit.NOT_FOUND)
    return [one for one in offered if name in ("", one.name) and (answers is None or one.name in answers)]


def entry_of(server: str, offered: Offered, answers: Mapping[str, Any]) -> reg.ToolEntry:
    """What is to be registered. Raises Failed for a field that is not known or has a wrong value."""
    surplus = answers.keys() & ANSWERED_ELSEWHERE
    if surplus:
        raise _wrong(f"{offered.name}: {', '.join(sorted(surplus))} is taken from the server, not from here")
    try:
        entry: reg.ToolEntry = ParseDict(_with_prefixes(reg.ToolEntry.DESCRIPTOR, answers), reg.ToolEntry())
    except ParseError as error:
        raise _wrong(f"{offered.name}: {str(error).removeprefix('Failed to parse ')}") from None
    entry.server, entry.definition = server, offered.definition
    return entry


def shown(entry: reg.ToolEntry) -> dict[str, Any]:
    """The entry for a person or a program: values without prefixes, the definition as JSON."""
    found: dict[str, Any] = _without_prefixes(
        reg.ToolEntry.DESCRIPTOR,
        MessageToDict(entry, preserving_proto_field_name=True, always_print_fields_with_no_presence=True),
    )
    found["definition"] = json.loads(entry.definition or "null")
    return found


def short(number: int, kind: Any) -> str:
    """The name of an enum's value without its prefix."""
    return str(kind.Name(number)).removeprefix(_prefix(kind.DESCRIPTOR))


def _with_prefixes(message: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _each(message, name, value, _named) for name, value in given.items()}


def _without_prefixes(message: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _each(message, name, value, _shortened) for name, value in given.items()}


def _each(message: Any, name: str, value: Any, change: Any) -> Any:
    field = message.fields_by_name.get(name)
    if field is None:
        return value
    if field.type == FieldDescriptor.TYPE_ENUM and isinstance(value, str):
        return change(field.enum_type, value)
    if field.type == FieldDescriptor.TYPE_INT64 and change is _shortened:
        return int(value)  # JSON for browsers writes them as text
    if field.type == FieldDescriptor.TYPE_MESSAGE and isinstance(value, list):
        return [
            {key: _each(field.message_type, key, inner, change) for key, inner in one.items()}
            if isinstance(one, dict)
            else one
            for one in value
        ]
    return value


def _named(enum: Any, value: str) -> str:
    prefix, name = _prefix(enum), value.upper()
    return name if name.startswith(prefix) else prefix + name


def _shortened(enum: Any, value: str) -> str:
    return value.removeprefix(_prefix(enum))


def _prefix(enum: Any) -> str:
    """What all names of an enum begin with: the style of the contract has a value `<PREFIX>UNSPECIFIED` first."""
    return str(enum.values_by_number[0].name).removesuffix("UNSPECIFIED")


def _wrong(reason: str) -> Failed:
    return Failed("ANSWERS_INVALID", reason, "`deed tool example` prints a file that is right.", Exit.WRONG_USE)
