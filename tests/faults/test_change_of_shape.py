"""flow.md, decision 15: stop, all drained, tables copied, start in the other shape on the same ledger; and back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import asyncpg
import pytest

from libs.stack.databases import with_database
from libs.stack.errors import StartFailed
from libs.stack.folders import home
from libs.stack.moving import move
from libs.stack.scratch import scratch
from libs.stack.shapes import Plan
from tests.faults.building import build, tear_down
from tests.faults.rig import LANES, Rig
from tests.faults.shared import usual

DEEDS = 16

pytestmark = pytest.mark.integration


@pytest.fixture
async def alone() -> AsyncIterator[Rig]:
    """A system of this test alone, co-located, without its status."""
    with scratch(home() / "tests") as root:
        rig = await build(root, Plan("colocated", lanes=LANES), ("w1", "w2", "control"))
        try:
            yield rig
        finally:
            await tear_down(rig)


async def test_the_shape_changes_on_the_same_ledger_and_back(alone: Rig) -> None:
    dsn = alone.system.ends.postgres_dsn
    for target in ("separate", "colocated"):
        await alone.load(DEEDS)
        await alone.prove()
        with pytest.raises(StartFailed, match="unpublished events or an owner"):
            await move(dsn, target)
        assert set((await alone.system.stop()).values()) == {0}
        before = await alone.tables()
        assert await move(dsn, target)
        if target == "separate":
            assert await _marked(alone) == LANES  # the old shape, started by mistake, would claim nothing and say why
        await _start(alone, target)
        after = await alone.tables()
        assert {name: one.states for name, one in before.items()} == {name: one.states for name, one in after.items()}
        assert await move(dsn, target) == []  # it is there already
        await alone.load(DEEDS)
        await alone.prove()
    assert len(alone.witness.outcomes()) == len(alone.wanted)  # no change of shape put anything in doubt


async def _start(rig: Rig, shape: str) -> None:
    rig.system.running.clear()
    rig.system.plan = replace(rig.system.plan, shape=shape)
    names = [name for name in usual(shape) if name != "status"]
    await rig.system.start(names)


async def _marked(rig: Rig) -> int:
    connection = await asyncpg.connect(with_database(rig.system.ends.postgres_dsn, "deedbook"))
    try:
        marked = "SELECT count(*) FROM budget.lane WHERE halted_reason = 'moved to the shape separate'"
        return int(await connection.fetchval(marked))
    finally:
        await connection.close()
