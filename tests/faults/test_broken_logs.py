"""Fault X10, and poison where only we write: a lane halts, says why, decides nothing more, and the others go on."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator

import msgspec
import pytest
from aiokafka.admin import AIOKafkaAdminClient

from libs.ledger.chain import ZERO
from libs.ledger.codec import CATALOGUE
from libs.ledger.partition import lane_of
from libs.stack.folders import home
from libs.stack.scratch import scratch
from libs.stack.shapes import Plan
from libs.stack.topics import create_topics
from tests.faults.building import build, tear_down
from tests.faults.rig import LANES, Rig, until
from tests.faults.witness import Witness

DEEDS = 16
RUNNING = ("intake", "validation", "budget", "execution", "outcome", "control")

pytestmark = pytest.mark.integration


@pytest.fixture
async def doomed() -> AsyncIterator[Rig]:
    """A system of this test alone: its ledger will be beyond help."""
    with scratch(home() / "tests") as root:
        rig = await build(root, Plan("separate", lanes=LANES), RUNNING)
        try:
            yield rig
        finally:
            await tear_down(rig)


async def test_a_lane_whose_log_is_broken_halts_and_the_others_go_on(doomed: Rig) -> None:
    await doomed.load(DEEDS)
    await doomed.prove()
    await _garbage_on_a_ledger_topic(doomed)
    await _an_event_that_forks_the_chain(doomed)
    await _others_go_on(doomed, {2, 3})
    await _an_output_made_again_under_its_writer(doomed)
    await _an_output_made_again_while_nobody_looks(doomed)
    await _an_input_made_again(doomed)


async def _garbage_on_a_ledger_topic(rig: Rig) -> None:
    offset = await rig.publish("ledger.intake", 0, b"no event of ours")
    for reader in ("validation", "execution", "outcome"):
        reason = await _halted(rig, reader, 0)
        assert f"ledger.intake offset {offset}" in reason


async def _an_event_that_forks_the_chain(rig: Rig) -> None:
    """Somebody writes an event with the right number who does not know what came before."""
    last = rig.witness.facts["ledger.budget", 1][-1]
    envelope = msgspec.structs.replace(last.envelope, seq=last.envelope.seq + 1, prev_hash=ZERO)
    offset = await rig.publish("ledger.budget", 1, CATALOGUE.encode_event(envelope, last.body))
    for reader in ("execution", "outcome"):
        reason = await _halted(rig, reader, 1)
        assert f"ledger.budget offset {offset}" in reason
        assert "prev_hash" in reason


async def _others_go_on(rig: Rig, lanes: set[int]) -> None:
    """Deeds of the other lanes end; of the halted ones nothing more is decided."""
    before = await _decided(rig, "validation")
    ids = await rig.system.submit(rig.intents(DEEDS))
    going = {key for key in ids if lane_of(key, LANES) in lanes}
    assert going

    async def ended() -> bool:
        await rig.witness.catch_up()
        return going <= rig.witness.outcomes().keys()

    await until(ended, "the other lanes stand still")
    assert (await _decided(rig, "validation"))[0] == before[0]


async def _an_output_made_again_under_its_writer(rig: Rig) -> None:
    """All that the new topic lacks is still in the outbox: it is published again, and the chain is whole."""
    await _made_again(rig, "ledger.outcome")
    ids = await rig.system.submit(rig.intents(DEEDS))
    going = {key for key in ids if lane_of(key, LANES) in (2, 3)}

    async def mended() -> bool:
        witness = Witness(rig.system.kafka)
        await witness.catch_up()
        found = witness.outcomes().keys()
        return {key for key in rig.witness.outcomes().keys() | going if lane_of(key, LANES) in (2, 3)} <= found

    await until(mended, "the outcomes are not published again")


async def _an_output_made_again_while_nobody_looks(rig: Rig) -> None:
    """An empty topic in place of what was acknowledged: nothing may be added to it before somebody has looked."""
    rig.system.signal("outcome", signal.SIGTERM)
    assert await rig.died("outcome") == 0
    before = await _decided(rig, "outcome")
    await _made_again(rig, "ledger.outcome")
    rig.system.respawn("outcome")
    for lane in (2, 3):
        assert "the topic was made again" in await _halted(rig, "outcome", lane)
    await rig.system.submit(rig.intents(DEEDS))
    assert await _decided(rig, "outcome") == before


async def _an_input_made_again(rig: Rig) -> None:
    async def all_taken() -> bool:
        return sum((await _decided(rig, "intake")).values()) == 4 * DEEDS

    await until(all_taken, "intake has not taken all that was submitted so far")
    before = await _decided(rig, "intake")
    await _made_again(rig, "intents")
    await rig.system.submit(rig.intents(DEEDS))
    for lane in range(LANES):
        assert "intents" in await _halted(rig, "intake", lane)
    assert await _decided(rig, "intake") == before


async def _made_again(rig: Rig, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=rig.system.ends.kafka_bootstrap)
    await admin.start()
    try:
        await admin.delete_topics([topic])
    finally:
        await admin.close()

    async def made() -> bool:
        return topic in await create_topics(rig.system.ends.kafka_bootstrap, lanes=LANES)

    await until(made, f"{topic} cannot be made again")


async def _halted(rig: Rig, service: str, lane: int) -> str:
    """Wait until the lane is halted; the reason in its row."""

    async def look() -> str:
        return next(row.halted for row in await rig.lanes(service) if row.lane == lane)

    return str(await until(look, f"{service}: lane {lane} is not halted"))


async def _decided(rig: Rig, service: str) -> dict[int, int]:
    return {row.lane: row.out_seq for row in await rig.lanes(service)}
