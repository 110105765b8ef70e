"""Fault X1: kill -9 at every named place, under load, and again during the recovery from it."""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from itertools import zip_longest

import pytest

from libs.runtime.failpoints import NAMES
from services.table import DECIDERS
from tests.faults.rig import Rig, until

# Three deaths in a row without a commit in between look like a poison record (flow.md decision 17), so places before
# a commit take turns with places after it.
BEFORE_COMMIT = ("before-load", "after-load", "before-commit")
ANYWHERE = tuple(sorted(NAMES - set(BEFORE_COMMIT)))
IN_ROUNDS = frozenset(f"{when}-{what}" for when in ("before", "after") for what in ("load", "commit", "publish", "ack"))
OF_EFFECTS = frozenset(f"{when}-{what}" for when in ("before", "after") for what in ("started", "effect"))
LOAD = 12
FEED_S = 3.0


def test_every_named_place_is_in_the_plan() -> None:
    for shape in ("colocated", "separate"):
        assert {place for places in _plan(shape).values() for place in places} == NAMES


@pytest.mark.requirement("F5")
@pytest.mark.requirement("G1")
@pytest.mark.requirement("K7")
async def test_a_process_may_be_killed_at_any_named_place(rig: Rig) -> None:
    done = asyncio.Event()
    async with rig.watched():
        feeding = asyncio.create_task(_feed(rig, done))
        plan = _plan(rig.system.plan.shape)
        killed = await asyncio.gather(*(_kill_at_each(rig, name, places) for name, places in plan.items()))
        done.set()
        await feeding
        await rig.system.ready()
        await rig.prove(mending=True)
    assert {place for places in killed for place in places} == NAMES


def _plan(shape: str) -> dict[str, list[str]]:
    """Who is killed where, one after the other."""
    order = [place for pair in zip_longest(ANYWHERE, BEFORE_COMMIT) for place in pair if place]
    if shape == "colocated":
        return {"w1": order[0::2], "w2": order[1::2]}
    plan: dict[str, list[str]] = {name: [] for name in DECIDERS}
    others = [name for name in DECIDERS if name not in ("execution", "approval")]
    for n, place in enumerate(order):
        if place in OF_EFFECTS:
            plan["execution"].append(place)
        else:
            plan[others[n % len(others)] if place in IN_ROUNDS else "approval"].append(place)
    return plan


async def _feed(rig: Rig, done: asyncio.Event) -> None:
    """Always some deeds under way, never very many unless somebody waits for them."""
    while not done.is_set():
        await rig.load(LOAD)
        with suppress(TimeoutError):
            await until(lambda: _few_left(rig, done), "the deeds do not end", FEED_S)


async def _few_left(rig: Rig, done: asyncio.Event) -> bool:
    await rig.witness.catch_up()
    left = rig.wanted - rig.witness.outcomes().keys() - rig.witness.in_doubt()
    return done.is_set() or len(left) <= LOAD // 2


async def _kill_at_each(rig: Rig, name: str, places: list[str]) -> list[str]:
    """Each time the process comes back it has the next place to die at. Gives the places where it died."""
    killed = []
    rig.system.signal(name, signal.SIGKILL)
    for place in places:
        nth = rig.random.randint(1, 3) if place in IN_ROUNDS else 1
        rig.system.respawn(name, DEED_FAILPOINT=f"{place}:{nth}:kill")
        if place.endswith("-release"):
            await rig.owns(name, service="execution" if name.startswith("w") else name)
            rig.system.signal(name, signal.SIGTERM)  # it may have released a lane already, to share it
        assert await rig.died(name) == -signal.SIGKILL, rig.system.tail(name)
        killed.append(place)
    rig.system.respawn(name)
    return killed


pytestmark = pytest.mark.integration
