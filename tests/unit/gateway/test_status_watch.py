"""A watch shows each version, never goes back, and is bounded (G4, flow.md decision 14)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from libs.contracts.events import ActorKind, Principal
from libs.contracts.proto.deedbook.status.v1 import status_pb2 as pb
from libs.runtime.requests import show_id
from libs.runtime.rpc import Away, NotFound, Overloaded, enter
from services.status.view import Standing, State
from tests.unit.gateway.fakes import AGENT
from tests.unit.gateway.views import ONE, PENDING, FakeStore, changed, ended, handler

pytestmark = [pytest.mark.requirement("G4"), pytest.mark.requirement("G5"), pytest.mark.requirement("T11")]


async def watched(stream: Any) -> pb.Intent:
    answer: pb.WatchResponse = await asyncio.wait_for(anext(stream), 5)
    return answer.intent


async def test_a_watch_shows_each_version_and_ends_with_the_intent() -> None:
    enter(AGENT)
    store = FakeStore(one=PENDING)
    stream = handler(store).Watch(pb.WatchRequest(intent_id=show_id(ONE)), None)
    assert (await watched(stream)).version == 1
    store.put(ONE, running := changed(PENDING, standing=Standing((50, 1, 1), State.RUNNING)))
    assert (await watched(stream)).state == pb.STATE_RUNNING
    store.put(ONE, ended(running))
    assert (await watched(stream)).state == pb.STATE_SUCCEEDED
    with pytest.raises(StopAsyncIteration):
        await watched(stream)


async def test_a_watch_goes_on_where_another_one_ended() -> None:
    enter(AGENT)
    store = FakeStore(one=PENDING)
    stream = handler(store).Watch(pb.WatchRequest(intent_id=show_id(ONE), after_version=1), None)
    coming = asyncio.ensure_future(watched(stream))
    await asyncio.sleep(0)
    assert not coming.done()
    store.put(ONE, ended(PENDING))
    assert (await coming).version == 2
    again = handler(store).Watch(pb.WatchRequest(intent_id=show_id(ONE), after_version=2), None)
    with pytest.raises(StopAsyncIteration):
        await watched(again)


async def test_a_watch_has_a_longest_time_since_tokens_have() -> None:
    enter(AGENT)
    stream = handler(FakeStore(one=PENDING), watch_max_s=1).Watch(pb.WatchRequest(intent_id=show_id(ONE)), None)
    await watched(stream)
    with pytest.raises(Away) as error:
        await watched(stream)
    assert error.value.code == "WATCH_AGAIN"


async def test_watches_are_counted_and_bounded() -> None:
    enter(AGENT)
    front = handler(FakeStore(one=PENDING), watches_max=1)
    first: Any = front.Watch(pb.WatchRequest(intent_id=show_id(ONE)), None)
    await watched(first)
    with pytest.raises(Overloaded):
        await watched(front.Watch(pb.WatchRequest(intent_id=show_id(ONE)), None))
    await first.aclose()
    second: Any = front.Watch(pb.WatchRequest(intent_id=show_id(ONE)), None)
    assert (await watched(second)).version == 1
    await second.aclose()


async def test_one_tenant_cannot_take_all_watches() -> None:
    store = FakeStore(one=PENDING)
    front = handler(store, watches_max=3, watches_tenant_max=2)
    streams: list[Any] = []
    for expected in (None, None, "WATCHES_OF_TENANT"):
        enter(AGENT)
        streams.append(front.Watch(pb.WatchRequest(intent_id=show_id(ONE)), None))
        if expected is None:
            await watched(streams[-1])
            continue
        with pytest.raises(Overloaded) as error:
            await watched(streams[-1])
        assert error.value.code == expected
    enter(Principal("rival", "eve", ActorKind.HUMAN, (), ()))
    with pytest.raises(NotFound):  # let in, and told the same as everybody
        await watched(front.Watch(pb.WatchRequest(intent_id=show_id(ONE)), None))
    for stream in streams:
        await stream.aclose()
    enter(AGENT)
    again: Any = front.Watch(pb.WatchRequest(intent_id=show_id(ONE)), None)
    assert (await watched(again)).version == 1
    await again.aclose()
