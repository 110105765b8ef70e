"""Writes the text of `libs/contracts/events.py`: a struct for each record, a StrEnum for each enum of `schemas/`."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from typing import Any

from libs.contracts.schemas import Schema, SchemaError, is_event, short_name

WIDTH = 120
SCALARS = {"boolean": "bool", "int": "int", "long": "int", "string": "str", "bytes": "bytes"}
GROUPS = {
    "intake": "IntakeEvent",
    "validation": "ValidationEvent",
    "approval": "ApprovalEvent",
    "budget": "BudgetEvent",
    "execution": "ExecutionEvent",
    "outcome": "OutcomeEvent",
    "control": "ControlEvent",
    "commands": "CommandMessage",
    "control_commands": "ControlCommandMessage",
}

EVENTS_HEAD = '''"""The types of all events, commands and messages.

Generated from schemas/ by libs.contracts.generate: do not edit.

Ids are 16 and digests 32 raw bytes; names ending in `_at` are microseconds since 1970 UTC. Events are without their
envelope, which is a type of its own. Fields with a default come last; give fields by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import msgspec
'''


def types_text(schemas: dict[str, Schema]) -> str:
    """The module's text. Raises SchemaError when two types would get one Python name."""
    names = [short_name(name) for name in schemas]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise SchemaError(f"one Python name for several types: {sorted(twice)}")
    kinds: dict[str, list[Schema]] = {"enum": [], "record": [], "fixed": []}
    for schema in schemas.values():
        kinds[schema["type"]].append(schema)
    parts = [EVENTS_HEAD]
    parts += [_enum(schema) for schema in kinds["enum"]]
    parts += [_struct(schema, schemas) for schema in kinds["record"]]
    parts += ["\n".join(_groups(schemas))]
    return "\n\n".join(parts) + "\n"


def _docstring(text: str, indent: str = "    ") -> str:
    one = f'{indent}"""{text}"""'
    if len(one) <= WIDTH:
        return one
    lines = textwrap.wrap(text, WIDTH - len(indent) - 6)  # narrower than one line, so that there are at least two
    body = f"\n{indent}".join(lines)
    return f'{indent}"""{body}\n{indent}"""'


def _enum(schema: Schema) -> str:
    symbols = "\n".join(f'    {symbol} = "{symbol}"' for symbol in schema["symbols"])
    return f"class {schema['name']}(StrEnum):\n{_docstring(schema['doc'])}\n\n{symbols}\n"


def struct_fields(schema: Schema) -> list[Schema]:
    """A record's fields in the order of the struct: Python wants those with a default last."""
    fields = [field for field in schema.get("fields", []) if field["name"] != "envelope"]
    return sorted(fields, key=lambda field: "default" in field)


def _struct(schema: Schema, schemas: dict[str, Schema]) -> str:
    fields = struct_fields(schema)
    plain = all(_is_scalar(field["type"], schemas) for field in fields)
    options = "frozen=True, gc=False" if plain else "frozen=True"
    lines = [f"class {schema['name']}(msgspec.Struct, {options}):", _docstring(schema["doc"]), ""]
    for field in fields:
        default = f" = {_default(field, schemas)}" if "default" in field else ""
        lines += [f"    {field['name']}: {_annotation(field['type'], schemas)}{default}", _docstring(field["doc"])]
    return "\n".join(lines) + "\n"


def _is_scalar(node: Any, schemas: dict[str, Schema]) -> bool:
    match node:
        case str():
            return node in SCALARS or node == "null" or schemas[node]["type"] != "record"
        case list():
            return all(_is_scalar(branch, schemas) for branch in node)
        case {"type": "array" | "map"}:
            return False
        case _:
            return True


def _annotation(node: Any, schemas: dict[str, Schema]) -> str:
    match node:
        case str() if node in SCALARS:
            return SCALARS[node]
        case str():
            return "bytes" if schemas[node]["type"] == "fixed" else short_name(node)
        case ["null", branch]:
            return f"{_annotation(branch, schemas)} | None"
        case {"type": "array", "items": items}:
            return f"tuple[{_annotation(items, schemas)}, ...]"
        case {"type": "map", "values": values}:
            return f"Mapping[str, {_annotation(values, schemas)}]"
        case {"type": scalar}:
            return SCALARS[scalar]
        case _:
            raise SchemaError(f"no Python type for {node}")


def _default(field: Schema, schemas: dict[str, Schema]) -> str:
    match field["default"], field["type"]:
        case [], _:
            return "()"
        case str(symbol), str(name) if name in schemas:
            return f"{short_name(name)}.{symbol}"
        case str(text), _:
            return json.dumps(text)
        case value, _:
            return repr(value)


def _groups(schemas: dict[str, Schema]) -> Iterator[str]:
    shared = [s["name"] for s in schemas.values() if s["namespace"] == "deedbook" and is_event(s)]
    for folder, alias in GROUPS.items():
        own = [s for s in schemas.values() if s["namespace"] == f"deedbook.{folder}"]
        if not own:
            continue
        names = [s["name"] for s in own] + (shared if is_event(own[0]) else [])
        one = f"{alias} = {' | '.join(names)}"
        yield one if len(one) <= WIDTH else f"{alias} = (\n    " + "\n    | ".join(names) + "\n)"
