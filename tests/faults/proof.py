"""What must hold after every fault. `problems` is pure: everything it looks at was read by the witness.

no gap, no fork, chain intact      each input applied once      tables = a replay, in two interleavings
caps held, books balanced          at most one effect           nothing unpublished, no halted lane
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from libs.contracts.events import (
    BudgetReserved,
    ExecutionDispatched,
    IntentAccepted,
    OutcomeRecorded,
    OutcomeStatus,
    ProgressReported,
)
from libs.ledger.service import Fact, Service
from libs.ledger.verify import Replay
from tests.faults import books
from tests.faults.witness import Call, Place, Tables, Witness

SHOWN = 12
NEVER_APPLIED = frozenset(OutcomeStatus) - {OutcomeStatus.SUCCEEDED}


@dataclass(frozen=True)
class Scene:
    """What the proof looks at. `wanted`: the intents that were submitted and are valid; `opaque`: those among them
    whose tool is OPAQUE and keeps the journal; `halted`: lanes that are meant to be halted."""

    services: Mapping[str, Service]
    witness: Witness
    tables: Mapping[str, Tables]
    calls: Sequence[Call]
    wanted: Collection[bytes]
    halted: Collection[int] = ()


def problems(scene: Scene) -> list[str]:
    """Everything that is wrong; nothing when all holds."""
    witness, found = scene.witness, list(scene.witness.broken)
    found += unsettled(scene)
    found += _once(witness, scene.wanted)
    found += _no_input_twice(witness)
    found += _replayed(scene)
    found += books.problems(witness.of("ledger.budget"), scene.tables["budget"].scopes)
    found += _effects(witness, scene.calls)
    return found[:SHOWN]


def unsettled(scene: Scene) -> list[str]:
    """What still moves, or should: intents that are neither terminal nor in doubt, and what is not on the log yet."""
    return [f"{key.hex()} has no end" for key in scene.witness.unended(scene.wanted)] + _at_rest(scene)


def _once(witness: Witness, wanted: Collection[bytes]) -> list[str]:
    accepted = witness.bodies(IntentAccepted, "ledger.intake")
    ended = witness.bodies(OutcomeRecorded, "ledger.outcome")
    doubt = witness.in_doubt()
    found = [
        f"{key.hex()} was accepted {len(accepted.get(key, ()))} times"
        for key in wanted
        if len(accepted.get(key, ())) != 1
    ]
    found += [f"{key.hex()} has {len(bodies)} outcomes" for key, bodies in ended.items() if len(bodies) != 1]
    found += [f"{key.hex()} is in doubt and has an outcome" for key in doubt & ended.keys()]
    return found + [f"{key.hex()} was accepted and never submitted" for key in accepted.keys() - set(wanted)]


def _no_input_twice(witness: Witness) -> list[str]:
    """No two events of one kind about one intent have the same cause."""
    found: list[str] = []
    for place, facts in witness.facts.items():
        seen: Counter[tuple[object, ...]] = Counter()
        for fact in facts:
            cause = fact.envelope.cause
            if not cause.topic.startswith("timer/") and not isinstance(fact.body, ProgressReported):
                seen[(type(fact.body).__name__, fact.envelope.intent_id, cause.topic, cause.position, cause.id)] += 1
        found += [f"{place}: {number} times {what}" for what, number in seen.items() if number > 1]
    return found


def _at_rest(scene: Scene) -> list[str]:
    """All that was decided is on the log, and nothing waits to be published."""
    found, ends = [], scene.witness.ends()
    for name, tables in scene.tables.items():
        topic = scene.services[name].writes
        for row in tables.lanes:
            if row.halted and row.lane not in scene.halted:
                found.append(f"{name}: lane {row.lane} is halted: {row.halted}")
            on_log = ends.get((topic, row.lane), 0) if topic else row.out_seq
            if row.out_seq != on_log:
                found.append(f"{name}: lane {row.lane} decided up to {row.out_seq}, the log ends at {on_log}")
            if row.sides and row.lane not in scene.halted:
                found.append(f"{name}: lane {row.lane} has {row.sides} unpublished forwards or dead letters")
        if tables.parked:
            found.append(f"{name}: {len(tables.parked)} keys are parked")
    return found


def _replayed(scene: Scene) -> list[str]:
    found: list[str] = []
    for name, tables in scene.tables.items():
        for order, facts in (("causes first", _forwards), ("effects first", _backwards)):
            replay = Replay(scene.services[name])
            for fact in facts(scene.witness.facts, replay.topics):
                replay.take(fact)
            found += [f"{order}: {text}" for text in replay.differences(tables.states)]
    return found


def _forwards(facts: Mapping[Place, Sequence[Fact]], topics: Collection[str]) -> Iterator[Fact]:
    for place in sorted(facts, key=lambda p: (_FLOW.index(p[0]), p[1])):
        if place[0] in topics:
            yield from facts[place]


def _backwards(facts: Mapping[Place, Sequence[Fact]], topics: Collection[str]) -> Iterator[Fact]:
    """Later topics first, and the partitions of a topic by turns."""
    for topic in reversed(_FLOW):
        columns = [list(found) for (name, _), found in facts.items() if name == topic and name in topics]
        for n in range(max(map(len, columns), default=0)):
            for column in columns:
                if n < len(column):
                    yield column[n]


def _effects(witness: Witness, calls: Iterable[Call]) -> list[str]:
    """By the tool's own journal: at most one effect, none without a dispatch and a reservation, no false certainty."""
    applied: Counter[bytes] = Counter()
    for call in calls:
        applied[call.key] += call.applied
    dispatched = witness.bodies(ExecutionDispatched, "ledger.execution")
    reserved = witness.bodies(BudgetReserved, "ledger.budget")
    found = [f"{key.hex()} took effect {number} times" for key, number in applied.items() if number > 1]
    for key in applied:
        if key not in dispatched or key not in reserved:
            found.append(f"{key.hex()} was called without a dispatch or a reservation on the ledger")
    for key, outcome in witness.outcomes().items():
        if outcome.tool.endswith("/apply"):
            if outcome.status is OutcomeStatus.SUCCEEDED and not applied[key]:
                found.append(f"{key.hex()} is SUCCEEDED and never happened")
            if outcome.status in NEVER_APPLIED and applied[key]:
                found.append(f"{key.hex()} is {outcome.status} and did happen")
    return found


_FLOW = tuple(
    f"ledger.{name}" for name in ("control", "intake", "validation", "approval", "budget", "execution", "outcome")
)
