"""A submission that was refused is known to its tenant, and leaves every intent as it was (A6, G4)."""

from __future__ import annotations

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from libs.contracts import events as e
from libs.contracts.proto.deedbook.status.v1 import status_pb2 as pb
from libs.governance.identity import intent_id, submission_id
from libs.runtime.requests import show_id
from libs.runtime.rpc import BadRequest, NotFound, enter
from libs.runtime.settings import load
from libs.runtime.telemetry import Metrics
from services.status.handler import StatusHandler
from services.status.settings import StatusSettings
from services.status.view import INITIAL, IntentView, index
from tests.unit.gateway.fakes import AGENT
from tests.unit.gateway.views import FakeStore
from tests.unit.status.given import ACCEPTED, HASH, KEY, Ledger, fold, running

pytestmark = [pytest.mark.requirement("A6"), pytest.mark.requirement("G4")]

ONE = intent_id("acme", "one")
OTHER = submission_id("intents", 3, 7)
REJECTED = e.SubmissionRejected(
    KEY, "KEY_REUSED", e.FailureCategory.PERMANENT, "other content", "Use a new key.", "intents", 0, 1, "k-1"
)


def rejected(tenant: str = "acme") -> IntentView:
    return Ledger().say("intake", REJECTED, tenant=tenant).view


async def ask(view: IntentView | None, who: e.Principal = AGENT, **given: str) -> pb.Submission:
    enter(who)
    store = FakeStore()
    if view is not None:
        store.views[KEY if view.rejection else ONE] = view
    front = StatusHandler(store, load(StatusSettings), Metrics(CollectorRegistry()), 8)
    request = pb.GetSubmissionRequest(**({"submission_id": show_id(KEY)} | given))
    return (await front.GetSubmission(request, None)).submission


async def test_a_rejection_says_why_and_what_to_do() -> None:
    shown = await ask(rejected())
    assert (shown.state, shown.submission_id) == (pb.SUBMISSION_STATE_REJECTED, show_id(KEY))
    assert (shown.code, shown.error_category) == ("KEY_REUSED", pb.ERROR_CATEGORY_PERMANENT)
    assert (shown.reason, shown.remedy, shown.idempotency_key) == ("other content", "Use a new key.", "k-1")
    assert shown.decide_time.ToMicroseconds() == 1_001
    assert (shown.event_id, shown.intent_id) == (show_id((1).to_bytes(16)), "")


async def test_other_tenants_cannot_tell_it_from_none() -> None:
    for view, tenant in ((rejected(), "rival"), (None, "acme")):
        with pytest.raises(NotFound):
            await ask(view, msgspec.structs.replace(AGENT, tenant=tenant))


def test_a_submission_of_nobody_and_one_under_another_id_leave_no_trace() -> None:
    assert rejected("") is INITIAL
    elsewhere = msgspec.structs.replace(REJECTED, submission_id=OTHER)
    assert Ledger().say("intake", elsewhere).view is INITIAL
    assert Ledger().say("execution", REJECTED).view is INITIAL


def test_a_rejection_is_no_intent_and_is_kept_as_it_was_first_told() -> None:
    ledger = Ledger().say("intake", REJECTED)
    view = ledger.view
    assert (view.tenant, view.version, index(view)) == ("", 0, None)
    later = msgspec.structs.replace(REJECTED, code="EXPIRED")
    assert fold(ledger.say("intake", later).facts, view) is view
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(view), type=IntentView) == view


def test_an_intent_under_the_same_id_is_shown_as_if_there_were_no_rejection() -> None:
    facts = running().facts
    refused = Ledger().say("intake", REJECTED).facts
    with_it, without = fold([*facts, *refused]), fold(facts)
    assert msgspec.structs.replace(with_it, rejection=None) == without


@pytest.mark.parametrize(
    ("named", "digest", "state"),
    [
        (bytes(16), "", pb.SUBMISSION_STATE_ACCEPTED),  # the cause of the event is the submission
        (OTHER, HASH.hex(), pb.SUBMISSION_STATE_REPEATED),
        (OTHER, "cd" * 32, pb.SUBMISSION_STATE_PENDING),
        (OTHER, "", pb.SUBMISSION_STATE_PENDING),
    ],
)
async def test_an_intent_tells_what_its_submissions_are_to_it(named: bytes, digest: str, state: int) -> None:
    view = Ledger().say("intake", ACCEPTED).view
    shown = await ask(view, submission_id=show_id(named), intent_id=show_id(ONE), content_digest=digest)
    assert shown.state == state
    assert (shown.intent_id, shown.idempotency_key) == (show_id(ONE), "k-1")
    decided = state != pb.SUBMISSION_STATE_PENDING
    assert shown.HasField("decide_time") == decided
    assert bool(shown.event_id) == decided


async def test_an_intent_of_others_and_one_that_nobody_named_are_not_found() -> None:
    view = Ledger().say("intake", ACCEPTED).view
    for tenant, given in (("rival", {"intent_id": show_id(ONE)}), ("acme", {})):
        with pytest.raises(NotFound):
            await ask(view, msgspec.structs.replace(AGENT, tenant=tenant), **given)


@pytest.mark.parametrize("wrong", [{"submission_id": ""}, {"intent_id": "x"}, {"content_digest": "AB"}])
async def test_what_is_no_id_or_digest_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(BadRequest):
        await ask(rejected(), AGENT, **wrong)
