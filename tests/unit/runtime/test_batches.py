"""Batches of strangers: whatever is in them, the reader goes on behind it, and takes no more memory than it must."""

from __future__ import annotations

import gzip
import tracemalloc
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import cramjam
import pytest
from aiokafka import TopicPartition
from aiokafka.codec import snappy_encode
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException

import libs.runtime.kafka  # noqa: F401 - it makes the library read as we want it
from libs.ledger.service import IN_TRANSACTION
from libs.runtime.batches import BATCH_BYTES_MAX, FETCH_BYTES_MAX, Batches, flaw_of
from tests.hostile import GZIP, LZ4, SNAPPY, ZSTD, batch, bomb, entry

pytestmark = [pytest.mark.requirement("T5"), pytest.mark.requirement("T11")]
PLACE = TopicPartition("intents", 0)
TRANSACTIONAL = 0x10
PACK: dict[str, tuple[int, Callable[[bytes], bytes]]] = {
    "none": (0, bytes),
    "gzip": (GZIP, gzip.compress),
    "snappy": (SNAPPY, lambda data: bytes(cramjam.snappy.compress_raw(data))),
    "xerial": (SNAPPY, snappy_encode),
    "lz4": (LZ4, lambda data: bytes(cramjam.lz4.compress(data))),
    "zstd": (ZSTD, lambda data: bytes(cramjam.zstd.compress(data))),
}


def fetched(raw: bytes, at: int = 0) -> tuple[list[Any], int]:
    """The records of a fetch from offset `at`, as a consumer gets them, and where it goes on."""
    assert fetcher.MemoryRecords is Batches, "the library reads batches by itself again"
    found = fetcher.PartitionRecords(PLACE, fetcher.MemoryRecords(raw), None, at, None, None, True, 0)
    return list(found), found.next_fetch_offset


@pytest.mark.parametrize("form", PACK)
def test_what_is_well_formed_comes_as_it_was_sent(form: str) -> None:
    codec, pack = PACK[form]
    many = b"".join(entry(n, b"value %d" % n, [(b"name", b"text"), (b"none", None)]) for n in range(1000))
    records, then = fetched(batch(pack(many), 1000, codec, base=70), 72)
    assert [r.offset for r in records] == list(range(72, 1070))
    assert records[0].value == b"value 2"
    assert records[0].key == b"k"
    assert records[0].headers == (("name", b"text"), ("none", None))
    assert records[0].timestamp > 0
    assert not any(map(flaw_of, records))
    assert then == 1070


@pytest.mark.parametrize("form", PACK)
def test_a_headers_name_that_is_no_text_costs_only_that_name(form: str) -> None:
    codec, pack = PACK[form]
    entries = entry(0, b"a") + entry(1, b"b", [(b"\xff\xfe", b"x"), (b"authorization", b"y")]) + entry(2, b"c")
    records, then = fetched(batch(pack(entries), 3, codec))
    assert [(r.offset, r.value) for r in records] == [(0, b"a"), (1, b"b"), (2, b"c")]
    assert records[1].headers == (("\ufffd\ufffd", b"x"), ("authorization", b"y"))
    assert then == 3


@pytest.mark.rule(7)
@pytest.mark.parametrize("delta", [0, -3, 5000, 2**31 - 1])
def test_a_record_stands_where_the_broker_has_put_it_whatever_it_says(delta: int) -> None:
    records, then = fetched(batch(entry(0, b"a") + entry(delta, b"b"), 2) + batch(entry(0, b"c"), base=2))
    assert [(r.offset, r.value) for r in records] == [(0, b"a"), (1, b"b"), (2, b"c")]
    assert then == 3


@pytest.mark.parametrize("form", sorted(set(PACK) - {"none"}))
def test_what_unpacks_to_too_much_is_one_flaw_and_the_reader_goes_on_behind_it(form: str) -> None:
    codec, pack = PACK[form]
    large = batch(pack(entry(0, bytes(BATCH_BYTES_MAX))), 1, codec, base=5)
    records, then = fetched(large + batch(entry(0, b"next"), base=6), 5)
    assert [r.offset for r in records] == [5, 6]
    assert "compressed, and more than 8388608 bytes" in flaw_of(records[0])
    assert records[0].value == sha256(large).digest()
    assert (records[0].key, records[0].headers) == (None, ())
    assert records[1].value == b"next"
    assert then == 7


