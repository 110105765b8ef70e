"""What strangers may have put into a record batch, and still nothing in a process stands still: the client library
believes a batch in three ways that cost it the whole partition, or the process.

    a compressed batch is unpacked whole, whatever that takes     here: up to BATCH_BYTES_MAX, and so much per fetch
    a header's name that is not UTF-8 raises                      here: the bytes that are no text are replaced
    a record says its own distance from the batch's offset        here: the records of a batch are counted

The broker limits the compressed size only and checks no name; of the distances it checks those in compressed batches.
A batch that cannot be read becomes one record at its last offset with the reason (`flaw_of`), so that who reads the
topic refuses it like other garbage and goes on behind it. A record in a transaction can be read, and has a flaw all the
same: to wait for the end of the transaction, as Kafka offers, would let any writer hold a partition for as long as he
likes; not to wait would carry out what he takes back.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from hashlib import sha256
from itertools import islice
from typing import Any

import cramjam
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import (
    DefaultRecordBase,
    DefaultRecordBatch,
    _DefaultRecordBatchPy,  # it leaves the buffer open to us, which the compiled one does not
)

from libs.ledger.service import IN_TRANSACTION

BATCH_BYTES_MAX = 8 << 20  # unpacked; the topics take 1 MiB as it is sent
FETCH_BYTES_MAX = 8 << 20  # unpacked, of one partition, after which the rest of a fetch is fetched again
HEAD = DefaultRecordBase.HEADER_STRUCT
PACKED = DefaultRecordBase.CODEC_MASK
ATTRIBUTES = struct.Struct(">h")
LENGTH = struct.Struct(">qi")  # the batch's offset, and how many bytes follow: the same in every format
MAGIC_AT, FORMAT = 16, 2


class Unreadable(Exception):
    """A batch holds something that must not, or cannot, be unpacked."""


class Entry:
    """A record, as the fetcher takes it."""

    __slots__ = ("checksum", "headers", "key", "offset", "timestamp", "timestamp_type", "value")

    def __init__(self, record: Any, offset: int) -> None:
        self.offset, self.timestamp, self.timestamp_type = offset, record.timestamp, record.timestamp_type
        self.key, self.value, self.headers = record.key, record.value, record.headers
        self.checksum: str | None = None  # has been of no use for long; of ours it says what is wrong


class Flaw:
    """What stands for a batch that cannot be read. Its value is the SHA-256 of the batch."""

    timestamp_type = 1
    key, headers = None, ()

    def __init__(self, batch: Batch, reason: str) -> None:
        self.offset, self.timestamp = batch.next_offset - 1, batch.timestamp
        self.value = sha256(batch.raw).digest()
        self.checksum = f"offsets {batch.base_offset} to {self.offset}: {reason}"


def flaw_of(record: Any) -> str:
    """Why this record of a consumer is none that may be believed; '' = it is as it was sent."""
    return record.checksum if isinstance(record.checksum, str) else ""


class Batch:
    """One record batch of a fetch."""

    def __init__(self, raw: bytes) -> None:
        self.raw, self.unpacked = raw, len(raw)
        self.base_offset = int.from_bytes(raw[:8], signed=True)
        self.next_offset, self.timestamp, self.producer_id = self.base_offset + 1, 0, None
        self.is_control_batch = self.is_transactional = False
        self.readable = raw[MAGIC_AT] == FORMAT and len(raw) >= HEAD.size
        if self.readable:
            (_, _, _, _, _, self.attributes, last, _, self.timestamp, self.producer_id, _, _, count) = HEAD.unpack_from(
                raw
            )
            self.next_offset = self.base_offset + last + 1
            self.is_control_batch = bool(self.attributes & DefaultRecordBase.CONTROL_MASK)
            self.is_transactional = bool(self.attributes & DefaultRecordBase.TRANSACTIONAL_MASK)
            self.counted = count == last + 1

    def validate_crc(self) -> bool:
        """Is it as its writer made it?"""
        return not self.readable or bool(DefaultRecordBatch(self.raw).validate_crc())

    def __iter__(self) -> Iterator[Entry | Flaw]:
        try:
            if not self.readable:
                raise Unreadable("a format of Kafka before 0.11")
            plain = _plain(self)
            self.unpacked = len(plain)
            yield from self._records(plain)
        except Exception as error:  # noqa: BLE001 - whatever the bytes of a stranger make of the libraries
            reason = str(error) if isinstance(error, Unreadable) else f"{type(error).__name__}: {error}"
            yield Flaw(self, reason)

    def _records(self, plain: bytes) -> Iterator[Entry]:
        done = 0
        for read in (DefaultRecordBatch, _lenient):
            try:
                for record in islice(read(plain), done, None):
                    offset = self.base_offset + done if self.counted else record.offset
                    if not self.base_offset <= offset < self.next_offset:
                        raise Unreadable("a record outside its batch")
                    entry = Entry(record, offset)
                    entry.checksum = IN_TRANSACTION if self.is_transactional else None
                    done += 1
                    yield entry
            except UnicodeDecodeError:
                continue  # once more from here on, slowly
            return


class Batches:
    """The batches of one partition in a fetch; takes the place of the library's MemoryRecords."""

    def __init__(self, raw: bytes | None) -> None:
        self._raw, self._at, self._unpacked = raw or b"", 0, 0
        self._last: Batch | None = None

    def size_in_bytes(self) -> int:
        return len(self._raw)

    def has_next(self) -> bool:
        """Is there another whole batch? After so many bytes there is none: the rest is fetched again."""
        if self._last is not None:
            self._unpacked, self._last = self._unpacked + self._last.unpacked, None
        return self._unpacked < FETCH_BYTES_MAX and self._end() <= len(self._raw)

    def next_batch(self) -> Batch:
        self._at, start = self._end(), self._at
        self._last = Batch(bytes(self._raw[start : self._at]))
        return self._last

    def _end(self) -> int:
        if self._at + HEAD.size > len(self._raw):
            return len(self._raw) + 1
        length: int = LENGTH.unpack_from(self._raw, self._at)[1]
        size: int = max(HEAD.size, LENGTH.size + length)
        return self._at + size


