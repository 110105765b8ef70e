"""Where a deed's time goes: from the moments that its events name."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.load import Spread, spread
from libs.contracts.events import (
    BudgetReserved,
    BudgetSettled,
    ExecutionDispatched,
    ExecutionSucceeded,
    IntentAccepted,
    IntentAllowed,
    OutcomeRecorded,
)
from libs.ledger.service import Fact

# Moments, in order. Each stage below is the time between two of them.
MOMENTS = ("arrived", "accepted", "allowed", "reserved", "dispatched", "called", "answered", "outcome", "settled")
STAGES = (
    ("on intents -> accepted", "arrived", "accepted"),
    ("accepted -> allowed", "accepted", "allowed"),
    ("allowed -> reserved", "allowed", "reserved"),
    ("reserved -> dispatched", "reserved", "dispatched"),
    ("dispatched -> tool called (commit, publish, gate)", "dispatched", "called"),
    ("tool called -> answer decided on", "called", "answered"),
    ("answer -> outcome decided", "answered", "outcome"),
    ("answer -> settled", "answered", "settled"),
    ("on intents -> outcome decided", "arrived", "outcome"),
)
UNSEEN = -1


class Stages:
    """Collects moments of every `sampled`th intent, in microseconds."""

    def __init__(self, sampled: int = 1) -> None:
        self._sampled = sampled
        self._moments: dict[bytes, array[int]] = {}

    def take(self, fact: Fact) -> None:
        """One event."""
        found = _MOMENTS_OF.get(type(fact.body))
        key = fact.envelope.intent_id
        if found is None or (self._sampled > 1 and key[-1] % self._sampled):
            return
        row = self._moments.get(key)
        if row is None:
            row = self._moments[key] = array("q", [UNSEEN] * len(MOMENTS))
        for name, at in found(fact).items():
            row[MOMENTS.index(name)] = at

    def spreads(self, wanted: Callable[[bytes], bool] = lambda key: True) -> dict[str, Spread]:
        """Time in each stage, over the intents wanted."""
        rows = [row for key, row in self._moments.items() if wanted(key)]
        found: dict[str, Spread] = {}
        for name, start, end in STAGES:
            a, b = MOMENTS.index(start), MOMENTS.index(end)
            times = [max(0, row[b] - row[a]) / 1e6 for row in rows if row[a] != UNSEEN and row[b] != UNSEEN]
            measured = spread(times)
            if measured is not None:
                found[name] = measured
        return found


def _at(name: str) -> Callable[[Fact], Mapping[str, int]]:
    return lambda fact: {name: fact.envelope.occurred_at}


def _accepted(fact: Fact) -> Mapping[str, int]:
    return {"arrived": fact.body.arrived_at, "accepted": fact.envelope.occurred_at}


def _succeeded(fact: Fact) -> Mapping[str, int]:
    return {"called": fact.body.started_at, "answered": fact.envelope.occurred_at}


_MOMENTS_OF: Mapping[type, Callable[[Fact], Mapping[str, Any]]] = {
    IntentAccepted: _accepted,
    IntentAllowed: _at("allowed"),
    BudgetReserved: _at("reserved"),
    ExecutionDispatched: _at("dispatched"),
    ExecutionSucceeded: _succeeded,
    OutcomeRecorded: _at("outcome"),
    BudgetSettled: _at("settled"),
}
