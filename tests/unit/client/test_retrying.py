"""What may be tried again: only what did not happen and never will."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from libs.client.calling import Caller
from libs.client.errors import InvalidRequest, SubmissionRejected
from libs.client.intents import LIFETIME, Intent
from libs.client.results import State, Submitted
from libs.client.retrying import again, check_may_be_retried, not_late
from libs.client.submissions import is_accepted
from libs.contracts.proto.deedbook.status.v1 import status_pb2 as pb
from tests.unit.client.given import AT, ID, deed, later

NEW = "0b8d1d1e-0000-5000-8000-000000000000"


class Rejecting(Caller):
    """Nobody is called: intake has refused it, since its key was used for other content."""

    def __init__(self) -> None: ...

    async def until_answered(self, *_: Any) -> Any:
        found = pb.Submission(state=pb.SUBMISSION_STATE_REJECTED, code="KEY_REUSED", remedy="Use a new key.")
        return pb.GetSubmissionResponse(submission=found)


@pytest.mark.parametrize(
    ("state", "ended_at", "code"),
    [
        (State.SUCCEEDED, AT, "ALREADY_DONE"),
        (State.IN_DOUBT, None, "IN_DOUBT"),
        (State.RUNNING, None, "NOT_ENDED"),
        (State.AWAITING_APPROVAL, None, "NOT_ENDED"),
        (State.PENDING, None, "NOT_ENDED"),
    ],
)
def test_what_happened_or_may_still_happen_is_not_tried_again(state: State, ended_at: Any, code: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        check_may_be_retried(deed(state=state, ended_at=ended_at))
    assert raised.value.code == code
    assert raised.value.remedy


@pytest.mark.parametrize("state", ["FAILED", "BLOCKED", "DENIED", "CANCELLED", "EXPIRED", "REFUSED"])
def test_what_definitely_did_not_happen_may_be_tried_again(state: str) -> None:
    check_may_be_retried(deed(state=State(state), ended_at=AT))


def test_the_key_is_made_of_the_old_id() -> None:
    found = again(ID, Intent(tool="a/b", key="k", arguments={"n": 1}, expires_at=later(5)), AT)
    assert (found.key, found.retry_of, found.arguments) == (f"retry-of-{ID}", ID, {"n": 1})
    assert found.expires_at == later(5)


def test_the_same_retry_asked_for_twice_is_the_same_intent() -> None:
    late = Intent(tool="a/b", expires_at=AT)
    assert again(ID, late, later(60)) == again(ID, late, later(600))


async def test_who_retried_before_with_other_content_is_not_told_to_take_another_key() -> None:
    intent = again(ID, Intent(tool="a/b", expires_at=later(5)), AT)
    for one, told in ((intent, f"`deed get {NEW}`"), (replace(intent, key="mine"), "Use a new key.")):
        with pytest.raises(SubmissionRejected) as raised:
            await is_accepted(Rejecting(), None, Submitted(NEW, ID, "intents", 0, 0, one, AT, ""))
        assert raised.value.code == "KEY_REUSED"
        assert told in raised.value.remedy


def test_a_new_expiry_is_the_same_for_a_while_and_never_short() -> None:
    assert not_late(later(1), AT) == later(1)
    for past in range(0, 8_000, 50):
        found = not_late(AT, later(past))
        left = found - later(past)
        assert LIFETIME / 2 <= left <= LIFETIME * 3 / 2
        assert (found - AT) % LIFETIME == timedelta()
    assert not_late(AT, later(60)) == not_late(AT, later(1_700))