class _Lenient(bytearray):
    """Bytes whose slices become text whatever they are."""

    def __getitem__(self, at: Any) -> Any:
        found = super().__getitem__(at)
        return _Lenient(found) if isinstance(at, slice) else found

    def decode(self, encoding: str = "utf-8", errors: str = "replace") -> str:
        return super().decode(encoding, errors)


def _lenient(plain: bytes) -> Any:
    batch = _DefaultRecordBatchPy(plain)
    batch._buffer = _Lenient(plain)
    return batch


def _plain(batch: Batch) -> bytes:
    """The batch with its records as if they had never been compressed. Raises Unreadable, or what a codec raises."""
    codec = batch.attributes & PACKED
    if codec == DefaultRecordBase.CODEC_NONE:
        return batch.raw
    head = bytearray(batch.raw[: HEAD.size])
    ATTRIBUTES.pack_into(head, DefaultRecordBase.ATTRIBUTES_OFFSET, batch.attributes & ~PACKED)
    return bytes(head) + _UNPACK[codec](batch.raw[HEAD.size :])


def _too_large() -> Unreadable:
    return Unreadable(f"compressed, and more than {BATCH_BYTES_MAX} bytes when unpacked")


def _gzip(data: bytes) -> bytes:
    found = b""
    while data:
        stream = zlib.decompressobj(31)
        found += stream.decompress(data, BATCH_BYTES_MAX + 1 - len(found))
        if len(found) > BATCH_BYTES_MAX:
            raise _too_large()
        if not stream.eof:
            raise Unreadable("gzip ends too early")
        data = stream.unused_data
    return found


def _snappy(data: bytes) -> bytes:
    """Both forms: one block, and the blocks of xerial behind their sizes."""
    blocks = [data]
    if data[:8] == b"\x82SNAPPY\x00":
        blocks, at = [], 16
        while at < len(data):
            end = at + 4 + int.from_bytes(data[at : at + 4])
            blocks.append(data[at + 4 : end])
            at = end
    if sum(map(cramjam.snappy.decompress_raw_len, blocks)) > BATCH_BYTES_MAX:
        raise _too_large()
    return b"".join([bytes(cramjam.snappy.decompress_raw(block)) for block in blocks])


def _into(decompress_into: Callable[[bytes, bytearray], int]) -> Callable[[bytes], bytes]:
    def unpack(data: bytes) -> bytes:
        room = bytearray(BATCH_BYTES_MAX)
        try:
            return bytes(memoryview(room)[: decompress_into(data, room)])
        except cramjam.DecompressionError as error:
            if "whole buffer" in str(error):
                raise _too_large() from error
            raise

    return unpack


_UNPACK: dict[int, Callable[[bytes], bytes]] = {
    DefaultRecordBase.CODEC_GZIP: _gzip,
    DefaultRecordBase.CODEC_SNAPPY: _snappy,
    DefaultRecordBase.CODEC_LZ4: _into(cramjam.lz4.decompress_into),
    DefaultRecordBase.CODEC_ZSTD: _into(cramjam.zstd.decompress_into),
}


def guard() -> None:
    """All consumers of this process read batches this way. The library has no other place for it."""
    fetcher.MemoryRecords = Batches
