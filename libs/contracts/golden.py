"""Golden records: one record value per released version, as bytes (`schemas/golden/<name>/v1.bin`) and as what they
mean (`v1.json`; bytes in hexadecimal). They are written once, by another Avro implementation than ours, and never
again: a program that reads all of them reads everything that was ever written.

`python -m libs.contracts.golden` adds those that are missing.
"""

from __future__ import annotations

import io
import json
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import fastavro

from libs.contracts import lock
from libs.contracts.schemas import ROOT, bare, resolved

NOW = 1_790_000_000_000_000  # microseconds, in September 2026


def sample(node: Any, name: str) -> Any:
    """A value of a resolved schema that differs from field to field, with nothing left out: nullable fields are
    there, and arrays have two items."""
    digest = sha256(name.encode()).digest()
    match node:
        case "boolean":
            return digest[0] % 2 == 1
        case "int":
            return int.from_bytes(digest[:2])
        case "long":
            return NOW + int.from_bytes(digest[:3]) if name.endswith("_at") else int.from_bytes(digest[:4])
        case "string":
            return f"{name} \u00e4\u20ac"
        case "bytes":
            return digest[:5]
        case ["null", inner]:
            return sample(inner, name)
        case {"type": "array", "items": inner}:
            return [sample(inner, f"{name}.{index}") for index in range(2)]
        case {"type": "map", "values": inner}:
            return {name: sample(inner, name)}
        case {"type": "fixed", "size": size}:
            return digest[:size]
        case {"type": "enum", "symbols": symbols}:
            return symbols[digest[0] % len(symbols)]
        case _:
            return {field["name"]: sample(field["type"], f"{name}.{field['name']}") for field in node["fields"]}


def encode(row: lock.Row, content: Any) -> bytes:
    """A record value, by fastavro."""
    out = io.BytesIO()
    out.write(b"\x00" + row.id.to_bytes(4))
    fastavro.schemaless_writer(out, fastavro.parse_schema(bare(row.schema)), content)
    return out.getvalue()


def readable(content: Any) -> Any:
    """The same for JSON."""
    match content:
        case bytes():
            return content.hex()
        case dict():
            return {key: readable(value) for key, value in content.items()}
        case list() | tuple():
            return [readable(item) for item in content]
        case _:
            return content


def add_missing(root: Path = ROOT) -> int:
    """Number of golden records added."""
    added = 0
    for row in lock.rows(root):
        path = root / "golden" / row.name / f"v{row.version}.bin"
        if path.exists():
            continue
        content = sample(resolved(row.schema), row.name.rpartition(".")[2])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(row, content))
        text = json.dumps(readable(content), indent=1, ensure_ascii=False)
        path.with_suffix(".json").write_text(text + "\n")
        added += 1
    return added


if __name__ == "__main__":
    print(f"{add_missing()} golden records added")
    sys.exit(0)
