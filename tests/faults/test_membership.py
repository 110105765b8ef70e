"""Fault X13: workers join and leave under load. Whoever leaves politely leaves nothing in doubt."""

from __future__ import annotations

import asyncio
import signal

import pytest

from tests.faults.rig import LANES, Rig
from tests.faults.shared import one_more

DEEDS = 16

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("shared_rig", ["colocated"], indirect=True)
async def test_two_and_three_workers_join_and_leave_under_load(rig: Rig) -> None:
    await rig.prove()
    doubt = rig.witness.in_doubt()
    async with rig.watched():
        third = one_more(rig)
        await rig.load(DEEDS)
        rig.system.spawn(third)
        await asyncio.gather(*(rig.owns(name) for name in ("w1", "w2", "w3")))
        for leaving, staying in (("w2", ("w1", "w3")), ("w3", ("w1", "w2"))):
            await rig.busy(leaving, deeds=DEEDS)
            rig.system.signal(leaving, signal.SIGTERM)
            await rig.load(DEEDS)
            assert await rig.died(leaving) == 0, rig.system.tail(leaving)
            if leaving == "w2":
                rig.system.respawn("w2")
            await asyncio.gather(*(rig.owns(name, LANES // 2) for name in staying))
        del rig.system.running["w3"]
        await rig.prove()
    assert rig.witness.in_doubt() == doubt


@pytest.mark.requirement("K7")
@pytest.mark.parametrize("shared_rig", ["colocated", "separate"], indirect=True)
async def test_every_process_is_replaced_under_load_one_after_the_other(rig: Rig) -> None:
    """A rolling upgrade: whoever is told to stop gives back what it has, and whoever comes takes it up."""
    await rig.prove()
    doubt = rig.witness.in_doubt()
    async with rig.watched():
        for name in list(rig.system.running):
            await rig.load(DEEDS)
            rig.system.signal(name, signal.SIGTERM)
            await rig.load(DEEDS)
            assert await rig.died(name) == 0, rig.system.tail(name)
            rig.system.respawn(name)
            await rig.system.ready()
        await rig.prove()
    assert rig.witness.in_doubt() == doubt
