"""A type that grows over three versions: each version is read, the pinned one is written, and breaks are found."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from libs.contracts import compat, golden, lock
from libs.contracts.emit_records import Emitter
from libs.contracts.emit_types import types_text
from libs.contracts.schemas import SchemaError, load

NAME = "deedbook.intents.Wish"
EVENTS = "evolved_events"
COLOUR = {
    "type": "enum",
    "name": "Colour",
    "namespace": "deedbook",
    "doc": "Colours.",
    "symbols": ["RED", "BLUE"],
    "default": "RED",
}
PLAIN = [
    {"name": "id", "type": "string", "doc": "Which."},
    {"name": "colour", "type": "deedbook.Colour", "doc": "What colour.", "default": "RED"},
]
NOTE = {"name": "note", "type": "string", "doc": "Remark.", "default": "none"}
COUNT = {"name": "count", "type": "long", "doc": "How many.", "default": 1}


def write(root: Path, fields: list[dict[str, Any]], colours: list[str]) -> None:
    wish = {"type": "record", "name": "Wish", "namespace": "deedbook.intents", "doc": "A wish.", "fields": fields}
    envelope = {
        "type": "record",
        "name": "Envelope",
        "namespace": "deedbook",
        "doc": "Unused here.",
        "fields": [{"name": "seq", "type": "long", "doc": "Number."}],
    }
    for place, schema in (
        ("envelope", envelope),
        ("intents/Wish", wish),
        ("shared/Colour", {**COLOUR, "symbols": colours}),
    ):
        path = root / f"{place}.avsc"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(schema))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Version 1 has two fields; 2 adds `note` and a colour; 3 drops `note` and adds `count`. 2 is written."""
    write(tmp_path, PLAIN, ["RED", "BLUE"])
    assert lock.release(tmp_path) == [f"{NAME} v1 = 1001"]
    write(tmp_path, [*PLAIN, NOTE], ["RED", "BLUE", "GREEN"])
    assert lock.release(tmp_path) == [f"{NAME} v2 = 1002"]
    write(tmp_path, [COUNT, *PLAIN], ["RED", "BLUE", "GREEN"])
    assert lock.release(tmp_path) == [f"{NAME} v3 = 1003"]
    pinned = lock.read(tmp_path)
    assert pinned[NAME]["writes"] == 1
    pinned[NAME]["writes"] = 2
    (tmp_path / "ids.lock.json").write_text(json.dumps(pinned))
    return tmp_path


@pytest.fixture
def records(root: Path) -> Iterator[ModuleType]:
    """The generated module for these schemas."""
    emitter = Emitter(lock.rows(root), load(root))
    imported(EVENTS, root, types_text(load(root)))
    yield imported("evolved_records", root, emitter.records_text().replace("libs.contracts.events", EVENTS))
    del sys.modules[EVENTS]


def imported(name: str, folder: Path, text: str) -> ModuleType:
    path = folder / f"{name}.py"
    path.write_text(text)
    spec = spec_from_file_location(name, path)
    assert spec and spec.loader
    module = module_from_spec(spec)
    if name == EVENTS:
        sys.modules[name] = module  # the other module imports it, and msgspec looks its names up there
    spec.loader.exec_module(module)
    return module


def test_every_version_is_read_into_the_present_type(root: Path, records: ModuleType) -> None:
    wish, colour = records.Wish, records.Colour
    contents = {
        1: ({"id": "a", "colour": "BLUE"}, wish(id="a", colour=colour.BLUE, count=1)),
        2: ({"id": "b", "colour": "GREEN", "note": "gone"}, wish(id="b", colour=colour.GREEN, count=1)),
        3: ({"count": 7, "id": "c", "colour": "RED"}, wish(id="c", colour=colour.RED, count=7)),
    }
    readers = {1: records.read_wish, 2: records.read_wish_2, 3: records.read_wish_3}
    for row in lock.rows(root):
        content, expected = contents[row.version]
        value = golden.encode(row, content)
        assert readers[row.version](value, 5) == (expected, len(value))


def test_a_symbol_that_a_version_did_not_have_is_refused_in_it(root: Path, records: ModuleType) -> None:
    value = b"\x02a\x04"
    with pytest.raises(KeyError):
        records.read_wish(value, 0)
    assert records.read_wish_3(b"\x02" + value, 0)[0].colour == records.Colour.GREEN


def test_an_earlier_version_is_written_with_defaults_for_what_was_dropped(root: Path, records: ModuleType) -> None:
    made = records.write_wish_2(records.Wish(id="a", colour=records.Colour.GREEN, count=7))
    assert made == b"\x02a\x04\x08none"


def test_the_table_marks_the_version_that_is_written(root: Path) -> None:
    table = Emitter(lock.rows(root), load(root)).table_text()
    assert table.count("written=True") == table.count("write=records.") == 1
    assert "write=records.write_wish_2," in table


def test_nothing_is_released_twice(root: Path) -> None:
    assert lock.unreleased(root) == {}
    assert lock.release(root) == []


def test_a_new_text_is_no_new_version(root: Path) -> None:
    write(root, [{**COUNT, "doc": "How many of them."}, *PLAIN], ["RED", "BLUE", "GREEN"])
    assert lock.unreleased(root) == {}


def test_a_break_with_any_version_is_found(root: Path) -> None:
    assert compat.violations(root) == []
    write(root, [COUNT, *PLAIN, {**NOTE, "type": "long", "default": 0}], ["RED", "BLUE", "GREEN"])
    assert compat.violations(root) == [f"{NAME} v2 -> now: note: string became long"]


def test_a_type_that_was_released_stays(root: Path) -> None:
    (root / "intents" / "Wish.avsc").unlink()
    assert compat.violations(root) == [f"{NAME}: was released and is no longer in schemas/"]
    with pytest.raises(SchemaError, match="no longer in schemas/"):
        Emitter(lock.rows(root), load(root))


def test_a_type_in_the_wrong_place_is_refused(root: Path) -> None:
    (root / "intents" / "Wish.avsc").rename(root / "intents" / "Hope.avsc")
    with pytest.raises(SchemaError, match=r"holds deedbook\.intents\.Wish, its place says deedbook\.intents\.Hope"):
        load(root)
