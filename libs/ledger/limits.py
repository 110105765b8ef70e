"""Every bound of the protocol, and the pure functions that a process gives it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from libs.ledger.service import Fact, Record

EFFECTS_MAX = {"READ_ONLY": 64, "KEYED": 64, "QUERYABLE": 64, "OPAQUE": 16}
NO_CONTROL = 1 << 62  # the control view of services that need none


@dataclass(frozen=True)
class Limits:
    """Every bound of the protocol. Times in milliseconds."""

    lanes: int
    lease_ms: int = 5_000
    control_stale_ms: int = 5_000  # a control view that was not confirmed for so long counts as unknown
    margin_ms: int = 500  # the lease counts as over this much earlier
    batch_max: int = 256  # inputs in a round, over all lanes
    batch_bytes_max: int = 1 << 20  # bytes of records in a round, over all lanes: nothing else is done meanwhile
    queue_max: int = 4_000  # fetched records that wait, per lane and topic
    queue_bytes_max: int = 32 << 20  # and no more bytes of them
    parked_max: int = 1_000  # inputs that wait for parked keys, per lane and service; only chained ones go beyond
    sides_max: int = 1_000  # forwards and dead letters not yet on the log, per lane and service
    effects_max: Mapping[str, int] = field(default_factory=lambda: dict(EFFECTS_MAX))
    call_timeout_max_ms: int = 60_000
    flush_ms: int = 5_000  # positions that moved without a commit are written after this much quiet
    survey_ms: int = 1_000
    worker_ttl_ms: int = 5_000
    backoff_ms: int = 1_000
    backoff_max_ms: int = 60_000
    release_after_ms: int = 30_000  # a lane that could not publish for so long is given to another worker
    shun_ms: int = 15_000  # and not claimed by this one for so long; twice as long each time
    shun_max_ms: int = 60_000
    look_again_ms: int = 30_000  # how often an owner looks whether its outputs still end as it knows them
    gap_wait_ms: int = 5_000  # an input that skipped a number may take so long to come back to it
    drain_ms: int = 15_000  # a lane that is given back waits so long for its effects
    mend_wait_ms: int = 60_000  # how long an input's writer may take to mend a lost tail


@dataclass(frozen=True)
class Functions:
    """The pure functions that a process gives the protocol, and what it owns for its deciders to look at."""

    decode: Callable[[str, bytes], Fact]  # (topic, value) -> fact; raises on anything that is not exactly one event
    decode_unpark: Callable[[Record], Any]  # -> Unpark | None
    owned: Mapping[str, Any] = field(default_factory=dict)
    stopped_by: Callable[[Any, Any], str] = lambda view, effect: ""  # the switch that stops an effect, or ""
