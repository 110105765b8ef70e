"""What became of the last changes that people asked for: whether each is in force, or was refused and why. An answer to
a change says only that its command is durable."""

from __future__ import annotations

import msgspec

from libs.contracts.events import CommandRejected
from libs.ledger.service import Fact

CHANGES_MAX = 256


class Changed(msgspec.Struct, frozen=True):
    """What became of a command to control, for whoever gave it (`tenant`, `by`). `code` "" = in force since `seq`."""

    command_id: bytes
    tenant: str
    by: str
    seq: int
    decided_at: int
    code: str = ""
    reason: str = ""


def remembered(changes: tuple[Changed, ...], fact: Fact) -> tuple[Changed, ...]:
    """The last changes after one more fact of the control ledger."""
    command_id = getattr(fact.body, "command_id", b"")
    if not command_id:
        return changes
    envelope, body = fact.envelope, fact.body
    refused = (body.code, body.reason) if isinstance(body, CommandRejected) else ("", "")
    one = Changed(command_id, envelope.tenant, envelope.actor.id, envelope.seq, envelope.occurred_at, *refused)
    return (*changes[1 - CHANGES_MAX :], one)
