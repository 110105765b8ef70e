"""The proof itself: a scene in which all holds, and the same scene with one thing wrong at a time. Each is found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from libs.contracts.events import BudgetReserved, ExecutionDispatched, IntentAccepted, OutcomeRecorded, OutcomeStatus
from libs.ledger.service import Fact
from tests.faults.proof import Scene, problems
from tests.faults.rig import Rig
from tests.faults.witness import Place, Witness

pytestmark = [pytest.mark.integration, pytest.mark.parametrize("shared_rig", ["colocated"], indirect=True)]


async def test_the_proof_finds_whatever_is_wrong(rig: Rig) -> None:
    await rig.load(12)
    scene = await rig.prove()
    assert problems(scene) == []
    unseen = [name for name, plant in PLANTED.items() if not _says(problems(plant(scene)), name)]
    assert not unseen


def _says(found: list[str], name: str) -> bool:
    return any(name in text for text in found)


def _facts(scene: Scene, change: Callable[[list[Fact], int], list[Fact]], kind: type) -> Scene:
    """The scene with one event of this kind changed, of a deed that did happen and has no other of this kind."""
    witness, happened = scene.witness, {call.key for call in scene.calls if call.applied}
    every = [fact for facts in witness.facts.values() for fact in facts]
    number = Counter(fact.envelope.intent_id for fact in every if isinstance(fact.body, kind))
    place, n = next(
        (place, n)
        for place, facts in sorted(witness.facts.items())
        for n, fact in enumerate(facts)
        if isinstance(fact.body, kind) and fact.envelope.intent_id in happened and number[fact.envelope.intent_id] == 1
    )
    facts: dict[Place, list[Fact]] = witness.facts | {place: change(list(witness.facts[place]), n)}
    return replace(scene, witness=Witness(witness.settings, facts, witness.readers))


def _without(kind: type) -> Callable[[Scene], Scene]:
    def change(facts: list[Fact], n: int) -> list[Fact]:
        return facts[:n] + facts[n + 1 :]

    return lambda scene: _facts(scene, change, kind)


def _again(kind: type) -> Callable[[Scene], Scene]:
    def change(facts: list[Fact], n: int) -> list[Fact]:
        return [*facts, facts[n]]

    return lambda scene: _facts(scene, change, kind)


def _other(kind: type, **given: Any) -> Callable[[Scene], Scene]:
    def change(facts: list[Fact], n: int) -> list[Fact]:
        body = msgspec.structs.replace(facts[n].body, **given)
        return [*facts[:n], msgspec.structs.replace(facts[n], body=body), *facts[n + 1 :]]

    return lambda scene: _facts(scene, change, kind)


def _row(scene: Scene, **given: Any) -> Scene:
    tables = scene.tables["budget"]
    changed = tables._replace(lanes=(tables.lanes[0]._replace(**given), *tables.lanes[1:]))
    return replace(scene, tables={**scene.tables, "budget": changed})


def _state(scene: Scene) -> Scene:
    tables = scene.tables["execution"]
    key = next(iter(tables.states))
    return replace(scene, tables={**scene.tables, "execution": tables._replace(states={**tables.states, key: b"\x80"})})


def _parked(scene: Scene) -> Scene:
    tables = scene.tables["execution"]._replace(parked=frozenset({bytes(16)}))
    return replace(scene, tables={**scene.tables, "execution": tables})


def _scope(scene: Scene) -> Scene:
    tables = scene.tables["budget"]
    first = (*tables.scopes[0][:-1], tables.scopes[0][-1] + 1)
    return replace(scene, tables={**scene.tables, "budget": tables._replace(scopes=(first, *tables.scopes[1:]))})


def _broken(scene: Scene) -> Scene:
    place, reader = next(iter(scene.witness.readers.items()))
    witness = Witness(scene.witness.settings, scene.witness.facts, {**scene.witness.readers})
    witness.readers[place] = type(reader)(*place)
    witness.readers[place].take(0, b"\0")
    return replace(scene, witness=witness)


# What the proof must say -> what is wrong in the scene.
PLANTED: dict[str, Callable[[Scene], Scene]] = {
    "TRUNCATED": _broken,
    "has no end": _without(OutcomeRecorded),
    "was accepted 0 times": _without(IntentAccepted),
    "was accepted 2 times": _again(IntentAccepted),
    "has 2 outcomes": _again(OutcomeRecorded),
    "2 times ('OutcomeRecorded'": _again(OutcomeRecorded),
    "never submitted": lambda scene: replace(scene, wanted=list(scene.wanted)[1:]),
    "decided up to": lambda scene: _row(scene, out_seq=10**6),
    "is halted": lambda scene: _row(scene, halted="somebody must look"),
    "unpublished forwards": lambda scene: _row(scene, sides=1),
    "are parked": _parked,
    "causes first: execution": _state,
    "effects first: execution": _state,
    "the table has": _scope,
    "versions [": _without(BudgetReserved),
    "was written twice": _again(BudgetReserved),
    "the stripes say": _other(BudgetReserved, amount_micros=1),
    "took effect 2 times": lambda scene: replace(scene, calls=[*scene.calls, *(c for c in scene.calls if c.applied)]),
    "without a dispatch": _without(ExecutionDispatched),
    "never happened": lambda scene: replace(scene, calls=[c._replace(applied=0) for c in scene.calls]),
    "and did happen": _other(OutcomeRecorded, status=OutcomeStatus.FAILED),
}
