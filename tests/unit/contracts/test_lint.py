"""The checker of restricted Avro says what is wrong, and says nothing of what is right."""

from __future__ import annotations

from typing import Any

import pytest

from libs.contracts.lint import violations
from libs.contracts.schemas import SchemaError, inline

UUID: dict[str, Any] = {
    "type": "fixed",
    "name": "Uuid",
    "namespace": "deedbook",
    "doc": "An id.",
    "size": 16,
    "logicalType": "uuid",
}
HASH: dict[str, Any] = {"type": "fixed", "name": "Hash", "namespace": "deedbook", "doc": "A digest.", "size": 32}
COLOUR: dict[str, Any] = {
    "type": "enum",
    "name": "Colour",
    "namespace": "deedbook",
    "doc": "Colours.",
    "symbols": ["RED", "BLUE"],
    "default": "RED",
}
MOMENT = {"type": "long", "logicalType": "timestamp-micros"}


def field(kind: Any, name: str = "x", **more: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, "doc": "What it is.", **more}


def record(name: str, *fields: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "record", "name": name, "namespace": "deedbook", "doc": "What.", "fields": list(fields), **more}


def schemas(*types: dict[str, Any]) -> dict[str, dict[str, Any]]:
    everything = (UUID, HASH, COLOUR, record("Point", field("long")), *types)
    return {f"{schema['namespace']}.{schema['name']}": schema for schema in everything}


@pytest.mark.parametrize(
    "good",
    [
        field("boolean", default=False),
        field("int", default=1),
        field("long", "price_micros"),
        field("string", default=""),
        field("bytes"),
        field("deedbook.Uuid"),
        field("deedbook.Colour", default="BLUE"),
        field("deedbook.Point"),
        field(MOMENT, "begun_at"),
        field(["null", MOMENT], "begun_at", default=None),
        field(["null", "deedbook.Point"], default=None),
        field({"type": "array", "items": "deedbook.Point"}, default=[]),
        field({"type": "map", "values": "bytes"}),
    ],
    ids=str,
)
def test_restricted_avro_passes(good: dict[str, Any]) -> None:
    assert violations(schemas(record("Deed", good))) == []


@pytest.mark.parametrize(
    ("bad", "what"),
    [
        (field("double"), "'double' is no type"),
        (field("null"), "'null' is no type"),
        (field("deedbook.Nowhere"), "not in schemas/"),
        (field(["null", "string"]), "default null"),
        (field(["string", "null"], default=None), "a union other than"),
        (field(["null", "string", "long"], default=None), "a union other than"),
        (field(["deedbook.Point", "deedbook.Colour"]), "a union other than"),
        (field(["null", {"type": "array", "items": "string"}], default=None), "a nullable array"),
        (field({"type": "array", "items": "null"}), "'null' is no type"),
        (field({"type": "array", "items": {"type": "array", "items": "string"}}), "primitive or named"),
        (field({"type": "array", "items": ["null", "string"]}), "primitive or named"),
        (field({"type": "bytes", "logicalType": "decimal"}), "written inside of a field"),
        (field({"type": "enum", "name": "E", "symbols": ["A"]}), "written inside of a field"),
        (field("long", "begun_at"), "timestamp-micros"),
        (field(MOMENT, "begun"), "timestamp-micros"),
        (field("int", "price_micros"), "money is a long"),
        (field("string", "wait_ms"), "a duration is"),
        (field("string", doc=" "), "no doc"),
        (field("string", "camelCase"), "lower_case"),
        (field("string", aliases=["y"]), "not allowed in a field"),
        (field("string", default=1), "is not of the field's type"),
        (field("long", default=True), "is not of the field's type"),
        (field("deedbook.Colour", default="GREEN"), "is not of the field's type"),
        (field("string", "envelope"), "first field and nothing else"),
    ],
    ids=str,
)
def test_a_bad_field_is_named_with_its_fault(bad: dict[str, Any], what: str) -> None:
    found = violations(schemas(record("Deed", bad)))
    assert [line for line in found if line.startswith(f"deedbook.Deed: {bad['name']}: ") and what in line]


@pytest.mark.parametrize(
    ("bad", "what"),
    [
        (record("Empty"), "no bytes"),
        (record("Twice", field("int"), field("int")), "appears twice"),
        (record("Loop", field({"type": "array", "items": "deedbook.Loop"})), "recursion"),
        (record("lower", field("int")), "CamelCase"),
        (record("Old", field("int"), aliases=["Older"]), "not allowed in a record"),
        (record("Done", field("int"), namespace="deedbook.outcome"), "begins with its envelope"),
        (record("Envelope", field("string")), "begins with seq"),
        ({**COLOUR, "name": "NoDefault", "default": None}, "an enum has a default"),
        ({**COLOUR, "name": "Doubled", "symbols": ["RED", "RED"]}, "each once"),
        ({**COLOUR, "name": "Many", "symbols": ["RED"] + [f"C{number}" for number in range(64)]}, "1 to 64"),
        ({**COLOUR, "name": "Small", "symbols": ["RED", "blue"]}, "UPPER_CASE"),
        ({**HASH, "name": "Zero", "size": 0}, "fixed is"),
        ({**HASH, "name": "Plain", "size": 16}, "fixed is"),
        ({**HASH, "name": "Silent", "doc": ""}, "no doc"),
        ({"type": "array", "items": "int", "name": "List", "namespace": "deedbook"}, "no named type"),
    ],
    ids=lambda value: value["name"] if isinstance(value, dict) else None,
)
def test_a_bad_type_is_named_with_its_fault(bad: dict[str, Any], what: str) -> None:
    found = violations(schemas(bad))
    assert [line for line in found if line.startswith(f"{bad['namespace']}.{bad['name']}: ") and what in line]


def test_records_may_not_nest_too_deeply() -> None:
    chain = [record("D0", field("int"))]
    chain += [record(f"D{number}", field(f"deedbook.D{number - 1}")) for number in range(1, 6)]
    assert violations(schemas(*chain[:5])) == []
    assert violations(schemas(*chain)) == ["deedbook.D5: records nested 6 deep, at most 5 allowed"]


def test_a_recursive_type_has_no_registered_form() -> None:
    loop = schemas(record("A", field("deedbook.B")), record("B", field("deedbook.A")))
    with pytest.raises(SchemaError, match=r"deedbook\.A -> deedbook\.B -> deedbook\.A"):
        inline("deedbook.A", loop)
