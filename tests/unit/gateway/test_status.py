"""Status shows what concerns the caller, in precise codes, and never goes back (G4, G5, T11; flow.md decision 14)."""

from __future__ import annotations

import msgspec
import pytest

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
from libs.ledger.partition import lane_of
from libs.runtime.requests import show_id
from libs.runtime.rpc import BadRequest, NotFound, enter
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
from tests.unit.gateway.views import NOW, ONE, PENDING, FakeStore, changed, handler

pytestmark = [pytest.mark.requirement("G4"), pytest.mark.requirement("G5"), pytest.mark.requirement("T11")]


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