def test_a_bomb_takes_no_more_memory_than_the_limit() -> None:
    raw = bomb(100)
    tracemalloc.start()
    records, _ = fetched(raw)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(records) == 1
    assert flaw_of(records[0])
    assert most < 3 * BATCH_BYTES_MAX


def test_a_fetch_ends_when_it_has_unpacked_enough_and_the_rest_is_fetched_again() -> None:
    small = [batch(gzip.compress(entry(0, bytes(3 << 20))), 1, GZIP, base=n) for n in range(9)]
    records, then = fetched(b"".join(small))
    assert [r.offset for r in records] == [0, 1, 2]
    assert sum(len(r.value) for r in records) < FETCH_BYTES_MAX + BATCH_BYTES_MAX
    assert then == 3


@pytest.mark.parametrize(
    "raw",
    [
        batch(b"no gzip", 4, GZIP),
        batch(gzip.compress(entry(0, b"a"))[:-9], 4, GZIP),
        batch(b"no snappy", 4, SNAPPY),
        batch(b"\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01\xff\xff\xff\xff", 4, SNAPPY),
        batch(b"no lz4", 4, LZ4),
        batch(b"no zstd", 4, ZSTD),
        batch(b"a codec of tomorrow", 4, 6),
        batch(entry(0, b"a")[:-3], 4),
        batch(b"", 4),
    ],
)
def test_what_cannot_be_unpacked_is_a_flaw_at_the_end_of_its_batch(raw: bytes) -> None:
    records, then = fetched(raw)
    assert [(r.offset, flaw_of(r)[:15]) for r in records] == [(3, "offsets 0 to 3:")]
    assert then == 4


def test_what_could_be_read_of_a_batch_counts() -> None:
    records, then = fetched(batch(entry(0, b"a") + entry(1, b"b")[:-1], 3))
    assert [(r.offset, r.value) for r in records if not flaw_of(r)] == [(0, b"a")]
    assert flaw_of(records[-1])
    assert then == 3
    records, then = fetched(batch(entry(0, b"a") + b"more"))
    assert [r.value for r in records] == [b"a"]
    assert then == 1


@pytest.mark.parametrize("form", PACK)
def test_a_record_in_a_transaction_has_a_flaw_and_all_its_bytes(form: str) -> None:
    codec, pack = PACK[form]
    entries = entry(0, b"a", [(b"authorization", b"x")]) + entry(1, b"b", [(b"\xff", b"x")])
    records, then = fetched(batch(pack(entries), 2, codec | TRANSACTIONAL))
    assert [(r.offset, r.value, flaw_of(r)) for r in records] == [(0, b"a", IN_TRANSACTION), (1, b"b", IN_TRANSACTION)]
    assert (records[0].headers, then) == ((("authorization", b"x"),), 2)


def test_a_format_of_long_ago_is_a_flaw() -> None:
    raw = batch(entry(0, b"a"))
    records, then = fetched(raw[:16] + b"\x01" + raw[17:])
    assert "before 0.11" in flaw_of(records[0])
    assert then == 1


def test_what_was_damaged_on_the_way_is_fetched_again() -> None:
    raw = batch(entry(0, b"value"))
    with pytest.raises(CorruptRecordException, match=r"Invalid CRC - TopicPartition\(topic='intents', partition=0\)"):
        fetched(raw[:-2] + b"\x00" + raw[-1:])


def test_half_a_batch_at_the_end_of_a_fetch_is_no_batch() -> None:
    raw = batch(entry(0, b"a")) + batch(entry(0, b"b"), base=1)
    for cut in (1, 20, 60, len(raw) // 2 - 1):
        records, then = fetched(raw[:-cut])
        assert [r.value for r in records] == [b"a"]
        assert then == 1
    assert not Batches(raw[:30]).has_next()
    assert not Batches(None).has_next()
