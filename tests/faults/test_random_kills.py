"""Faults X1 to X3, at random: kill -9 and SIGSTOP over all workers, under load. Each round proves by the tool's own
journal that the kill fell between a dispatch and its answer; what cannot show that does not count.

DEED_ROUNDS=100 makes more rounds per shape."""

from __future__ import annotations

import asyncio
import os
import signal
import time

import psutil
import pytest

from libs.testkit.seeding import now_at
from tests.faults.rig import LEASE_MS, Rig
from tests.faults.witness import Call

ROUNDS = int(os.environ.get("DEED_ROUNDS", "10"))
DEEDS = 20
BEYOND_LEASE_S = LEASE_MS / 1000 + 0.3

pytestmark = pytest.mark.integration


@pytest.mark.requirement("C3")
@pytest.mark.requirement("F5")
@pytest.mark.requirement("H1")
@pytest.mark.requirement("G4")
async def test_random_kills_and_stops_give_at_most_one_effect(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    before, fell = set(rig.wanted), 0
    async with rig.watched() as watch:
        for _ in range(ROUNDS):
            caught, _ = await asyncio.gather(_kill_in_mid_call(rig), _stop_another(rig))
            assert caught, "no call was under way when the worker was killed"
            fell += len(caught)
        await rig.prove(mending=True)
    assert watch.looks > 0
    mine = rig.wanted - before
    doubt = rig.witness.in_doubt() & mine
    shape = rig.system.plan.shape
    said = (
        f"{shape}: {ROUNDS} rounds, {len(mine)} deeds, {fell} calls hit in mid-call, {len(doubt)} in doubt"
        f" ({len(doubt) / len(mine):.1%}), 0 effects twice"
    )
    with capsys.disabled():
        print(f"\n{said}")  # noqa: T201 - the share in doubt is a figure that a run has to show


async def _kill_in_mid_call(rig: Rig) -> list[Call]:
    """Kill a worker while its tool is at work, and start it again. Gives the calls that the kill fell into."""
    name = rig.random.choice(["w1", "w2"] if rig.system.plan.shape == "colocated" else ["execution"])
    caught: list[Call] = []
    while not caught:  # should all calls have been answered in that very moment: once more
        await rig.owns(name)
        await rig.busy(name, deeds=DEEDS)
        await asyncio.sleep(rig.random.uniform(0, 0.1))  # any moment will do: that is the fault
        servers = {child.pid for child in psutil.Process(rig.system.running[name].pid).children()}
        at = now_at()
        rig.system.signal(name, signal.SIGKILL)
        rig.system.respawn(name)
        dead_at = now_at()
        seen = [call for call in rig.calls() if call.server in servers]
        caught = [call for call in seen if call.in_flight(at) and call.in_flight(dead_at)]
    return caught


async def _stop_another(rig: Rig) -> None:
    """Meanwhile any process stands still for longer than its leases last, and goes on as if nothing had been."""
    name = rig.random.choice(sorted(rig.system.running.keys() - {"status"}))
    pid = rig.system.running[name].pid
    rig.system.signal(name, signal.SIGSTOP)
    began = time.monotonic()
    while time.monotonic() - began < BEYOND_LEASE_S:  # the fault itself is a length of time
        if rig.system.running[name].pid != pid:
            return  # it was the one to be killed
        await asyncio.sleep(0.1)
    rig.system.signal(name, signal.SIGCONT)
