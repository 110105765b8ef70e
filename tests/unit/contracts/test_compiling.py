"""The codec as machine code and as plain Python are one codec: equal values, equal bytes, equal refusals."""

from __future__ import annotations

import importlib.util
import random
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from libs.contracts import avro, records
from libs.contracts.errors import BadValue, CodecError, Truncated
from libs.contracts.table import TYPES
from libs.ledger.codec import HEAD

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "libs/contracts"
MUTATIONS = 40


def _plain(name: str) -> ModuleType:
    """The module from its source, whatever lies beside it."""
    spec = importlib.util.spec_from_file_location(f"plain_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def plain() -> ModuleType:
    module, primitives = _plain("records"), _plain("avro")
    for name in dir(primitives):
        if name in vars(module) and callable(getattr(primitives, name)):
            setattr(module, name, getattr(primitives, name))
    return module


def _goldens() -> Iterator[tuple[str, str, bytes]]:
    for row in TYPES:
        value, at = (ROOT / f"schemas/golden/{row.name}/v{row.version}.bin").read_bytes(), HEAD
        if row.read_envelope is not None:
            _, at = row.read_envelope(value, HEAD)
            yield row.name, row.read_envelope.__name__, value[HEAD:at]
        yield row.name, row.read.__name__, value[at:]


def _outcome(module: ModuleType, read: str, value: bytes) -> Any:
    """What is read and how far, or what the catalogue would make of the refusal."""
    try:
        return getattr(module, read)(value, 0)
    except CodecError as error:
        return type(error)
    except IndexError:
        return Truncated
    except KeyError:
        return BadValue


def test_what_runs_is_compiled_where_a_compiler_was_at_hand() -> None:
    compiled = [str(module.__file__).endswith(".so") for module in (avro, records)]
    assert compiled == ([True, True] if list(FOLDER.glob("records.*.so")) else [False, False])


def test_no_compiled_module_is_older_than_its_source() -> None:
    for path in (*FOLDER.glob("avro.*.so"), *FOLDER.glob("records.*.so")):
        source = FOLDER / f"{path.name.partition('.')[0]}.py"
        assert path.stat().st_mtime >= source.stat().st_mtime, "run: make setup"


def test_both_read_the_same_and_refuse_the_same(plain: ModuleType) -> None:
    rng, refused = random.Random(7), 0
    for name, read, value in _goldens():
        for n in range(MUTATIONS):
            changed = bytearray(value)
            if n:
                changed[rng.randrange(len(changed))] = rng.choice((0, 1, 2, 127, 128, 255, rng.randrange(256)))
                changed = changed[: rng.randrange(len(changed)) if n % 4 == 0 else None]
            one, other = (_outcome(module, read, bytes(changed)) for module in (records, plain))
            assert one == other, f"{name}, mutation {n}"
            refused += isinstance(one, type)
    assert refused > MUTATIONS


def test_both_write_the_same(plain: ModuleType) -> None:
    for name, read, value in _goldens():
        found, _ = getattr(records, read)(value, 0)
        write = read.replace("read_", "write_", 1)
        assert getattr(records, write)(found) == getattr(plain, write)(found), name
