"""The two clocks of a process. Leases and freshness use `boottime_ms`: it goes on while the machine sleeps and
nobody can set it. What people read uses `wall_micros`."""

from __future__ import annotations

import time


def boottime_ms() -> int:
    """Milliseconds since boot, sleep included. Only differences within one machine mean anything."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


def wall_micros() -> int:
    """Microseconds since 1970-01-01 UTC by this machine's clock, which may be wrong: never decide on it alone."""
    return time.time_ns() // 1_000
