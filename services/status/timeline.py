"""The decisions about an intent as lines that people read, in one order whatever the order they were read in."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from libs.contracts.events import (
    ApprovalGranted,
    ApprovalRequested,
    ApprovalVoted,
    BudgetCorrected,
    BudgetReleased,
    BudgetReserved,
    BudgetSettled,
    CommandRejected,
    ExecutionDispatched,
    ExecutionFailed,
    ExecutionInDoubt,
    ExecutionResolved,
    ExecutionSucceeded,
    IntentAccepted,
    IntentAllowed,
    IntentBlocked,
    KeyParked,
    LateAnswerRecorded,
    OutcomeRecorded,
    Verdict,
)
from libs.ledger.service import Fact

TOPICS: Final = tuple(
    f"ledger.{name}" for name in ("intake", "validation", "approval", "budget", "execution", "outcome")
)
FIRST_ENTRIES, LAST_ENTRIES = 24, 40  # of a timeline that grows too long, both ends are kept
ENTRIES_MAX = FIRST_ENTRIES + LAST_ENTRIES
REASON_MAX = 300

# What was decided in the same batch has the same time; within it, this is the order of the flow.
STEPS: Final[Mapping[str, int]] = {
    name: step
    for step, name in enumerate(
        (
            "IntentAccepted", "IntentAllowed", "IntentBlocked", "ApprovalRequested", "ApprovalVoted", "ApprovalGranted",
            "ApprovalDenied", "ApprovalExpired", "CancelRequested", "ApprovalCancelled", "BudgetReserved",
            "BudgetDenied", "ApprovalWithdrawn", "ExecutionRetryScheduled", "ExecutionDispatched",
            "ExecutionSucceeded", "ExecutionFailed", "ExecutionRefused", "ExecutionCancelled", "ExecutionExpired",
            "ExecutionInDoubt", "LateAnswerRecorded", "ExecutionResolved", "BudgetReleased", "BudgetSettled",
            "OutcomeRecorded", "OutcomeAmended", "BudgetCorrected", "CommandRejected", "KeyParked", "KeyUnparked",
        )
    )
}  # fmt: skip
_LATER = len(STEPS)
_RANKS: Final[Mapping[str, int]] = {topic: rank for rank, topic in enumerate(TOPICS)}

# The stage that an event reaches; the first time counts.
STAGES: Final[Mapping[type, str]] = {
    IntentAccepted: "accepted",
    IntentAllowed: "validated",
    IntentBlocked: "validated",
    ApprovalRequested: "approval requested",
    ApprovalGranted: "approved",
    BudgetReserved: "reserved",
    ExecutionDispatched: "dispatched",
    ExecutionSucceeded: "answered",
    ExecutionFailed: "answered",
    ExecutionInDoubt: "in doubt",
    ExecutionResolved: "resolved",
    BudgetSettled: "settled",
    BudgetReleased: "released",
    OutcomeRecorded: "ended",
}
_STEP_OF_STAGE = {stage: STEPS[kind.__name__] for kind, stage in STAGES.items()}


class Entry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One decision about the intent. `reason`: one line."""

    at: int
    topic: str
    seq: int
    event_id: bytes
    event: str
    actor: str
    tenant: str
    code: str
    reason: str
    control_seq: int


def added(before: tuple[Entry, ...], new: Sequence[Entry], dropped: int) -> tuple[tuple[Entry, ...], int]:
    """The timeline with more entries, of which the first and the last are kept; and how many were dropped by now. Which
    of them are kept does not depend on the order they come in."""
    if len(new) == 1 and (not before or _place(before[-1]) <= _place(new[0])) and len(before) < ENTRIES_MAX:
        return (*before, new[0]), dropped
    entries = list(before)
    for entry in new:
        if entries and entry.at <= entries[-1].at and _place(entry) < _place(entries[-1]):
            insort(entries, entry, key=_place)
        else:
            entries.append(entry)
    over = len(entries) - ENTRIES_MAX
    if over > 0:
        del entries[FIRST_ENTRIES : FIRST_ENTRIES + over]
    return tuple(entries), dropped + max(over, 0)


