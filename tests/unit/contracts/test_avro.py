"""Single values: what is read of them, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.contracts import avro
from libs.contracts.errors import BadValue, Truncated


@settings(derandomize=True)
@given(st.integers(avro.LONG_MIN, avro.LONG_MAX))
def test_a_long_comes_back(number: int) -> None:
    value = avro.write_long(number)
    assert avro.read_long(b"\0\0" + value + b"\0", 2) == (number, 2 + len(value))


@pytest.mark.parametrize("number", [avro.LONG_MIN, -(2**32), -64, -1, 0, 1, 63, 64, 2**32, 2**63 - 1])
def test_a_long_at_the_edges_of_its_forms_comes_back(number: int) -> None:
    assert avro.read_long(avro.write_long(number), 0)[0] == number


def nullable_long(value: bytes, at: int) -> tuple[int | None, int]:
    return avro.read_nullable(value, at, avro.read_long)


def strings(value: bytes, at: int) -> tuple[tuple[str, ...], int]:
    return avro.read_array(value, at, avro.read_string)


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (avro.read_long, b"\x80\x00"),
        (avro.read_long, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"),
        (avro.read_long, b"\x80" * 10 + b"\x01"),
        (avro.read_int, avro.write_long(2**31)),
        (avro.read_int, avro.write_long(-(2**31) - 1)),
        (avro.read_boolean, b"\x02"),
        (avro.read_bytes, b"\x01rest"),
        (avro.read_bytes, avro.write_long(-(2**63)) + b"rest"),
        (avro.read_string, b"\x01rest"),
        (avro.read_string, b"\x02\xff"),
        (nullable_long, b"\x04\x02"),
        (nullable_long, b"\x01\x02"),
        (strings, avro.write_long(5) + b"\x00\x00\x00\x00"),
    ],
)
def test_a_value_out_of_bounds_is_refused(read: Callable[[bytes, int], Any], value: bytes) -> None:
    with pytest.raises(BadValue):
        read(value, 0)


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (avro.read_bytes, b"\x0arest"),
        (avro.read_bytes, avro.write_long(2**62) + b"rest"),
        (avro.read_string, avro.write_long(64) + b"rest"),
        (avro.read_string, b"\x06\xe2\x82"),
    ],
)
def test_a_value_that_is_cut_off_is_truncated(read: Callable[[bytes, int], Any], value: bytes) -> None:
    with pytest.raises(Truncated):
        read(value, 0)


def test_maps_are_written_in_the_order_of_their_keys() -> None:
    one = avro.write_map({"b": b"2", "a": b"1"}, avro.write_bytes)
    assert one == avro.write_map({"a": b"1", "b": b"2"}, avro.write_bytes)
    assert avro.read_map(one, 0, avro.read_bytes) == ({"a": b"1", "b": b"2"}, len(one))
    assert avro.write_map({}, avro.write_bytes) == b"\x00"
