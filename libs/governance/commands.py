"""What all services do alike with commands: read them, remember them, see whose they are, refuse them by an event."""

from __future__ import annotations

from typing import Any

import msgspec

from libs.contracts.errors import CodecError
from libs.contracts.events import Actor, CancelRequested, CommandRejected, Envelope, Principal
from libs.governance.identity import submission_id
from libs.ledger.codec import decode_message
from libs.ledger.partition import lane_of
from libs.ledger.service import Command, Event, Fact, Prepared, Record, World

TOPIC = "commands"
SEEN_MAX = 8  # commands of one key that are recognised when they come again
UNKNOWN = "UNKNOWN_INTENT"


class Unreadable(msgspec.Struct, frozen=True):
    """A record on a command topic that is not exactly one allowed command."""

    code: str
    reason: str


class CancelMark(msgspec.Struct, frozen=True):
    """A cancellation that was noted. It may be noted before the intent is known here, so whether it was given by
    someone who may give it is looked at when both are there; until then those of strangers stand beside it."""

    command_id: bytes
    by: str
    reason: str
    tenant: str
    account: str
    noted_at: int

    def applies(self, tenant: str, account: str, requester: str) -> bool:
        """May who gave it cancel this intent?"""
        return self.tenant == tenant and (not account or self.account == account or self.by == requester)


Marks = tuple[CancelMark, ...]  # in the order in which they were noted


def noted(marks: Marks, body: CancelRequested, envelope: Envelope) -> Marks:
    """The marks with one more."""
    mark = CancelMark(body.command_id, body.by, body.reason, envelope.tenant, envelope.account, envelope.occurred_at)
    return (*marks, mark)


def without(marks: Marks, command_id: bytes) -> Marks:
    """The marks but that of this command; the same object if it has none."""
    if all(mark.command_id != command_id for mark in marks):
        return marks
    return tuple(mark for mark in marks if mark.command_id != command_id)


def that_counts(marks: Marks, tenant: str, account: str, requester: str) -> CancelMark | None:
    """The first of those who may cancel this intent."""
    return next((mark for mark in marks if mark.applies(tenant, account, requester)), None)


def read_command(record: Record, world: World, types: tuple[type[Any], ...], buries: bool = False) -> Prepared:
    """The command in a record if it is of our types. Of the services that read a topic one `buries` what cannot be
    read; it gets an `Unreadable`."""
    if record.flaw:
        return _unreadable(record, "UNREADABLE", record.flaw, buries)
    try:
        body: Any = decode_message(record.value, record.topic)
        if lane_of(body.intent_id, world.lanes) != world.lane:
            return _unreadable(record, "MISPLACED", "the intent's home is another lane", buries)
    except CodecError as error:
        return _unreadable(record, error.code, str(error), buries)
    if not isinstance(body, types):
        return Prepared(None)
    return Prepared(Command(key=body.intent_id, body=body, record=record, id=body.command_id))


def actor_of(principal: Principal) -> Actor:
    """The actor that the envelope names."""
    return Actor(id=principal.subject, kind=principal.kind)


def may_see(principal: Principal, tenant: str, account: str) -> bool:
    """Is the intent the caller's at all? Without an account claim there are no accounts (flow.md, decision 14)."""
    return principal.tenant == tenant and (not account or account in principal.accounts)


def reject(command: Command, code: str, reason: str) -> Event:
    """A command about a known intent is refused: recorded with the intent."""
    body = command.body
    rejected = CommandRejected(body.command_id, type(body).__name__, code, reason)
    return Event(rejected, actor=actor_of(body.principal))


def reject_unknown(command: Command) -> Event:
    """A command about an intent that is not there, or not the caller's; nobody can tell which. Recorded under the
    command's own id, so that it never touches the records of someone else's intent."""
    body = command.body
    rejected = CommandRejected(body.command_id, type(body).__name__, UNKNOWN, "there is no such intent")
    who = body.principal
    return Event(rejected, actor=actor_of(who), tenant=who.tenant, account="", trace_parent="", key=body.command_id)


def is_refusal_alone(fact: Fact) -> bool:
    """Does it stand under the id of the command that it refuses (`reject_unknown`)? Nobody ever asks for a state of
    that key, so none is kept: whoever may speak could fill the table otherwise."""
    body = fact.body
    return isinstance(body, CommandRejected) and body.command_id == fact.envelope.intent_id


def remember(seen: tuple[bytes, ...], envelope: Envelope, topic: str = TOPIC) -> tuple[bytes, ...]:
    """The commands that were answered, with the one that an own event answers, if any."""
    cause = envelope.cause
    if cause.topic != topic or cause.id in seen:
        return seen
    return (*seen[1 - SEEN_MAX :], cause.id)


def _unreadable(record: Record, code: str, reason: str, buries: bool) -> Prepared:
    if not buries:
        return Prepared(None)
    key = submission_id(record.topic, record.partition, record.offset)
    return Prepared(Command(key=key, body=Unreadable(code, reason), record=record, id=key))
