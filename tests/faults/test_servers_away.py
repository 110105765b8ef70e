"""Faults X8 and X11: the broker and the database stop, are killed, and stand still, while deeds are under way."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable

import pytest

from libs.stack.kafka import Kafka
from libs.stack.postgres import Postgres
from tests.faults.rig import Rig, until

DEEDS = 12

pytestmark = [pytest.mark.integration, pytest.mark.parametrize("shared_rig", ["colocated"], indirect=True)]


def _kill(server: Kafka | Postgres) -> None:
    server.kill()
    server.start()


def _restart(server: Kafka | Postgres) -> None:
    server.stop()
    server.start()


@pytest.mark.parametrize("fault", [_kill, _restart])
async def test_the_broker_goes_and_comes_back(rig: Rig, fault: Callable[[Kafka], None]) -> None:
    await _with_deeds_under_way(rig, asyncio.to_thread(fault, rig.stack.kafka))


@pytest.mark.parametrize("fault", [_kill, _restart])
async def test_the_database_goes_and_comes_back(rig: Rig, fault: Callable[[Postgres], None]) -> None:
    await _with_deeds_under_way(rig, asyncio.to_thread(fault, rig.stack.postgres))


async def test_a_broker_that_stands_still_is_waited_for(rig: Rig) -> None:
    async def stands_still() -> None:
        before = _failures(rig)
        rig.stack.kafka.child.send(signal.SIGSTOP)
        await until(lambda: _failures(rig) > before, "no publish failed")
        rig.stack.kafka.child.send(signal.SIGCONT)

    await _with_deeds_under_way(rig, stands_still())


def _failures(rig: Rig) -> int:
    return sum(rig.log(name).count("PUBLISH_FAILED") for name in ("w1", "w2"))


async def _with_deeds_under_way(rig: Rig, fault: Awaitable[None]) -> None:
    async with rig.watched():
        await rig.busy("w1", "w2", deeds=DEEDS)
        await fault
        await rig.load(DEEDS)
        await rig.prove(60)
