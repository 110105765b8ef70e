"""What a command did: the events that it caused carry ids that are made of its own (libs/ledger/chain.py), so they are
known in the timeline without a doubt, refusals too."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, replace
from uuid import UUID

from libs.client.calling import Pause
from libs.client.client import Client
from libs.client.ending import Exit, Failed
from libs.client.errors import Unavailable
from libs.client.results import Deed, Entry, State
from libs.governance.remedies import remedy
from libs.ledger.chain import derived_id

ANSWER_S = 15.0
OUTCOME_S = 3.0
REJECTED = "CommandRejected"
_EXITS = {
    "ROLE_MISSING": Exit.NOT_ALLOWED,
    "SELF_APPROVAL": Exit.NOT_ALLOWED,
    "NOT_HUMAN": Exit.NOT_ALLOWED,
    "UNKNOWN_INTENT": Exit.NOT_FOUND,
    "IN_DOUBT": Exit.IN_DOUBT,
}


@dataclass(frozen=True)
class Answer:
    """`events`: what the command caused, in the words of the timeline; `deed` after it."""

    command_id: str
    events: tuple[Entry, ...]
    deed: Deed


def caused_by(command_id: str, deed: Deed) -> tuple[Entry, ...]:
    """The entries that a command caused."""
    key = UUID(command_id).bytes
    return tuple(
        entry
        for entry in deed.timeline
        if entry.event_id == str(UUID(bytes=derived_id(key, entry.position.topic, entry.position.seq)))
    )


async def answer_to(client: Client, intent_id: str, command_id: str, limit_s: float = ANSWER_S) -> Answer:
    """Wait until the command has its answer. Raises Failed when it was rejected, or has no answer in time."""
    pause = Pause()
    try:
        async with asyncio.timeout(limit_s):
            while True:
                deed = await client.get(intent_id)
                if events := caused_by(command_id, deed):
                    return _accepted(Answer(command_id, events, deed))
                await pause.take()
    except TimeoutError:
        reason = f"the command {command_id} is on the log and has no answer after {limit_s:g} s"
        told = f"It will get one; `deed show {intent_id}` says which. `deed doctor` says what is slow."
        raise Failed("NO_ANSWER", reason, told, Exit.AWAY) from None


async def out_of_doubt(client: Client, answer: Answer, limit_s: float = OUTCOME_S) -> Answer:
    """The answer with the deed as it is when its outcome is there: another service records that, a moment after the
    resolution. As it was when that takes longer."""
    deed, pause = answer.deed, Pause()
    with suppress(TimeoutError, Unavailable):
        async with asyncio.timeout(limit_s):
            while deed.state is State.IN_DOUBT:
                await pause.take()
                deed = await client.get(deed.intent_id)
    return replace(answer, deed=deed)


def _accepted(answer: Answer) -> Answer:
    for entry in answer.events:
        if entry.event == REJECTED:
            reason = entry.reason.partition(": ")[2] or entry.reason
            raise Failed(entry.code, reason, remedy(entry.code), _EXITS.get(entry.code, Exit.REFUSED))
    return answer
