"""Server-sent events, as far as MCP uses them: the data of each message, of bounded length."""

from __future__ import annotations

from collections.abc import Iterator


class TooLarge(Exception):
    """An event is longer than what is read of an answer."""


class EventReader:
    """Bytes in, data of whole events out."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._rest = bytearray()
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """The data of the events that end in this chunk. Raises TooLarge."""
        self._rest += chunk
        if b"\n" not in chunk:  # what has come so far is not gone through again for each byte of a slow drip
            if len(self._rest) + self._size > self._limit:
                raise TooLarge
            return
        *lines, rest = bytes(self._rest).replace(b"\r\n", b"\n").split(b"\n")
        self._rest = bytearray(rest)
        for line in lines:
            if (found := self._line(line)) is not None:
                yield found
        if len(self._rest) + self._size > self._limit:
            raise TooLarge

    def _line(self, line: bytes) -> bytes | None:
        if not line:
            data, self._data, self._size = self._data, [], 0
            return b"\n".join(data) if data else None
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" "))
            self._size += len(value)
            if self._size > self._limit:
                raise TooLarge
        return None
