"""Which record of the log says what became of one that was put back."""

from __future__ import annotations

from typing import Any

import pytest

from libs.client.errors import NotFound
from libs.client.letters import Buried, News, Place, known_already, news_of
from libs.client.results import Deed, State
from libs.contracts import events as e
from libs.ledger.codec import decode_message, encode_event
from libs.ledger.records import VALUE_MAX, dead_letter
from libs.ledger.service import Record
from libs.runtime.requests import show_id
from libs.testkit.samples import envelope
from tests.unit.client.given import ID, deed

COMMANDS = Place("commands", 2, 17)
KEY = b"k" * 16


def refused(offset: int) -> bytes:
    body = e.CommandRejected(b"c" * 16, "Cancel", "UNKNOWN_INTENT", "why")
    cause = e.Cause("commands", offset, b"c" * 16)
    return encode_event(envelope(intent_id=KEY, cause=cause), body)


def letter(offset: int, value: bytes = b"x") -> bytes:
    return dead_letter("execution", "BAD_VALUE", "why", Record("commands", 2, offset, 1, None, value))


@pytest.mark.parametrize(
    ("at", "value", "found"),
    [
        (("ledger.execution", 2), refused(17), News("CommandRejected", show_id(KEY), "UNKNOWN_INTENT", "why")),
        (("ledger.execution", 2), refused(18), None),
        (("ledger.execution", 3), refused(17), None),
        (("dead.execution", 0), letter(17), News("DeadLetter", "", "BAD_VALUE", "why")),
        (("dead.execution", 0), letter(16), None),
        (("ledger.execution", 2), b"garbage", None),
    ],
)  # fmt: skip
def test_news_are_about_the_very_record(at: tuple[str, int], value: bytes, found: Any) -> None:
    assert news_of(at, value, COMMANDS) == found


def test_a_rejected_submission_names_where_it_came_from() -> None:
    body = e.SubmissionRejected(b"s" * 16, "KEY_REUSED", e.FailureCategory.PERMANENT, "r", "m", "intents", 1, 5)
    value = encode_event(envelope(intent_id=KEY), body)
    assert news_of(("ledger.intake", 0), value, Place("intents", 1, 5)) == News(
        "SubmissionRejected", show_id(KEY), "KEY_REUSED", "r"
    )
    assert news_of(("ledger.intake", 0), value, Place("intents", 1, 6)) is None


def test_a_letter_says_whether_it_holds_everything() -> None:
    for size, cut in ((10, False), (VALUE_MAX + 1, True)):
        found = decode_message(letter(1, b"v" * size), "dead.execution")
        assert Buried("execution/0/1", 1, found).cut is cut


class Status:
    """A client at which one intent is known."""

    async def get(self, intent: str) -> Deed:
        if intent != ID:
            raise NotFound("no such intent")
        return deed(state=State.IN_DOUBT)


async def test_an_intent_about_which_nothing_is_said_anew_may_be_there_already() -> None:
    status: Any = Status()
    assert await known_already(status, ID) == News("IntentAccepted", ID, already="IN_DOUBT")
    assert await known_already(status, ID[::-1]) is None
