"""Reads `schemas/`: every type by its full name, and the registered form of a type, in which each type that it
refers to is written out where it is first met (a Schema Registry then needs nothing but that one document)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2] / "schemas"
PRIMITIVES = frozenset({"boolean", "int", "long", "string", "bytes"})
ENVELOPE = "deedbook.Envelope"
TEXT_ONLY = frozenset({"doc", "logicalType"})  # what has no influence on the bytes

Schema = dict[str, Any]


class SchemaError(Exception):
    """The files in `schemas/` contradict themselves or each other."""


def load(root: Path = ROOT) -> dict[str, Schema]:
    """All types of `schemas/<folder>/<Name>.avsc` and `schemas/envelope.avsc` by full name, sorted."""
    found: dict[str, Schema] = {}
    for path in sorted([root / "envelope.avsc", *sources(root)]):
        schema: Schema = json.loads(path.read_text())
        expected = expected_name(path.relative_to(root))
        if full_name(schema) != expected:
            raise SchemaError(f"{path}: holds {full_name(schema)}, its place says {expected}")
        found[expected] = schema
    return dict(sorted(found.items()))


def sources(root: Path) -> Iterator[Path]:
    """The files of the current schemas; `released` and `golden` hold what was."""
    for path in root.glob("*/*.avsc"):
        if path.parent.name not in {"released", "golden"}:
            yield path


def expected_name(path: Path) -> str:
    """`execution/ExecutionFailed.avsc` -> `deedbook.execution.ExecutionFailed`; shared types have no folder name."""
    if path.parent == Path():
        return ENVELOPE
    folder = path.parent.name
    return f"deedbook.{path.stem}" if folder == "shared" else f"deedbook.{folder}.{path.stem}"


def full_name(schema: Schema) -> str:
    return f"{schema['namespace']}.{schema['name']}"


def short_name(name: str) -> str:
    return name.rpartition(".")[2]


def is_event(schema: Schema) -> bool:
    """Events of the ledger begin with the envelope; messages and shared records have none."""
    fields = schema.get("fields", [])
    return bool(fields) and fields[0]["type"] == ENVELOPE


def inline(name: str, schemas: Mapping[str, Schema]) -> Schema:
    """The registered form of a type. Raises SchemaError for unknown names and recursion."""
    expanded = _expand(name, schemas, set(), ())
    if not isinstance(expanded, dict):
        raise SchemaError(f"{name} is not a named type")
    return expanded


def _expand(node: Any, schemas: Mapping[str, Schema], seen: set[str], path: tuple[str, ...]) -> Any:
    match node:
        case str() if node in PRIMITIVES or node == "null":
            return node
        case str():
            return _expand_name(node, schemas, seen, path)
        case list():
            return [_expand(branch, schemas, seen, path) for branch in node]
        case {"type": "array", "items": items}:
            return {**node, "items": _expand(items, schemas, seen, path)}
        case {"type": "map", "values": values}:
            return {**node, "values": _expand(values, schemas, seen, path)}
        case _:
            return node


def _expand_name(name: str, schemas: Mapping[str, Schema], seen: set[str], path: tuple[str, ...]) -> Any:
    if name in path:
        raise SchemaError(f"recursion: {' -> '.join([*path, name])}")
    if name not in schemas:
        raise SchemaError(f"{'.'.join(path) or 'schema'} refers to {name}, which does not exist")
    if name in seen:
        return name
    seen.add(name)
    schema = schemas[name]
    if schema["type"] != "record":
        return dict(schema)
    inner = (*path, name)
    return {
        **schema,
        "fields": [{**field, "type": _expand(field["type"], schemas, seen, inner)} for field in schema["fields"]],
    }


def bare(node: Any) -> Any:
    """The same schema without texts and logical types: two schemas with equal bare forms have the same bytes and the
    same defaults."""
    match node:
        case dict():
            return {
                key: value if key == "default" else bare(value) for key, value in node.items() if key not in TEXT_ONLY
            }
        case list():
            return [bare(item) for item in node]
        case _:
            return node


def resolved(schema: Schema) -> Schema:
    """A registered form with every reference replaced by what it refers to, without texts: a type's whole shape."""
    known: dict[str, Any] = {}

    def resolve(node: Any) -> Any:
        match node:
            case str():
                return known.get(node, node)
            case list():
                return [resolve(branch) for branch in node]
            case {"name": _, "type": "record"}:
                fields = [{**field, "type": resolve(field["type"])} for field in node["fields"]]
                known[full_name(node)] = {**node, "fields": fields}
                return known[full_name(node)]
            case {"name": _}:
                known[full_name(node)] = node
                return node
            case {"type": "array"}:
                return {**node, "items": resolve(node["items"])}
            case {"type": "map"}:
                return {**node, "values": resolve(node["values"])}
            case {"type": scalar}:
                return scalar
            case _:
                raise SchemaError(f"not restricted Avro: {node}")

    return dict(resolve(bare(schema)))
