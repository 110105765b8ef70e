"""Which changes of a schema programs of every release survive, and which they do not."""

from __future__ import annotations

from typing import Any

import pytest

from libs.contracts.compat import breaks

COLOUR = {"type": "enum", "name": "Colour", "namespace": "deedbook", "symbols": ["RED", "BLUE"], "default": "RED"}
POINT = {"type": "record", "name": "Point", "namespace": "deedbook", "fields": [{"name": "x", "type": "long"}]}
UUID = {"type": "fixed", "name": "Uuid", "namespace": "deedbook", "size": 16}


def deed(*fields: Any) -> dict[str, Any]:
    """A record with a field `f0`, `f1`... of each type; a pair is a type and its default."""
    made = []
    for number, kind in enumerate(fields):
        plain = {"name": f"f{number}", "type": kind}
        made.append({**plain, "type": kind[0], "default": kind[1]} if isinstance(kind, tuple) else plain)
    return {"type": "record", "name": "Deed", "namespace": "deedbook", "fields": made}


def grown(*symbols: str) -> dict[str, Any]:
    return {**COLOUR, "symbols": ["RED", "BLUE", *symbols]}


def point(*fields: dict[str, Any]) -> dict[str, Any]:
    return {**POINT, "fields": [{"name": "x", "type": "long"}, *fields]}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (deed("long"), deed("long")),
        (deed("long"), deed({"type": "long", "logicalType": "timestamp-micros"})),
        (deed("long"), deed("long", ("string", ""))),
        (deed("long"), deed("long", (["null", "string"], None))),
        (deed(COLOUR), deed(grown("GREEN"))),
        (deed({"type": "array", "items": COLOUR}), deed({"type": "array", "items": grown("GREEN")})),
        (deed(POINT), deed(point({"name": "y", "type": "long", "default": 0}))),
        (deed(POINT, "deedbook.Point"), deed(POINT, POINT)),
    ],
)
def test_a_harmless_change_passes_in_both_directions(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert breaks(old, new) == []


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        (deed("long"), deed("long", "string"), "f1: added without a default"),
        (deed("long", "string"), deed("long"), "f1: dropped"),
        (deed("long"), deed("int"), "f0: long became int"),
        (deed("int"), deed("long"), "f0: int became long"),
        (deed("string"), deed("bytes"), "f0: string became bytes"),
        (deed("string"), deed((["null", "string"], None)), "f0: string became nullable string"),
        (deed((["null", "long"], None)), deed((["null", "string"], None)), "f0: long became string"),
        (deed({"type": "array", "items": "int"}), deed({"type": "array", "items": "long"}), "f0[]: int became long"),
        (deed({"type": "map", "values": "int"}), deed({"type": "map", "values": "long"}), "f0{}: int became long"),
        (deed({"type": "map", "values": "int"}), deed({"type": "array", "items": "int"}), "f0: map became array"),
        (deed(UUID), deed({**UUID, "size": 32}), "f0: fixed(16) became fixed(32)"),
        (deed(UUID), deed({**UUID, "name": "Id"}), "f0: deedbook.Uuid became deedbook.Id"),
        (deed(UUID), deed("bytes"), "f0: Uuid became bytes"),
        (deed(grown("GREEN")), deed(COLOUR), "f0: an enum may only grow at its end"),
        (deed(COLOUR), deed({**COLOUR, "symbols": ["GREEN", "RED", "BLUE"]}), "f0: an enum may only grow at its end"),
        (deed(POINT), deed(point({"name": "y", "type": "long"})), "f0.y: added without a default"),
        (deed(POINT, "deedbook.Point"), deed(POINT, UUID), "f1: Point became Uuid"),
    ],
)
def test_a_break_is_named_with_its_place(old: dict[str, Any], new: dict[str, Any], what: str) -> None:
    assert any(line.startswith(what) for line in breaks(old, new))


def test_an_enum_without_a_default_cannot_grow() -> None:
    frozen = {key: value for key, value in COLOUR.items() if key != "default"}
    assert breaks(deed(frozen), deed(grown("GREEN"))) == ["f0: an enum without a default cannot grow"]
