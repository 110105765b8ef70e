"""Record batches byte by byte, as a stranger may send them who has no client library."""

from __future__ import annotations

import struct
import time
import zlib
from collections.abc import Sequence
from typing import Any

from aiokafka.record.util import calc_crc32c, encode_varint

GZIP, SNAPPY, LZ4, ZSTD = 1, 2, 3, 4
Header = tuple[bytes, bytes | None]


def number(n: int) -> bytes:
    """A number as records have it."""
    out = bytearray()
    encode_varint(n, out.append)
    return bytes(out)


def blob(value: bytes | None) -> bytes:
    """Bytes behind their length."""
    return number(-1) if value is None else number(len(value)) + value


def entry(delta: int, value: bytes | None, headers: Sequence[Header] = (), key: bytes | None = b"k") -> bytes:
    """A record that says it is `delta` behind the offset of its batch."""
    body = b"\x00" + number(0) + number(delta) + blob(key) + blob(value) + number(len(headers))
    body += b"".join(blob(name) + blob(text) for name, text in headers)
    return number(len(body)) + body


def batch(entries: bytes, count: int = 1, codec: int = 0, base: int = 0) -> bytes:
    """A batch around entries that are compressed already."""
    now = int(time.time() * 1000)
    body = struct.pack(">hiqqqhii", codec, count - 1, now, now, -1, -1, -1, count) + entries
    rest = struct.pack(">ibI", -1, 2, calc_crc32c(body)) + body
    return struct.pack(">qi", base, len(rest)) + rest


def bomb(mib: int, base: int = 0, headers: Sequence[Header] = ()) -> bytes:
    """A batch of a thousandth of the size that it unpacks to, with one record."""
    stream, size = zlib.compressobj(9, zlib.DEFLATED, 31), mib << 20
    tail = number(len(headers)) + b"".join(blob(name) + blob(text) for name, text in headers)
    head = b"\x00" + number(0) + number(0) + number(-1) + number(size)
    data = stream.compress(number(len(head) + size + len(tail)) + head)
    data += b"".join(stream.compress(bytes(1 << 20)) for _ in range(mib)) + stream.compress(tail)
    return batch(data + stream.flush(), codec=GZIP, base=base)


async def send(producer: Any, topic: str, partition: int, raw: bytes) -> int:
    """Puts these very bytes on the log. The producer must not be idempotent. Gives the offset of their first record."""
    made = producer.create_batch()
    made.append(key=b"", value=b"", timestamp=None)
    made._build()
    made._buffer = bytearray(raw)
    acked = await (await producer.send_batch(made, topic, partition=partition))
    return int(acked.offset)
