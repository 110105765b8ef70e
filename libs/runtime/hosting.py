"""A process that hosts services on lanes: everything that a worker needs, built once from its settings.

async def main(process):
    await host(process, [TABLE["budget"]], Given())
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import Field

from libs.governance.control import EMPTY, ControlView, stop_code
from libs.ledger.codec import CATALOGUE
from libs.ledger.database import CONNECT_ERRORS, migrate
from libs.ledger.hosted import Hosted
from libs.ledger.outside import LookUp, Outside, Tools
from libs.ledger.producing import Appender
from libs.ledger.protocol import ControlSeen
from libs.ledger.reading import Checker, Follower
from libs.ledger.records import dead_letter, decode_fact, decode_unpark, encode_late
from libs.ledger.service import Service
from libs.ledger.shell import Shell
from libs.ledger.store import Store, StoreOptions
from libs.ledger.worker import Functions, Limits, Worker
from libs.runtime.clock import boottime_ms, wall_micros
from libs.runtime.control_tail import ControlTail
from libs.runtime.gauges import show_lanes
from libs.runtime.process import Process
from libs.runtime.settings import (
    ControlSettings,
    DatabaseSettings,
    KafkaSettings,
    Settings,
    StartRefused,
    load,
)

VERSION = "deedbook/0.1.0"


class LaneSettings(Settings):
    """The bounds of the lanes of one process."""

    shape: str = Field(
        "colocated", pattern="^(colocated|separate)$", description="Shape of the system (lane rows know it)."
    )
    lease_ms: int = Field(5_000, ge=500, le=120_000, description="How long a lane stays ours without a renewal.")
    lease_margin_ms: int = Field(500, ge=50, le=10_000, description="The lease counts as over this much earlier.")
    batch_max: int = Field(1_000, ge=1, le=10_000, description="Inputs that one round decides on, over all lanes.")
    effects_max: int = Field(
        64, ge=1, le=10_000, description="Calls under way to READ_ONLY, KEYED and QUERYABLE tools."
    )
    effects_max_opaque: int = Field(16, ge=1, le=10_000, description="Calls under way to OPAQUE tools.")
    outbox_keep_ms: int = Field(3_600_000, ge=1_000, description="How long acknowledged outbox rows are kept.")
    outbox_keep_bytes: int = Field(512 << 20, ge=1 << 20, description="How many bytes of them are kept, per lane.")


@dataclass(frozen=True)
class Given:
    """What a service's `__main__` adds: how effects are called, things that deciders look at, tasks beside the loop."""

    effects: Callable[[Callable[[], ControlView]], Tools] | None = None
    owned: Mapping[str, Any] = field(default_factory=dict)
    look_up: LookUp | None = None  # whose the events are that an intent cites
    lanes: int | None = None  # control has one lane whatever the setting says
    batch_max: int = 0  # status folds more at once than deciders decide; 0 = the setting
    pace_ms: int = 0  # ... and rests between two looks at the log
    beside: Callable[[Hosting], Awaitable[None]] | None = None


@dataclass
class Hosting:
    """A running process as its extra tasks see it."""

    process: Process
    shell: Shell
    tail: ControlTail
    database_url: str


async def host(process: Process, services: Sequence[Service], given: Given) -> None:
    """Work until the process is told to stop. Raises StartRefused with a sentence for the operator."""
    kafka_settings, database = load(KafkaSettings), load(DatabaseSettings)
    lanes, control = load(LaneSettings), load(ControlSettings)
    url = database.database_url.get_secret_value()
    try:
        await migrate(url, [service.name for service in services])
    except CONNECT_ERRORS as error:
        raise StartRefused(
            f"PostgreSQL at DEED_DATABASE_URL cannot be used: {type(error).__name__}: {error}."
        ) from error
    tail = control_tail(kafka_settings, control, process)
    await tail.start()
    token, name = secrets.token_bytes(16), f"{process.name}-{os.getpid()}"
    hosted = Hosted.of(services, CATALOGUE.encode_event, dead_letter, VERSION)
    limits = _limits(lanes, control, given, kafka_settings.lanes)
    functions = Functions(
        decode=decode_fact,
        decode_unpark=decode_unpark,
        owned=given.owned,
        stopped_by=_switch,
    )
    worker = Worker(hosted, limits, functions, token)
    options = StoreOptions(
        token=token, name=name, shape=lanes.shape, lanes=limits.lanes, lease_ms=lanes.lease_ms,
        worker_ttl_ms=limits.worker_ttl_ms, timeout_ms=database.database_timeout_ms,
        outbox_keep_ms=lanes.outbox_keep_ms, outbox_keep_bytes=lanes.outbox_keep_bytes,
    )  # fmt: skip
    store = Store(hosted, url, boottime_ms, options)
    outside = Outside(
        process.metrics,
        given.effects(lambda: tail.view) if given.effects is not None else None,
        lambda result: encode_late(result, wall_micros()),
        look_up=given.look_up,
    )
    follower = Follower(kafka_settings, name, worker.paused, given.pace_ms)
    shell = Shell(worker, store, Appender(kafka_settings, name), follower,
                  Checker(kafka_settings, name, hosted, store.kept, limits.lanes), outside)  # fmt: skip
    shell.post(ControlSeen(EMPTY, None))
    tail.on_change(lambda view: shell.control_changed(view, tail.confirmed_ms))
    process.ready = lambda: _readiness(shell, tail)
    show_lanes(process.metrics, shell, hosted)
    try:
        await _run(process, shell, Hosting(process, shell, tail, url), given)
    finally:
        await tail.stop()


async def _run(process: Process, shell: Shell, hosting: Hosting, given: Given) -> None:
    loop = asyncio.create_task(shell.run(process.stopping), name="lanes")
    tasks = [loop]
    if given.beside is not None:
        tasks.append(asyncio.ensure_future(given.beside(hosting)))
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    process.stopping.set()
    await asyncio.wait((loop,))
    for task in tasks:
        if task not in done:
            task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


def _readiness(shell: Shell, tail: ControlTail) -> str:
    """Why not, with what is wrong with the control ledger. It makes nobody not *live*: who is started again would not
    know any more what the ledger said before, and take what it says now."""
    reason = shell.readiness()
    return f"{reason}; {tail.readiness()}" if reason and not tail.fresh else reason


def control_tail(kafka: KafkaSettings, control: ControlSettings, process: Process) -> ControlTail:
    """The control ledger, followed; not started yet."""
    return ControlTail(kafka, control, process.metrics, f"{process.name}/control-tail")


def _limits(lanes: LaneSettings, control: ControlSettings, given: Given, number: int) -> Limits:
    few = lanes.effects_max
    return Limits(
        lanes=given.lanes or number,
        lease_ms=lanes.lease_ms,
        control_stale_ms=control.control_stale_max_ms,
        margin_ms=lanes.lease_margin_ms,
        batch_max=given.batch_max or lanes.batch_max,
        effects_max={"READ_ONLY": few, "KEYED": few, "QUERYABLE": few, "OPAQUE": lanes.effects_max_opaque},
        worker_ttl_ms=max(2_000, lanes.lease_ms),
    )


def _switch(view: ControlView, effect: Any) -> str:
    code = stop_code(view, effect)
    return f"{code}: stopped by a kill switch" if code else ""
