"""What the lanes of a process are doing, counted at the moment that somebody asks: it costs the lanes nothing."""

from __future__ import annotations

from collections import Counter

from libs.ledger.hosted import Hosted
from libs.ledger.lane import Phase
from libs.ledger.shell import Shell
from libs.runtime.telemetry import Metrics


def show_lanes(metrics: Metrics, shell: Shell, hosted: Hosted) -> None:
    """From now on each reading of the metrics says how far this process is, what it owns and what waits there."""
    metrics.lag.set_function(shell.behind)
    metrics.halted.set_function(lambda: len(shell.worker.halted))
    for service in hosted.services:
        metrics.lane_owned.labels(service.name).set_function(lambda: _open(shell))
    metrics.before_text(lambda: _count_waiting(metrics, shell))


def _open(shell: Shell) -> int:
    return sum(lane.phase is Phase.OPEN for lane in shell.worker.lanes.values())


def _count_waiting(metrics: Metrics, shell: Shell) -> None:
    """By service and what for, in the words of its decider."""
    found = Counter(
        (name, waiting.why or waiting.kind.value)
        for lane in shell.worker.lanes.values()
        for name, part in lane.parts.items()
        for waiting in part.waits.values()
    )
    metrics.waiting.clear()
    for labels, count in found.items():
        metrics.waiting.labels(*labels).set(count)
