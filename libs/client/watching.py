"""What goes on just now, from the metrics of all processes: two looks, and what happened between them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

from libs.client.ending import Exit, Failed
from libs.client.processes import Heard, known, listen
from libs.client.rendering.page import Grid, Line, Page, heading
from libs.client.rendering.page import put as put_page

IN_DOUBT = "a person to find out what happened"  # in the words of execution's waits


class Row(msgspec.Struct, frozen=True):
    """One process. `why` "" = it answers."""

    name: str
    events_per_s: float = 0.0
    calls_per_s: float = 0.0
    lanes: int = 0
    lag: int = 0
    control_seq: int = 0
    view_age_ms: int = 0
    why: str = ""


class Sample(msgspec.Struct, frozen=True):
    """All processes; events by topic in a second; what waits, by service and what for."""

    processes: tuple[Row, ...]
    events_per_s: dict[str, float]
    waiting: dict[str, int]
    in_doubt: int
    halted: int


async def sample(seconds: float) -> Sample:
    """Two looks, so long apart. Raises Failed when nobody said where the processes are."""
    processes = known()
    if not processes:
        mend = "Start the local system (`deed up`), or name all processes in DEED_PROCESSES."
        raise Failed("NO_PROCESSES", "where the processes are, nobody said", mend, Exit.AWAY)
    loop = asyncio.get_running_loop()
    began, before = loop.time(), await listen(processes)
    await asyncio.sleep(seconds)
    after = await listen(processes)
    return between(before, after, loop.time() - began)


def between(before: Sequence[Heard], after: Sequence[Heard], seconds: float) -> Sample:
    """What happened from one look to the next; of a process that was started anew, since its start."""
    topics: Counter[str] = Counter()
    waiting: Counter[str] = Counter()
    rows = []
    for first, last in zip(before, after, strict=True):
        for labels, value in last.all("events_total"):
            topic = labels["topic"]
            earlier = first.value("events_total", topic=topic) or 0.0
            topics[topic] += int(value - earlier if value >= earlier else value)
        for labels, value in last.all("waiting"):
            waiting[f"{labels['service']}: {labels['for']}"] += int(value)
        rows.append(_row(first, last, seconds))
    doubts = sum(count for name, count in waiting.items() if name.endswith(IN_DOUBT))
    halted = max((int(one.value("lanes_halted") or 0) for one in after), default=0)
    rates = {topic: round(count / seconds, 1) for topic, count in sorted(topics.items()) if count}
    return Sample(tuple(rows), rates, {name: n for name, n in sorted(waiting.items()) if n}, doubts, halted)


def _row(first: Heard, last: Heard, seconds: float) -> Row:
    if last.error:
        return Row(last.process.name, why=last.error)

    def rate(name: str) -> float:
        now, earlier = last.total(name), first.total(name)
        return round((now - earlier if now >= earlier else now) / seconds, 1)

    return Row(
        name=last.process.name,
        events_per_s=rate("events_total"),
        calls_per_s=rate("grpc_requests_total"),
        lanes=int(last.value("lanes_owned") or 0),
        lag=int(last.value("lane_lag") or 0),
        control_seq=int(last.value("control_seq") or 0),
        view_age_ms=int((last.value("control_view_age_seconds") or 0) * 1000),
    )


def page(found: Sample) -> Page:
    """For a person."""
    rows = [
        (
            one.name, f"{one.events_per_s:,.1f}", f"{one.calls_per_s:,.1f}", str(one.lanes), f"{one.lag:,}",
            str(one.control_seq), f"{one.view_age_ms} ms", one.why,
        )
        for one in found.processes
    ]  # fmt: skip
    headings = ("PROCESS", "EVENTS/S", "CALLS/S", "LANES", "BEHIND", "CONTROL", "VIEW", "")
    shown: list[Any] = [Grid(headings, tuple(rows))]
    if found.events_per_s:
        rates = tuple((topic, f"{rate:,.1f}") for topic, rate in found.events_per_s.items())
        shown += [*heading("Events a second"), Grid(("TOPIC", "EVENTS/S"), rates)]
    if found.waiting:
        waits = tuple((name, f"{count:,}") for name, count in found.waiting.items())
        shown += [*heading("What waits, for what"), Grid(("SERVICE", "KEYS"), waits)]
    if found.in_doubt or found.halted:
        shown.append(Line((f"{found.in_doubt} in doubt, {found.halted} lanes halted: `deed stuck`, `deed doctor`.",)))
    return shown


def put(found: Sample) -> None:
    """Print it once."""
    put_page(page(found))


async def live(seconds: float) -> None:
    """Print it again and again in the same place, until Ctrl-C."""
    from rich.console import Console

    console = Console()
    while True:
        found = await sample(seconds)
        console.clear()
        put(found)