def moved(positions: tuple[tuple[str, int], ...], topic: str, seq: int) -> tuple[tuple[str, int], ...]:
    """The positions with one more; the farthest counts."""
    for n, (name, read) in enumerate(positions):
        if name == topic:
            return (*positions[:n], (topic, seq), *positions[n + 1 :]) if seq > read else positions
    return tuple(sorted((*positions, (topic, seq))))


def reached(stages: tuple[tuple[str, int], ...], stage: str, at: int) -> tuple[tuple[str, int], ...]:
    """The stages with one more, in the order of their times; the first time counts."""
    for name, _ in stages:
        if name == stage:
            return stages
    new = (stage, at)
    if not stages or stages[-1][1] < at or _stage_place(stages[-1]) < _stage_place(new):
        return (*stages, new)
    return tuple(sorted((*stages, new), key=_stage_place))


def _stage_place(reached: tuple[str, int]) -> tuple[int, int]:
    return reached[1], _STEP_OF_STAGE[reached[0]]


def entry_of(fact: Fact) -> Entry:
    """The fact as a line of the timeline."""
    envelope, body = fact.envelope, fact.body
    words = _WORDS.get(type(body))
    reason: str = words(body) if words else getattr(body, "reason", "")
    if len(reason) > REASON_MAX or not reason.isprintable():
        reason = " ".join("".join(c if c.isprintable() else " " for c in reason[: 2 * REASON_MAX]).split())[:REASON_MAX]
    return Entry(
        envelope.occurred_at,
        fact.topic,
        envelope.seq,
        envelope.event_id,
        type(body).__name__,
        envelope.actor.id,
        envelope.tenant,
        getattr(body, "code", ""),
        reason,
        envelope.control_seq,
    )


def _place(entry: Entry) -> tuple[int, int, int, int]:
    return entry.at, STEPS.get(entry.event, _LATER), _RANKS.get(entry.topic, _LATER), entry.seq


# -- what an event without a reason of its own says


def _allowed(body: IntentAllowed) -> str:
    warnings = [result.reason for result in body.results if result.verdict is not Verdict.ALLOW]
    asked = f"{body.approvals_needed} of {', '.join(body.approver_roles)} must agree" if body.human_required else ""
    return "; ".join([str(body.verdict.value), *warnings, *([asked] if asked else [])])


def _reserved(body: BudgetReserved) -> str:
    over = f"; above the soft cap of {', '.join(body.warnings)}" if body.warnings else ""
    return f"{body.amount_micros} micros set aside in {len(body.scopes)} scopes{over}"


def _settled(body: BudgetSettled) -> str:
    over = ", more than was set aside" if body.overrun else ""
    return f"{body.actual_micros} of {body.reserved_micros} micros spent{over}"


def _resolved(body: ExecutionResolved) -> str:
    return f"{'applied' if body.applied else 'not applied'}, says {body.by}: {body.evidence}"


def _late(body: LateAnswerRecorded) -> str:
    against = ", against the ledger" if body.contradicts else ""
    return f"attempt {body.attempt} {body.answer.status.value}{against}: {body.answer.reason or body.answer.summary}"


_WORDS: Final[Mapping[type, Callable[[Any], str]]] = {
    IntentAccepted: lambda b: f"{b.tool} for {b.account}" if b.account else b.tool,
    IntentAllowed: _allowed,
    ApprovalRequested: lambda b: f"{b.needed} of {', '.join(b.roles)} must agree",
    ApprovalVoted: lambda b: f"{b.vote.value}: {b.reason}",
    ApprovalGranted: lambda b: f"approved by {', '.join(b.approvers)}",
    BudgetReserved: _reserved,
    BudgetSettled: _settled,
    BudgetCorrected: lambda b: f"{b.from_micros} corrected to {b.to_micros} micros: {b.reason}",
    ExecutionDispatched: lambda b: f"attempt {b.attempt} at {b.server}",
    ExecutionSucceeded: lambda b: b.summary,
    ExecutionResolved: _resolved,
    LateAnswerRecorded: _late,
    OutcomeRecorded: lambda b: f"{b.status.value}: {b.reason}" if b.reason else b.status.value,
    CommandRejected: lambda b: f"{b.command}: {b.reason}",
    KeyParked: lambda b: f"{b.service}: {b.error}",
}
