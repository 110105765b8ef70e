"""Writes the text of `libs/contracts/records.py`, one reader and one writer for each shape that a record or enum has in
any released version, and of `libs/contracts/table.py`, which says what each topic may carry.

Straight code and not a walk over the schema: encoding and decoding are a good part of what a lane's process does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from libs.contracts.emit_types import struct_fields
from libs.contracts.lock import Row
from libs.contracts.schemas import ENVELOPE, PRIMITIVES, Schema, SchemaError, full_name, resolved, short_name

RECORDS_HEAD = '''"""How records are read and written. Generated from schemas/ by libs.contracts.generate: do not edit.

See `avro.py` for what readers and writers raise.
"""

from __future__ import annotations
'''

TABLE_HEAD = '''"""What each topic may carry, in every version ever released.

Generated from schemas/ by libs.contracts.generate: do not edit.
"""

from __future__ import annotations

from typing import Any

import msgspec

from libs.contracts import events, records
from libs.contracts.avro import Reader, Writer


class TypeRow(msgspec.Struct, frozen=True):
    """One released version of one type. `written`: the version that programs write. Readers and writers of an event
    leave its envelope out; that has its own, which messages lack."""

    name: str
    version: int
    id: int
    topics: tuple[str, ...]
    written: bool
    struct: type[msgspec.Struct]
    read: Reader[msgspec.Struct]
    write: Writer[Any] | None = None
    read_envelope: Reader[events.Envelope] | None = None
    write_envelope: Writer[events.Envelope] | None = None
'''


class Emitter:
    """Goes through all released versions once. A shape is a type with all that it refers to; equal shapes, in whatever
    version they come, share their reader and writer, and a further shape of a name gets a number.

    All versions are read into the struct of the present schema: fields that a version lacks get their defaults, and
    fields that are no longer in the struct are read and forgotten, and written with their defaults."""

    def __init__(self, rows: list[Row], schemas: Mapping[str, Schema]) -> None:
        self._present = {name: [f["name"] for f in struct_fields(schema)] for name, schema in schemas.items()}
        self._shapes: dict[str, list[str]] = {}  # full name -> its shapes, in the order they are met
        self._types: set[str] = set()
        self._primitives: set[str] = set()
        self._code: list[str] = []
        self._table = [self._row(row) for row in rows]

    def records_text(self) -> str:
        imports = [_import("libs.contracts.avro", self._primitives), _import("libs.contracts.events", self._types)]
        return "\n".join([RECORDS_HEAD, *imports, "", *self._code])

    def table_text(self) -> str:
        return TABLE_HEAD + "\n\nTYPES: tuple[TypeRow, ...] = (\n" + "".join(self._table) + ")\n"

    def _row(self, row: Row) -> str:
        schema = resolved(row.schema)
        fields = schema["fields"]
        head = fields[0]["type"]
        lines = [
            f'name="{row.name}"',
            f"version={row.version}",
            f"id={row.id}",
            f"topics={_tuple(row.topics)}",
            f"written={row.written}",
            f"struct=events.{short_name(row.name)}",
        ]
        if isinstance(head, dict) and full_name(head) == ENVELOPE:
            schema = {**schema, "fields": fields[1:]}
            envelope = self._named(head)
            body = self._named(schema)
            lines += [f"read=records.read_{body}", f"write=records.write_{body}" if row.written else ""]
            lines += [f"read_envelope=records.read_{envelope}"]
            lines += [f"write_envelope=records.write_{envelope}" if row.written else ""]
        else:
            body = self._named(schema)
            lines += [f"read=records.read_{body}", f"write=records.write_{body}" if row.written else ""]
        return "    TypeRow(\n" + "".join(f"        {line},\n" for line in lines if line) + "    ),\n"

    def _named(self, schema: Schema) -> str:
        """The name that the shape's functions end in; emits them when the shape is new."""
        if full_name(schema) not in self._present:
            raise SchemaError(f"{full_name(schema)} is part of a released version and no longer in schemas/")
        shapes = self._shapes.setdefault(full_name(schema), [])
        shape = json.dumps(schema, sort_keys=True)
        known = shape in shapes
        if not known:
            shapes.append(shape)
        number = shapes.index(shape) + 1
        name = snake(schema["name"]) + (f"_{number}" if number > 1 else "")
        if not known:
            self._types.add(schema["name"])
            emit = self._enum if schema["type"] == "enum" else self._record
            self._code.append("\n".join(emit(schema, name)) + "\n")
        return name

    def _enum(self, schema: Schema, name: str) -> Iterator[str]:
        self._primitives |= {"enum_reader", "enum_writer"}
        kind, upper = schema["name"], name.upper()
        yield f"\n{upper}_READ = {{"
        for index, symbol in enumerate(schema["symbols"]):
            yield f"    {2 * index}: {kind}.{symbol},"
        yield f"}}\n{upper}_WRITE = {{"
        for index, symbol in enumerate(schema["symbols"]):
            yield f'    {kind}.{symbol}: b"\\x{2 * index:02x}",'
        yield f"}}\nread_{name} = enum_reader({upper}_READ)\nwrite_{name} = enum_writer({upper}_WRITE)"

    def _record(self, schema: Schema, name: str) -> Iterator[str]:
        kind, fields, present = schema["name"], schema["fields"], self._present[full_name(schema)]
        kept = [field for field in fields if field["name"] in present]
        reads = [f"    {field['name'] if field in kept else ''}_, at = {self._read(field['type'])}" for field in fields]
        writes = [
            self._write(field["type"], f"record.{field['name']}") if field in kept else self._write_default(field)
            for field in fields
        ]
        yield f"\ndef read_{name}(value: bytes, at: int) -> tuple[{kind}, int]:"
        yield from reads
        yield f"    made = {kind}("
        if len(kept) == len(present):
            yield from (f"        {field}_," for field in present)
        else:
            yield from (f"        {field['name']}={field['name']}_," for field in kept)
        yield f"    )\n    return made, at\n\n\ndef write_{name}(record: {kind}) -> bytes:"
        if len(writes) == 1:
            yield f"    return {writes[0]}"
            return
        yield '    return b"".join(\n        ('
        yield from (f"            {write}," for write in writes)
        yield "        )\n    )"

    def _read(self, node: Any) -> str:
        match node:
            case {"type": "fixed", "size": size}:
                return f"value[at : at + {size}], at + {size}"
            case {"type": "enum"}:
                return f"{self._named(node).upper()}_READ[value[at]], at + 1"
            case {"type": "array", "items": inner}:
                return f"{self._primitive('read_array')}(value, at, {self._function('read', inner)})"
            case {"type": "map", "values": inner}:
                return f"{self._primitive('read_map')}(value, at, {self._function('read', inner)})"
            case ["null", inner]:
                return f"{self._primitive('read_nullable')}(value, at, {self._function('read', inner)})"
            case _:
                return f"{self._function('read', node)}(value, at)"

    def _write(self, node: Any, what: str) -> str:
        match node:
            case {"type": "enum"}:
                return f"{self._named(node).upper()}_WRITE[{what}]"
            case {"type": "array", "items": inner}:
                return f"{self._primitive('write_array')}({what}, {self._function('write', inner)})"
            case {"type": "map", "values": inner}:
                return f"{self._primitive('write_map')}({what}, {self._function('write', inner)})"
            case ["null", inner]:
                return f"{self._primitive('write_nullable')}({what}, {self._function('write', inner)})"
            case _:
                return f"{self._function('write', node)}({what})"

    def _write_default(self, field: Schema) -> str:
        match field["type"]:
            case list() | {"type": "array" | "map"}:
                return r'b"\x00"'
            case {"type": "enum", "name": name}:
                return self._write(field["type"], f"{name}.{field['default']}")
            case "bytes":
                return self._write("bytes", repr(field["default"].encode("latin-1")))
            case node:
                return self._write(node, repr(field["default"]))

    def _function(self, verb: str, node: Any) -> str:
        """The function that reads or writes a whole value of this type."""
        match node:
            case str() if node in PRIMITIVES:
                return self._primitive(f"{verb}_{node}")
            case {"type": "fixed", "size": size}:
                return self._primitive(f"{verb}_fixed_{size}")
            case {"type": "enum" | "record"}:
                return f"{verb}_{self._named(node)}"
            case _:
                raise SchemaError(f"restricted Avro has no {node} here")

    def _primitive(self, name: str) -> str:
        self._primitives.add(name)
        return name


def snake(name: str) -> str:
    """`IntentAccepted` -> `intent_accepted`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def _import(module: str, names: set[str]) -> str:
    return f"from {module} import (\n" + "".join(f"    {name},\n" for name in sorted(names)) + ")"


def _tuple(items: tuple[str, ...]) -> str:
    quoted = [f'"{item}"' for item in items]
    one = f"({quoted[0]},)" if len(quoted) == 1 else f"({', '.join(quoted)})"
    inner = "".join(f"            {item},\n" for item in quoted)
    return one if len(one) <= 104 else f"(\n{inner}        )"
