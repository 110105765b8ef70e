"""Restricted Avro: what a schema of ours may consist of. What is left out is what made Avro libraries crash, allocate
without bound or read one thing as another: recursion, unions of records, items without bytes, floats for money.

`python -m libs.contracts.lint` prints what is wrong and exits with 1 if anything is.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from libs.contracts.schemas import ENVELOPE, PRIMITIVES, Schema, is_event, load

DEPTH_MAX = 5  # records inside each other
SYMBOLS_MAX = 64  # the index of a symbol stays one byte
FIXED = {16: "uuid", 32: None}  # sizes that `avro.py` knows, and their logical type
WRITERS = frozenset({"intake", "validation", "approval", "budget", "execution", "outcome", "control"})
MICROS = {"type": "long", "logicalType": "timestamp-micros"}
KEYS = {
    "record": {"type", "name", "namespace", "doc", "fields"},
    "enum": {"type", "name", "namespace", "doc", "symbols", "default"},
    "fixed": {"type", "name", "namespace", "doc", "size", "logicalType"},
}
TYPE_NAME = re.compile(r"[A-Z][A-Za-z0-9]*")
FIELD_NAME = re.compile(r"[a-z][a-z0-9_]*")
SYMBOL = re.compile(r"[A-Z][A-Z0-9_]*")
NO_DEFAULT = object()


def violations(schemas: Mapping[str, Schema]) -> list[str]:
    """What breaks the rules, each as `type[.field]: what`."""
    return [f"{name}: {what}" for name, schema in schemas.items() for what in _of_type(name, schema, schemas)]


def _of_type(name: str, schema: Schema, schemas: Mapping[str, Schema]) -> Iterator[str]:
    kind = schema["type"]
    if kind not in KEYS:
        yield f"{kind!r} is no named type; only record, enum and fixed are"
        return
    if unknown := sorted(set(schema) - KEYS[kind]):
        yield f"{unknown} not allowed in a {kind}"
    if not TYPE_NAME.fullmatch(schema["name"]):
        yield "a type's name is CamelCase"
    if not str(schema.get("doc", "")).strip():
        yield "no doc"
    match kind:
        case "enum":
            yield from _of_enum(schema)
        case "fixed":
            if schema.get("size") not in FIXED or schema.get("logicalType") != FIXED[schema["size"]]:
                yield "fixed is 16 bytes with logicalType uuid, or 32 bytes"
        case _:
            yield from _of_record(name, schema, schemas)


def _of_enum(schema: Schema) -> Iterator[str]:
    symbols = schema.get("symbols", [])
    if not symbols or len(symbols) > SYMBOLS_MAX or len(set(symbols)) != len(symbols):
        yield f"symbols are 1 to {SYMBOLS_MAX}, each once"
    if schema.get("default") not in symbols:
        yield "an enum has a default, one of its symbols: what an old reader takes a new symbol for"
    yield from (f"symbol {symbol} is not UPPER_CASE" for symbol in symbols if not SYMBOL.fullmatch(symbol))


def _of_record(name: str, schema: Schema, schemas: Mapping[str, Schema]) -> Iterator[str]:
    fields = schema.get("fields", [])
    names = [field["name"] for field in fields]
    if not [field for field in fields if field["type"] != ENVELOPE]:
        yield "a record without fields takes no bytes: an array of them would have no bound"
    if len(set(names)) != len(names):
        yield "a field's name appears twice"
    deep = depth(name, schemas)
    if deep is None:
        yield "recursion: a short record could crash a reader"
    elif deep > DEPTH_MAX:
        yield f"records nested {deep} deep, at most {DEPTH_MAX} allowed"
    if name == ENVELOPE and [(f["name"], f["type"]) for f in fields[:2]] != [
        ("seq", "long"),
        ("prev_hash", "deedbook.Hash"),
    ]:
        yield "the envelope begins with seq (long) and prev_hash (Hash), which are read without decoding the rest"
    if schema["namespace"].removeprefix("deedbook.") in WRITERS and not is_event(schema):
        yield "an event begins with its envelope"
    for field in fields:
        yield from (f"{field['name']}: {what}" for what in _of_field(field, fields[0] is field, schemas))


def _of_field(field: Schema, first: bool, schemas: Mapping[str, Schema]) -> Iterator[str]:
    if unknown := sorted(set(field) - {"name", "type", "doc", "default"}):
        yield f"{unknown} not allowed in a field"
    if not FIELD_NAME.fullmatch(field["name"]):
        yield "a field's name is lower_case"
    if not str(field.get("doc", "")).strip():
        yield "no doc"
    kind = field["type"]
    if (kind == ENVELOPE or field["name"] == "envelope") and not (first and kind == ENVELOPE):
        yield "the envelope is an event's first field and nothing else"
    yield from _of_field_type(kind, schemas)
    yield from _of_unit(field["name"], kind)
    default = field.get("default", NO_DEFAULT)
    if isinstance(kind, list) and default is not None:
        yield "a nullable field has the default null"
    if default is not NO_DEFAULT and not _fits(default, kind, schemas):
        yield f"the default {default!r} is not of the field's type"


def _of_field_type(kind: Any, schemas: Mapping[str, Schema]) -> Iterator[str]:
    match kind:
        case ["null", inner] if not isinstance(inner, list):
            if isinstance(inner, dict) and inner.get("type") in {"array", "map"}:
                yield "a nullable array or map: an empty one says the same"
            yield from _of_field_type(inner, schemas)
        case list():
            yield "a union other than [null, type]: one shape could be read as another"
        case {"type": "array", "items": inner} | {"type": "map", "values": inner} if len(kind) == 2:
            if not isinstance(inner, str):
                yield "items of arrays and maps are primitive or named types"
            yield from _of_field_type(inner, schemas)
        case str() if kind not in PRIMITIVES and kind not in schemas:
            yield f"{kind!r} is no type of restricted Avro and not in schemas/"
        case dict() if kind != MICROS:
            yield "a type written inside of a field: name it in a file of its own"


def _of_unit(name: str, kind: Any) -> Iterator[str]:
    inner = kind[-1] if isinstance(kind, list) else kind
    if name.endswith("_at") != (inner == MICROS):
        yield "names of moments, and no others, end in _at and are timestamp-micros"
    if name.endswith("_micros") and inner != "long":
        yield "money is a long"
    if name.endswith("_ms") and inner not in ("int", "long"):
        yield "a duration is an int or a long"


def _fits(default: Any, kind: Any, schemas: Mapping[str, Schema]) -> bool:
    match kind:
        case ["null", *_]:
            return default is None
        case {"type": "array"}:
            return bool(default == [])
        case {"type": "map"}:
            return bool(default == {})
        case "boolean":
            return isinstance(default, bool)
        case "int" | "long" | {"type": "long"}:
            return type(default) is int
        case "string" | "bytes":
            return isinstance(default, str)
        case str():
            return default in schemas.get(kind, {}).get("symbols", ())
        case _:
            return False


def depth(name: str, schemas: Mapping[str, Schema], path: tuple[str, ...] = ()) -> int | None:
    """How many records are inside each other, this one included; None = without end."""
    if name in path:
        return None
    deepest = 0
    for field in schemas[name].get("fields", []):
        for inner in _references(field["type"]):
            below = depth(inner, schemas, (*path, name)) if inner in schemas else 0
            if below is None:
                return None
            deepest = max(deepest, below)
    return deepest + 1 if schemas[name]["type"] == "record" else deepest


def _references(kind: Any) -> Iterator[str]:
    match kind:
        case str():
            yield kind
        case list():
            for branch in kind:
                yield from _references(branch)
        case {"items": inner} | {"values": inner}:
            yield from _references(inner)


if __name__ == "__main__":
    found = violations(load())
    print("\n".join(found) or "schemas/ is restricted Avro")
    sys.exit(1 if found else 0)
