"""How much of this process a tool server may take by talking. What it writes is read as it comes, and as long as more
is there nothing in the reading waits: without a pause of our own, leases would run out while a server talks."""

from __future__ import annotations

import asyncio
import time

SLICE_S = 0.005  # how long one server is listened to at a stretch
WINDOW_S = 10.0
ASK_EVERY_S = 0.1
IDLE_MAX = 50_000  # messages of no use within a window: 5,000 a second is no protocol any more


class Pace:
    """Of one connection."""

    def __init__(self) -> None:
        self._since = self._window = time.monotonic()
        self._idle = 0
        self._asked = -1e9

    async def breathe(self) -> None:
        """Let others go on, if this one has had its slice."""
        now = time.monotonic()
        if now - self._since > SLICE_S:
            await asyncio.sleep(0)
            self._since = time.monotonic()

    def may_ask(self) -> bool:
        """Is something that makes work for us, such as a ping, answered? Not more often than this."""
        now = time.monotonic()
        if now - self._asked < ASK_EVERY_S:
            return False
        self._asked = now
        return True

    def is_too_much(self) -> bool:
        """Count one more message of no use. True: this is a flood."""
        now = time.monotonic()
        if now - self._window > WINDOW_S:
            self._window, self._idle = now, 0
        self._idle += 1
        return self._idle > IDLE_MAX
