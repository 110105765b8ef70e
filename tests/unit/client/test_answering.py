"""What a command did is known by the ids of the events that it caused."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest
import typer

from libs.client import answering
from libs.client.ending import Exit, Failed, of_client, told
from libs.client.errors import (
    InvalidRequest,
    Misconfigured,
    NotFound,
    PermissionDenied,
    SubmissionRejected,
    Unavailable,
)
from libs.client.results import Deed, Entry, State
from libs.ledger.chain import derived_id
from tests.unit.client.given import deed, entry

COMMAND = str(uuid4())


def caused(event: str, topic: str, seq: int, command: str = COMMAND, **more: str) -> Entry:
    made = derived_id(UUID(command).bytes, topic, seq)
    return entry(event, topic, seq, event_id=str(UUID(bytes=made)), **more)


class Status:
    """Answers with one deed after the other, and then the last one for ever."""

    def __init__(self, *deeds: Deed) -> None:
        self.deeds = list(deeds)

    async def get(self, intent_id: str) -> Deed:
        return self.deeds.pop(0) if len(self.deeds) > 1 else self.deeds[0]


async def answer(*deeds: Deed, limit_s: float = 5.0) -> answering.Answer:
    return await answering.answer_to(Status(*deeds), "id", COMMAND, limit_s)  # type: ignore[arg-type]


async def test_only_events_of_this_command_are_its_answer() -> None:
    of_another = caused("ApprovalVoted", "ledger.approval", 3, command=str(uuid4()))
    voted, granted = caused("ApprovalVoted", "ledger.approval", 4), caused("ApprovalGranted", "ledger.approval", 5)
    found = await answer(deed(), deed(timeline=(of_another,)), deed(timeline=(of_another, voted, granted)))
    assert found.events == (voted, granted)


async def test_a_resolution_is_shown_with_its_outcome_when_that_follows_at_once() -> None:
    doubt, done = deed(state=State.IN_DOUBT), deed(state=State.SUCCEEDED)
    before = answering.Answer(COMMAND, (), doubt)
    for seen, state in (((doubt, done), State.SUCCEEDED), ((doubt,), State.IN_DOUBT)):
        status: Any = Status(*seen)
        found = await answering.out_of_doubt(status, before, 0.2)
        assert (found.deed.state, found.command_id) == (state, COMMAND)


@pytest.mark.parametrize(
    ("code", "exit_code"),
    [("SELF_APPROVAL", Exit.NOT_ALLOWED), ("ALREADY_DECIDED", Exit.REFUSED), ("IN_DOUBT", Exit.IN_DOUBT)],
)
async def test_a_rejection_is_told_with_its_remedy(code: str, exit_code: Exit) -> None:
    rejected = caused("CommandRejected", "ledger.approval", 4, code=code, reason="ApprovalVote: no, since: it is so")
    with pytest.raises(Failed) as refused:
        await answer(deed(timeline=(rejected,)))
    assert (refused.value.code, refused.value.reason) == (code, "no, since: it is so")
    assert refused.value.exit_code is exit_code
    assert refused.value.remedy


async def test_no_answer_in_time_is_no_refusal() -> None:
    with pytest.raises(Failed) as refused:
        await answer(deed(), limit_s=0.05)
    assert (refused.value.code, refused.value.exit_code) == ("NO_ANSWER", Exit.AWAY)


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [
        (Misconfigured("x"), Exit.WRONG_USE),
        (InvalidRequest("x"), Exit.WRONG_USE),
        (InvalidRequest("x", "SECRET_LITERAL"), Exit.REFUSED),
        (NotFound("x"), Exit.NOT_FOUND),
        (PermissionDenied("x"), Exit.NOT_ALLOWED),
        (Unavailable("x"), Exit.AWAY),
        (SubmissionRejected("x", "KEY_REUSED"), Exit.REFUSED),
    ],
)
def test_an_error_of_the_client_has_its_exit_code(error: Exception, exit_code: Exit) -> None:
    assert of_client(error).exit_code is exit_code  # type: ignore[arg-type]


def test_what_went_wrong_is_said_in_two_lines_and_changes_nothing_on_a_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(typer.Exit) as ended, told():
        raise Failed("TOOL_ERROR", "it said \x1b[2Jnothing", "Look at it.", Exit.REFUSED)
    assert ended.value.exit_code == 1
    assert capsys.readouterr().err == "TOOL_ERROR: it said \\u001b[2Jnothing\nLook at it.\n"
