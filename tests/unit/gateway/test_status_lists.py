"""Lists hold what concerns the caller, page by page (G5, T11)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from libs.contracts.proto.deedbook.status.v1 import status_pb2 as pb
from libs.governance.identity import intent_id
from libs.runtime.requests import show_id
from libs.runtime.rpc import AccountDenied, BadRequest, enter
from tests.unit.gateway.fakes import AGENT
from tests.unit.gateway.views import NOW, PENDING, FakeStore, handler

pytestmark = [pytest.mark.requirement("G4"), pytest.mark.requirement("G5"), pytest.mark.requirement("T11")]


async def test_a_foreign_account_is_denied_and_an_own_one_listed() -> None:
    enter(AGENT)
    store = FakeStore(one=PENDING, two=msgspec.structs.replace(PENDING, account="a2"))
    with pytest.raises(AccountDenied):
        await handler(store).List(pb.ListRequest(account="a9"), None)
    assert store.asked == []
    page = await handler(store).List(pb.ListRequest(account="a2"), None)
    assert [one.intent_id for one in page.intents] == [show_id(intent_id("acme", "two"))]
    assert store.asked[-1][:3] == ("acme", ("a2",), 51)


async def test_a_list_holds_the_tokens_accounts_and_intents_without_one() -> None:
    enter(AGENT)
    views = {f"n{n}": msgspec.structs.replace(PENDING, account=account) for n, account in enumerate(("", "a1", "a9"))}
    page = await handler(FakeStore(**views)).List(pb.ListRequest(), None)
    assert sorted(one.account for one in page.intents) == ["", "a1"]
    assert not any(one.timeline for one in page.intents)


async def test_pages_follow_each_other_without_gap_or_repeat() -> None:
    enter(AGENT)
    store = FakeStore(**{f"n{n}": msgspec.structs.replace(PENDING, accepted_at=NOW + n // 3) for n in range(25)})
    token, ids, times = "", [], []
    while True:
        page = await handler(store).List(pb.ListRequest(page_size=10, page_token=token), None)
        ids += [one.intent_id for one in page.intents]
        times += [one.create_time.ToMicroseconds() for one in page.intents]
        token = page.next_page_token
        if not token:
            break
    assert len(ids) == len(set(ids)) == 25
    assert times == sorted(times, reverse=True)


@pytest.mark.parametrize(
    "wrong", [{"page_size": 0}, {"page_size": 101}, {"page_token": "x"}, {"page_token": "MS4yMg=="}]
)
async def test_a_wrong_page_is_refused(wrong: dict[str, Any]) -> None:
    enter(AGENT)
    with pytest.raises(BadRequest):
        await handler(FakeStore()).List(pb.ListRequest(**wrong), None)
