"""Whatever the bytes: a record is read as exactly what it says, or refused with a CodecError. fastavro, which shares no
code with ours, says what valid records mean."""

from __future__ import annotations

import io
import tracemalloc
from typing import Any

import fastavro
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.contracts import golden, lock
from libs.contracts.avro import write_long
from libs.contracts.schemas import ROOT, bare, resolved
from libs.contracts.table import TYPES, TypeRow
from libs.ledger.codec import (
    CodecError,
    decode_event,
    decode_message,
    encode_event,
    encode_message,
    frame,
)
from libs.ledger.service import Fact

RELEASED = {row.id: row for row in lock.rows()}
PARSED = {number: fastavro.parse_schema(bare(row.schema)) for number, row in RELEASED.items()}
RESOLVED = {number: resolved(row.schema) for number, row in RELEASED.items()}
GOLDEN = {number: (ROOT / "golden" / row.name / f"v{row.version}.bin").read_bytes() for number, row in RELEASED.items()}
FUZZ = settings(max_examples=250, deadline=1_000, suppress_health_check=[HealthCheck.too_slow], derandomize=True)

rows = st.sampled_from(TYPES)


def contents(node: Any) -> st.SearchStrategy[Any]:
    """Values of a resolved schema, as fastavro takes them."""
    match node:
        case "boolean":
            return st.booleans()
        case "int":
            return st.integers(-(2**31), 2**31 - 1)
        case "long":
            return st.integers(-(2**63), 2**63 - 1)
        case "string":
            return st.text(st.characters(exclude_categories=["Cs"]), max_size=80)
        case "bytes":
            return st.binary(max_size=80)
        case ["null", inner]:
            return st.none() | contents(inner)
        case {"type": "array", "items": inner}:
            return st.lists(contents(inner), max_size=3)
        case {"type": "map", "values": inner}:
            ordered = st.dictionaries(contents("string"), contents(inner), max_size=3)
            return ordered.map(lambda entries: dict(sorted(entries.items())))
        case {"type": "fixed", "size": size}:
            return st.binary(min_size=size, max_size=size)
        case {"type": "enum", "symbols": symbols}:
            return st.sampled_from(symbols)
        case _:
            return st.fixed_dictionaries({field["name"]: contents(field["type"]) for field in node["fields"]})


def decode(row: TypeRow, value: bytes) -> Any:
    return decode_event(value, row.topics[0]) if row.read_envelope else decode_message(value, row.topics[0])


def parts(decoded: Any) -> dict[str, Any]:
    """A decoded record as the dictionary that fastavro would give."""
    body: dict[str, Any] = msgspec.to_builtins(
        decoded.body if isinstance(decoded, Fact) else decoded, builtin_types=(bytes,)
    )
    if isinstance(decoded, Fact):
        body["envelope"] = msgspec.to_builtins(decoded.envelope, builtin_types=(bytes,))
    return untupled(body)  # type: ignore[no-any-return]


def untupled(content: Any) -> Any:
    match content:
        case dict():
            return {key: untupled(value) for key, value in content.items()}
        case list() | tuple():
            return [untupled(item) for item in content]
        case _:
            return content


def known_then(found: Any, content: Any) -> Any:
    """What was decoded, without fields that later versions added."""
    match found, content:
        case dict(), dict():
            return {key: known_then(value, content[key]) for key, value in found.items() if key in content}
        case list(), list() if len(found) == len(content):
            return [known_then(one, other) for one, other in zip(found, content, strict=True)]
        case _:
            return found


@FUZZ
@given(st.data())
def test_any_content_is_written_and_read_as_another_implementation_does(data: st.DataObject) -> None:
    row = data.draw(rows)
    content = data.draw(contents(RESOLVED[row.id]))
    value = golden.encode(RELEASED[row.id], content)
    decoded = decode(row, value)
    assert known_then(parts(decoded), content) == content
    if not RELEASED[row.id].written:
        return
    if isinstance(decoded, Fact):
        assert encode_event(decoded.envelope, decoded.body) == value
        assert frame(value) == (row.id, decoded.envelope.seq, decoded.envelope.prev_hash)
    else:
        assert encode_message(decoded) == value


HOSTILE = st.one_of(
    st.binary(min_size=1, max_size=12),
    st.integers(-(2**63), 2**63 - 1).map(write_long),
    st.sampled_from(
        [b"\xff" * 9 + b"\x01", b"\x80" * 9 + b"\x01", b"\x01", b"\x80\x00", b"\xff" * 40, b"\xed\xa0\x80"]
    ),
)


@FUZZ
@given(st.data())
def test_a_damaged_record_is_refused_or_still_says_what_another_implementation_reads(data: st.DataObject) -> None:
    row = data.draw(rows)
    value = GOLDEN[row.id]
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(value)))
        cut = data.draw(st.integers(0, 12))
        value = value[:start] + data.draw(HOSTILE | st.just(b"")) + value[start + cut :]
    refused_or_true(row, value)


@FUZZ
@given(rows, st.binary(max_size=400))
def test_random_bytes_after_a_right_head_are_refused_or_true(row: TypeRow, noise: bytes) -> None:
    refused_or_true(row, GOLDEN[row.id][:5] + noise)


@FUZZ
@given(st.binary(max_size=200), st.sampled_from(["ledger.execution", "commands", "intents", "no such topic"]))
def test_random_bytes_are_refused(noise: bytes, topic: str) -> None:
    for read in (decode_event, decode_message):
        with pytest.raises(CodecError):
            read(noise, topic)


def refused_or_true(row: TypeRow, value: bytes) -> None:
    """No other exception than CodecError; and what we take, fastavro takes for the same."""
    try:
        decoded = decode(row, value)
    except CodecError as error:
        assert error.code != CodecError.code
        return
    number = int.from_bytes(value[1:5])
    rest = io.BytesIO(value[5:])
    truth = fastavro.schemaless_reader(rest, PARSED[number], None)
    assert known_then(parts(decoded), truth) == truth
    assert not rest.read()


@pytest.mark.parametrize("length", [2**20, 2**31, 2**63 - 1, -1, -(2**31), -(2**63)])
def test_a_count_or_length_beyond_the_record_costs_nothing(length: int) -> None:
    bomb = write_long(length)
    tracemalloc.start()
    for row in TYPES:
        value = GOLDEN[row.id]
        for place in range(5, len(value), 1 + len(value) // 20):
            refused_or_true(row, value[:place] + bomb + value[place:])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**20
