"""Each version ever released has a record, written by another Avro implementation, that today's code reads."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from libs.contracts import golden, lock
from libs.contracts.schemas import ROOT
from libs.contracts.table import TYPES, TypeRow
from libs.ledger.codec import decode_event, decode_message, encode_event, encode_message

each_version = pytest.mark.parametrize("row", TYPES, ids=lambda row: f"{row.name}-v{row.version}")


def stored(row: TypeRow) -> tuple[bytes, dict[str, Any]]:
    path = ROOT / "golden" / row.name / f"v{row.version}.bin"
    return path.read_bytes(), json.loads(path.with_suffix(".json").read_text())


def same(content: Any, decoded: Any) -> bool:
    """Every field of the stored content is in what was decoded; later versions may have added more."""
    if isinstance(content, dict):
        return all(same(value, decoded[key]) for key, value in content.items())
    if isinstance(content, list):
        return len(content) == len(decoded) and all(same(*pair) for pair in zip(content, decoded, strict=True))
    return bool(content == decoded)


@each_version
def test_a_golden_record_is_read_as_what_it_meant(row: TypeRow) -> None:
    value, content = stored(row)
    if row.read_envelope:
        fact = decode_event(value, row.topics[0])
        envelope, body = content.pop("envelope"), fact.body
        assert same(envelope, plain(fact.envelope))
    else:
        body = decode_message(value, row.topics[0])
    assert type(body) is row.struct
    assert same(content, plain(body))


def plain(struct: msgspec.Struct) -> Any:
    return golden.readable(msgspec.to_builtins(struct, builtin_types=(bytes,)))


@each_version
def test_what_was_read_is_written_with_the_same_bytes(row: TypeRow) -> None:
    if not row.written:
        return
    value, _ = stored(row)
    if row.read_envelope:
        fact = decode_event(value, row.topics[0])
        assert encode_event(fact.envelope, fact.body) == value
    else:
        assert encode_message(decode_message(value, row.topics[0])) == value


def test_no_golden_record_is_missing_or_left_over() -> None:
    files = {path.relative_to(ROOT / "golden").as_posix() for path in (ROOT / "golden").rglob("*.bin")}
    assert files == {f"{row.name}/v{row.version}.bin" for row in lock.rows()}
