"""Status shows what concerns the caller, in precise codes, and never goes back (G4, G5, T11; flow.md decision 14)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from libs.contracts.events import (
    ActorKind,
    ChokePoint,
    EffectClass,
    FailureCategory,
    ObjectRef,
    Principal,
    Verdict,
    Vote,
)
from libs.contracts.proto.deedbook.status.v1 import status_pb2 as pb
from libs.governance.identity import intent_id
from libs.ledger.partition import lane_of
from libs.runtime.clock import wall_micros
from libs.runtime.requests import show_id
from libs.runtime.rpc import AccountDenied, Away, BadRequest, NotFound, Overloaded, enter
from libs.runtime.settings import load
from libs.runtime.telemetry import Metrics
from services.status.handler import StatusHandler
from services.status.ports import Listed, Place
from services.status.settings import StatusSettings
from services.status.timeline import Entry
from services.status.view import (
    ApprovalView,
    Ballot,
    Consent,
    Doubt,
    Finding,
    IntentView,
    Progress,
    Standing,
    State,
    Try,
    TryStatus,
)
from tests.unit.gateway.fakes import AGENT

pytestmark = [pytest.mark.requirement("G4"), pytest.mark.requirement("G5"), pytest.mark.requirement("T11")]

ONE = intent_id("acme", "one")
NOW = wall_micros()
PENDING = IntentView(
    tenant="acme",
    account="a1",
    tool="git/git_log",
    requester="agent-1",
    standing=Standing((10, 0, 0), State.PENDING),
    accepted_at=NOW,
    updated_at=NOW,
    expires_at=NOW + 86_400_000_000,
    version=1,
    stages=(("accepted", NOW),),
    positions=(("ledger.intake", 7),),
    entries=(Entry(NOW, "ledger.intake", 7, bytes(16), "IntentAccepted", "agent-1", "acme", "", "", 3),),
)


class FakeStore:
    """Views in memory; `put` wakes watchers."""

    def __init__(self, **views: IntentView) -> None:
        self.views = {intent_id("acme", name): view for name, view in views.items()}
        self.moved = asyncio.Event()
        self.asked: list[Any] = []

    def put(self, key: bytes, view: IntentView) -> None:
        self.views[key] = view
        self.moved.set()

    async def get(self, intent_id: bytes) -> IntentView | None:
        return self.views.get(intent_id)

    async def page(self, tenant: str, accounts: Sequence[str], limit: int, after: Place | None) -> list[Listed]:
        self.asked.append((tenant, tuple(accounts), limit, after))
        found = [
            Listed(Place(view.accepted_at, key), view)
            for key, view in self.views.items()
            if view.tenant == tenant and view.account in accounts
        ]
        found.sort(key=lambda one: (-one.place.at, one.place.key))
        rest = [one for one in found if after is None or (-one.place.at, one.place.key) > (-after.at, after.key)]
        return rest[:limit]

    async def changed(self, intent_id: bytes, after_version: int, timeout_s: float) -> IntentView | None:
        while (view := self.views[intent_id]).version <= after_version:
            self.moved.clear()
            try:
                await asyncio.wait_for(self.moved.wait(), timeout_s)
            except TimeoutError:
                return None
        return view


def handler(store: FakeStore, **given: Any) -> StatusHandler:
    return StatusHandler(store, load(StatusSettings, **given), Metrics(CollectorRegistry()), 8)


def changed(view: IntentView, **fields: Any) -> IntentView:
    return msgspec.structs.replace(view, version=view.version + 1, **fields)


def ended(view: IntentView, state: State = State.SUCCEEDED) -> IntentView:
    return changed(view, standing=Standing((90, 0, 0), state), ended_at=NOW + 5)


async def get(store: FakeStore, key: bytes = ONE) -> pb.Intent:
    return (await handler(store).Get(pb.GetRequest(intent_id=show_id(key)), None)).intent


async def test_one_intent_is_shown_with_where_it_stands_and_why() -> None:
    enter(AGENT)
    shown = await get(FakeStore(one=PENDING))
    assert (shown.intent_id, shown.account, shown.tool) == (show_id(ONE), "a1", "git/git_log")
    assert (shown.state, shown.overdue, shown.version) == (pb.STATE_PENDING, False, 1)
    assert shown.waiting.what == "validation"
    (entry,) = shown.timeline
    assert (entry.event, entry.actor, entry.control_seq) == ("IntentAccepted", "agent-1", 3)
    assert entry.position == shown.positions[0] == pb.Position(topic="ledger.intake", partition=lane_of(ONE, 8), seq=7)
    assert not shown.HasField("end_time")
    assert not shown.HasField("approval")


async def test_what_an_approver_needs_is_shown() -> None:
    enter(AGENT)
    asked = ApprovalView(b"\xab" * 32, 2, ("lead",), NOW + 9, '{"a":1}')
    view = changed(PENDING, standing=Standing((20, 0, 0), State.AWAITING_APPROVAL), approval=asked, approvers=("eve",))
    shown = await get(FakeStore(one=view))
    assert shown.approval.action_digest == "ab" * 32
    assert (shown.approval.needed, list(shown.approval.approvers), list(shown.approval.roles)) == (2, ["eve"], ["lead"])
    assert shown.waiting.owner_role == "lead"


async def test_why_it_failed_is_shown_with_category_and_references() -> None:
    enter(AGENT)
    failed = changed(
        PENDING,
        standing=Standing((90, 0, 0), State.FAILED, "CONNECT", "connection refused"),
        ended_at=NOW + 5,
        category=FailureCategory.TRANSIENT,
        object_refs=(ObjectRef("commit", "c0ffee"),),
        attempts=2,
        cost_micros=3,
    )
    shown = await get(FakeStore(one=failed))
    assert (shown.state, shown.code, shown.reason) == (pb.STATE_FAILED, "CONNECT", "connection refused")
    assert shown.error_category == pb.ERROR_CATEGORY_TRANSIENT
    assert (shown.attempts, shown.cost_micros, shown.object_refs[0].id) == (2, 3, "c0ffee")
    assert shown.end_time.ToMicroseconds() == NOW + 5


async def test_why_in_detail_is_shown_for_one_intent_and_left_out_of_lists() -> None:
    enter(AGENT)
    found = Finding("freshness", ChokePoint.STEP_EXECUTION, Verdict.BLOCK, "STALE", "crm is 2 days old", "crm")
    tried = Try(1, NOW, "git", EffectClass.OPAQUE, TryStatus.IN_DOUBT, code="TIMEOUT", response_digest=b"\xcd" * 32)
    view = changed(
        PENDING,
        findings=(found,),
        rechecks=(found, found),
        tries=(tried,),
        doubt=Doubt(1, NOW, "TIMEOUT", "no answer", NOW + 1, "resolver"),
        progress=Progress(1, 40, "halfway", NOW),
        set_aside_micros=7,
        settled_micros=0,
        consent=Consent.WITHDRAWN,
        approval=ApprovalView(bytes(32), 1, ("lead",), NOW, "{}"),
        ballots=(Ballot(NOW, "eve", Vote.APPROVE, "fine"), Ballot(NOW, "bob", Vote.DENY, "no")),
    )
    store = FakeStore(one=view)
    shown = await get(store)
    assert (shown.findings[0].validator, shown.findings[0].verdict) == ("freshness", pb.VERDICT_BLOCK)
    assert (len(shown.rechecks), shown.findings[0].choke_point) == (2, "STEP_EXECUTION")
    assert (shown.tries[0].status, shown.tries[0].effect_class) == (pb.ATTEMPT_STATUS_IN_DOUBT, "OPAQUE")
    assert shown.tries[0].response_digest == "cd" * 32
    assert (shown.doubt.owner_role, shown.doubt.HasField("applied")) == ("resolver", False)
    assert (shown.progress.percent, shown.approval.consent) == (40, pb.CONSENT_WITHDRAWN)
    assert [(one.voter, one.approve) for one in shown.approval.ballots] == [("eve", True), ("bob", False)]
    assert (shown.money.set_aside_micros, shown.money.HasField("settled_micros")) == (7, True)
    assert not shown.money.HasField("released_micros")
    (listed,) = (await handler(store).List(pb.ListRequest(), None)).intents
    assert not (listed.findings or listed.rechecks or listed.tries or listed.timeline)


@pytest.mark.parametrize("status", list(TryStatus))
async def test_every_attempt_status_has_its_name(status: TryStatus) -> None:
    enter(AGENT)
    shown = await get(FakeStore(one=changed(PENDING, tries=(Try(1, NOW, "s", EffectClass.KEYED, status),))))
    assert pb.AttemptStatus.Name(shown.tries[0].status) == f"ATTEMPT_STATUS_{status.value}"


async def test_past_its_expiry_it_is_overdue_and_not_expired() -> None:
    enter(AGENT)
    shown = await get(FakeStore(one=changed(PENDING, expires_at=NOW - 1)))
    assert (shown.state, shown.overdue) == (pb.STATE_PENDING, True)


@pytest.mark.parametrize("state", [state for state in State if state is not State.UNKNOWN])
async def test_every_state_has_its_name(state: State) -> None:
    enter(AGENT)
    shown = await get(FakeStore(one=changed(PENDING, standing=Standing((10, 0, 0), state))))
    assert pb.State.Name(shown.state) == f"STATE_{state.value}"


@pytest.mark.parametrize(
    "view",
    [
        None,
        msgspec.structs.replace(PENDING, tenant="rival"),
        msgspec.structs.replace(PENDING, account="a9"),
        msgspec.structs.replace(PENDING, tenant=""),
    ],
)
async def test_what_is_not_yours_cannot_be_told_from_what_is_not_there(view: IntentView | None) -> None:
    enter(AGENT)
    store = FakeStore(**({} if view is None else {"one": view}))
    said = []
    for ask in (get(store), anext(handler(store).Watch(pb.WatchRequest(intent_id=show_id(ONE)), None))):
        with pytest.raises(NotFound) as error:
            await ask
        said.append((error.value.text, error.value.code))
    assert said == [("not found", "NOT_FOUND")] * 2


async def test_an_intent_without_account_is_its_tenants() -> None:
    enter(Principal("acme", "other", ActorKind.HUMAN, (), ()))
    assert (await get(FakeStore(one=changed(PENDING, account="")))).version == 2


@pytest.mark.parametrize("wrong", ["", "one", "0" * 36])
async def test_an_id_that_is_none_is_refused(wrong: str) -> None:
    enter(AGENT)
    with pytest.raises(BadRequest):
        await handler(FakeStore()).Get(pb.GetRequest(intent_id=wrong), None)


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
