"""Strict reading and writing of Avro's values: what the generated `records.py` is made of.

Libraries for all of Avro are lenient where a ledger must not be: they take negative enum indices, booleans other than
0 and 1, integers out of range, padded varints, and cut 1.5 to 1. Here each value has one form, with one exception:
arrays and maps may come in several blocks and with their sizes, because Avro libraries of other languages write them
so. What a hostile record can cost is bounded by its length: a count beyond the remaining bytes is refused before any
item is read, and no item has zero bytes.

A reader takes (bytes, position) and gives (value, next position). It may run past the end while it cuts slices, and
an index past the end raises IndexError: who calls it takes both for a record that ended too early, and KeyError for
an unknown enum symbol (`libs/ledger/codec.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from libs.contracts.errors import BadValue, Oversize, Truncated

ITEMS_MAX = 10_000  # items of one array or map
INT_MIN, INT_MAX = -(2**31), 2**31 - 1
LONG_MIN, LONG_MAX = -(2**63), 2**63 - 1

T = TypeVar("T")
Reader = Callable[[bytes, int], tuple[T, int]]
Writer = Callable[[T], bytes]

BYTE = tuple(bytes((number,)) for number in range(256))


# The events of a batch share most of their times and short texts (tenant, tool, topic, producer): what was read or
# written lately is not worked out again. Bounded by number, and short by nature. A moment in microseconds takes eight
# bytes (until 2106); such a number is known by exactly these bytes, and was checked when they were first read.
KEPT_MAX = 8_192
TIME_BYTES = 8
_TIMES: dict[bytes, int] = {}
_LONGS: dict[int, bytes] = {}
_STRINGS: dict[str, bytes] = {}


def read_long(value: bytes, at: int) -> tuple[int, int]:
    """A zig-zag varint in its shortest form, within 64 bits."""
    byte = value[at]
    at += 1
    if byte < 128:
        return (byte >> 1) ^ -(byte & 1), at
    start = at - 1
    known = _TIMES.get(value[start : start + TIME_BYTES])
    if known is not None:
        return known, start + TIME_BYTES
    number, shift = byte & 127, 7
    while (byte := value[at]) > 127:
        number |= (byte & 127) << shift
        at += 1
        shift += 7
        if shift > 63:
            raise BadValue("a number of more than 64 bits")
    number |= byte << shift
    if byte == 0 or number >> 64:
        raise BadValue("a padded number, or one of more than 64 bits")
    number = (number >> 1) ^ -(number & 1)
    if at + 1 - start == TIME_BYTES:
        if len(_TIMES) >= KEPT_MAX:
            _TIMES.clear()
        _TIMES[value[start : at + 1]] = number
    return number, at + 1


def read_int(value: bytes, at: int) -> tuple[int, int]:
    number, at = read_long(value, at)
    if not INT_MIN <= number <= INT_MAX:
        raise BadValue("a number of more than 32 bits")
    return number, at


def read_boolean(value: bytes, at: int) -> tuple[bool, int]:
    byte = value[at]
    if byte > 1:
        raise BadValue("a boolean other than 0 and 1")
    return byte == 1, at + 1


def read_bytes(value: bytes, at: int) -> tuple[bytes, int]:
    length, start = read_long(value, at)
    if length < 0:
        raise BadValue("a negative length")
    end = start + length
    if end > len(value):
        raise Truncated(f"{length} bytes announced, {len(value) - start} left")
    return value[start:end], end


def read_string(value: bytes, at: int) -> tuple[str, int]:
    length = value[at]
    if length == 0:
        return "", at + 1
    if length < 128 and not length & 1:
        start = at + 1
        end = start + (length >> 1)
        raw = value[start:end]
    else:
        raw, end = read_bytes(value, at)
    try:
        return raw.decode(), end
    except UnicodeDecodeError as error:
        if end > len(value):
            raise Truncated("ends within a text") from error
        raise BadValue("text that is not UTF-8") from error


def read_fixed_16(value: bytes, at: int) -> tuple[bytes, int]:
    end = at + 16
    return value[at:end], end


def read_fixed_32(value: bytes, at: int) -> tuple[bytes, int]:
    end = at + 32
    return value[at:end], end


def read_nullable(value: bytes, at: int, inner: Reader[T]) -> tuple[T | None, int]:
    branch = value[at]
    if branch == 0:
        return None, at + 1
    if branch == 2:
        return inner(value, at + 1)
    raise BadValue("no such branch of a nullable field")


def read_array(value: bytes, at: int, item: Reader[T]) -> tuple[tuple[T, ...], int]:
    if value[at] == 0:
        return (), at + 1
    items, at = _read_blocks(value, at, item)
    return tuple(items), at


def read_map(value: bytes, at: int, item: Reader[T]) -> tuple[dict[str, T], int]:
    def entry(value: bytes, at: int) -> tuple[tuple[str, T], int]:
        key, at = read_string(value, at)
        got, at = item(value, at)
        return (key, got), at

    entries, at = _read_blocks(value, at, entry)
    found = dict(entries)
    if len(found) != len(entries):
        raise BadValue("a key twice in a map")
    return found, at


def _read_blocks(value: bytes, at: int, item: Reader[T]) -> tuple[list[T], int]:
    items: list[T] = []
    while True:
        count, at = read_long(value, at)
        if count == 0:
            return items, at
        end = None
        if count < 0:
            size, at = read_long(value, at)
            count, end = -count, at + size
        if count > len(value) - at:
            raise BadValue(f"{count} items announced, {len(value) - at} bytes left")
        if count + len(items) > ITEMS_MAX:
            raise BadValue(f"more than {ITEMS_MAX} items")
        for _ in range(count):
            got, at = item(value, at)
            items.append(got)
        if end is not None and at != end:
            raise BadValue("a block of another size than announced")


def write_long(number: int) -> bytes:
    if not isinstance(number, int) or not LONG_MIN <= number <= LONG_MAX:
        raise BadValue(f"{number!r} is no long")
    rest = (number << 1) ^ (number >> 63)
    if rest < 128:
        return BYTE[rest]
    known = _LONGS.get(number)
    if known is not None:
        return known
    out = []
    while rest > 127:
        out.append(rest & 127 | 128)
        rest >>= 7
    out.append(rest)
    if len(_LONGS) >= KEPT_MAX:
        _LONGS.clear()
    _LONGS[number] = written = bytes(out)
    return written


def write_int(number: int) -> bytes:
    if not INT_MIN <= number <= INT_MAX:
        raise BadValue(f"{number!r} is no int")
    return write_long(number)


def write_boolean(truth: bool) -> bytes:
    if truth is True:
        return b"\x01"
    if truth is False:
        return b"\x00"
    raise BadValue(f"{truth!r} is no boolean")


def write_bytes(raw: bytes) -> bytes:
    if raw.__class__ is not bytes:
        raise BadValue(f"{type(raw).__name__} instead of bytes")
    return write_long(len(raw)) + raw


def write_string(text: str) -> bytes:
    known = _STRINGS.get(text)
    if known is not None:
        return known
    try:
        raw = text.encode()
    except (AttributeError, UnicodeEncodeError) as error:
        raise BadValue("no text, or text with half a surrogate pair") from error
    length = len(raw)
    if length >= 64:
        return write_long(length) + raw
    if len(_STRINGS) >= KEPT_MAX:
        _STRINGS.clear()
    _STRINGS[text] = written = BYTE[length << 1] + raw
    return written


def write_fixed_16(raw: bytes) -> bytes:
    if raw.__class__ is not bytes or len(raw) != 16:
        raise BadValue(f"{raw!r} is not 16 bytes")
    return raw


def write_fixed_32(raw: bytes) -> bytes:
    if raw.__class__ is not bytes or len(raw) != 32:
        raise BadValue(f"{raw!r} is not 32 bytes")
    return raw


def write_nullable(value: T | None, inner: Writer[T]) -> bytes:
    return b"\x00" if value is None else b"\x02" + inner(value)


def write_array(items: tuple[T, ...], item: Writer[T]) -> bytes:
    if items.__class__ is not tuple:
        raise BadValue(f"{type(items).__name__} instead of a tuple")
    if not items:
        return b"\x00"
    if len(items) > ITEMS_MAX:
        raise Oversize(f"more than {ITEMS_MAX} items")
    return write_long(len(items)) + b"".join([item(one) for one in items]) + b"\x00"


def write_map(entries: Mapping[str, T], item: Writer[T]) -> bytes:
    """Entries in the order of their keys, so that equal maps have equal bytes."""
    if not isinstance(entries, Mapping):
        raise BadValue(f"{type(entries).__name__} instead of a mapping")
    if not entries:
        return b"\x00"
    if len(entries) > ITEMS_MAX:
        raise Oversize(f"more than {ITEMS_MAX} items")
    written = [write_string(key) + item(entries[key]) for key in sorted(entries)]
    return write_long(len(entries)) + b"".join(written) + b"\x00"


def enum_reader(members: Mapping[int, T]) -> Reader[T]:
    """For symbols inside nullable fields and arrays; elsewhere the generated code looks them up itself."""
    return lambda value, at: (members[value[at]], at + 1)


def enum_writer(symbols: Mapping[T, bytes]) -> Writer[T]:
    """The opposite of enum_reader."""
    return lambda symbol: symbols[symbol]
