"""One effect on its way through the gate of a bench."""

from __future__ import annotations

from typing import Any

from libs.contracts import events as e
from libs.ledger.protocol import (
    Call,
    Start,
    Started,
)
from libs.testkit.simulation.bench import Bench


def answered(bench: Bench, status: e.AnswerStatus = e.AnswerStatus.SUCCEEDED, code: str = "") -> e.ToolAnswer:
    """What a tool says."""
    return e.ToolAnswer(status=status, started_at=bench.world.clock.now_at, duration_ms=1, code=code)


def started(start: Start) -> Started:
    """All marks are written."""
    return Started({lane: list(marks) for lane, _, _, marks in start.marks}, {m[0]: m[1] for m in start.marks})


def directs(bench: Bench, kind: type) -> list[Any]:
    """Inputs of a kind that wait in the first lane."""
    return [entry.item for entry in bench.lane.direct.first(99) if isinstance(entry.item, kind)]


def at_the_gate(bench: Bench, effect_class: str = "OPAQUE", **given: Any) -> tuple[bytes, Start]:
    """One effect, whose mark is about to be written."""
    bench.hold(Start)
    key = bench.order(1, effect_class=effect_class, **given)
    return key, bench.held(Start)


def calling(bench: Bench, effect_class: str = "OPAQUE") -> tuple[bytes, Call]:
    """One effect that runs; its call was sent, its answer is the test's."""
    bench.hold(Call)
    key = bench.order(1, effect_class=effect_class)
    return key, bench.held(Call)


def successor(bench: Bench) -> Bench:
    """Another process takes over."""
    bench.process.kill()
    bench.process = bench.start()
    return bench
