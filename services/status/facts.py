"""How each fact changes the view of its intent. Every change is of a kind that does not mind the order: written once,
a maximum, or a sequence within one topic.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from libs.contracts.events import (
    ApprovalGranted,
    ApprovalRequested,
    ApprovalVoted,
    BudgetReleased,
    BudgetReserved,
    BudgetSettled,
    CancelRequested,
    CommandRejected,
    ExecutionDispatched,
    ExecutionFailed,
    ExecutionInDoubt,
    ExecutionRetryScheduled,
    IntentAccepted,
    IntentAllowed,
    KeyParked,
    KeyUnparked,
    OutcomeAmended,
    OutcomeRecorded,
    SubmissionRejected,
    Vote,
)
from libs.ledger.service import Fact, Input, World
from services.status.view import (
    EARLY_MAX,
    RESERVED,
    ApprovalView,
    Entry,
    IntentView,
    Standing,
    State,
    add_entry,
    entry_of,
)

# The stage that an event reaches; the first time counts.
STAGES: Final[Mapping[str, str]] = {
    "IntentAccepted": "accepted",
    "IntentAllowed": "validated",
    "IntentBlocked": "validated",
    "ApprovalRequested": "approval requested",
    "ApprovalGranted": "approved",
    "BudgetReserved": "reserved",
    "ExecutionDispatched": "dispatched",
    "ExecutionSucceeded": "answered",
    "ExecutionFailed": "answered",
    "ExecutionInDoubt": "in doubt",
    "ExecutionResolved": "resolved",
    "OutcomeRecorded": "ended",
}


def decide(item: Input, state: IntentView, world: World) -> list[Any]:
    """Status writes nothing."""
    return []


def evolve(view: IntentView, fact: Fact) -> IntentView:
    """The view after one more fact. What is about no intent, or somebody else's, leaves no trace."""
    if _is_about_no_intent(fact):
        return view
    entry, known = entry_of(fact), bool(view.tenant)
    if not known and isinstance(fact.body, CancelRequested | CommandRejected):
        # It may be a stranger's: it waits until the intent's tenant is known.
        early = tuple(sorted((*view.early, entry))[:EARLY_MAX])
        return msgspec.structs.replace(view, early=early)
    if known and entry.tenant not in ("", view.tenant):
        return view
    fields = add_entry(view, entry)
    stage = STAGES.get(entry.event)
    if stage:
        fields["stages"] = _reached(view.stages, stage, entry.at)
    change = _CHANGES.get(type(fact.body))
    if change:
        fields |= change(view, fact, fact.body)
    standing = _standing(fact.body)
    if standing and standing.rank > view.standing.rank:
        fields["standing"] = standing
    view = msgspec.structs.replace(view, **fields)
    return _with_early(view) if view.early and view.tenant else view


def _is_about_no_intent(fact: Fact) -> bool:
    body = fact.body
    if isinstance(body, SubmissionRejected):
        return True
    return isinstance(body, CommandRejected) and body.command_id == fact.envelope.intent_id


def _with_early(view: IntentView) -> IntentView:
    mine: list[Entry] = [entry for entry in view.early if entry.tenant == view.tenant]
    view = msgspec.structs.replace(view, early=())
    for entry in mine:
        view = msgspec.structs.replace(view, **add_entry(view, entry))
    return view


def _reached(stages: tuple[tuple[str, int], ...], stage: str, at: int) -> tuple[tuple[str, int], ...]:
    times = dict(stages)
    times[stage] = min(at, times.get(stage, at))
    return tuple(sorted(times.items(), key=lambda item: (item[1], item[0])))


def _standing(body: Any) -> Standing | None:
    make = _STANDINGS.get(type(body))
    return make(body) if make else None


def _accepted(view: IntentView, fact: Fact, body: IntentAccepted) -> dict[str, Any]:
    envelope = fact.envelope
    return {
        "tenant": envelope.tenant,
        "account": envelope.account,
        "tool": body.tool,
        "requester": body.principal.subject,
        "accepted_at": envelope.occurred_at,
        "expires_at": body.expires_at,
    }


def _requested(view: IntentView, fact: Fact, body: ApprovalRequested) -> dict[str, Any]:
    return {"approval": ApprovalView(body.action_digest, body.needed, body.roles, body.expires_at, body.display)}


def _voted(view: IntentView, fact: Fact, body: ApprovalVoted) -> dict[str, Any]:
    return {"approvers": (*view.approvers, body.voter)} if body.vote is Vote.APPROVE else {}


def _reserved(view: IntentView, fact: Fact, body: BudgetReserved) -> dict[str, Any]:
    return {"reserved_micros": body.amount_micros}


def _not_held(view: IntentView, fact: Fact, body: BudgetSettled | BudgetReleased) -> dict[str, Any]:
    return {"reserved_micros": 0}


def _dispatched(view: IntentView, fact: Fact, body: ExecutionDispatched) -> dict[str, Any]:
    return {"attempts": body.attempt, "retry_at": 0}


def _retry(view: IntentView, fact: Fact, body: ExecutionRetryScheduled) -> dict[str, Any]:
    return {"retry_at": body.retry_at}


def _in_doubt(view: IntentView, fact: Fact, body: ExecutionInDoubt) -> dict[str, Any]:
    return {"quiet_until_at": body.quiet_until_at, "owner_role": body.owner_role}


def _failed(view: IntentView, fact: Fact, body: ExecutionFailed) -> dict[str, Any]:
    return {"category": body.category}


def _recorded(view: IntentView, fact: Fact, body: OutcomeRecorded) -> dict[str, Any]:
    return {"cost_micros": body.cost_micros, "object_refs": body.object_refs, "ended_at": fact.envelope.occurred_at}


def _amended(view: IntentView, fact: Fact, body: OutcomeAmended) -> dict[str, Any]:
    standing = Standing((91, fact.envelope.seq, 0), State(body.status.value), "AMENDED", body.reason)
    return {"cost_micros": body.cost_micros, "object_refs": body.object_refs, "standing": standing}


def _parked(view: IntentView, fact: Fact, body: KeyParked) -> dict[str, Any]:
    return {"parked": tuple(sorted({*view.parked, body.service}))}


def _unparked(view: IntentView, fact: Fact, body: KeyUnparked) -> dict[str, Any]:
    return {"parked": tuple(name for name in view.parked if name != body.service)}


_CHANGES: Mapping[type, Callable[[IntentView, Fact, Any], dict[str, Any]]] = {
    IntentAccepted: _accepted,
    ApprovalRequested: _requested,
    ApprovalVoted: _voted,
    BudgetReserved: _reserved,
    BudgetSettled: _not_held,
    BudgetReleased: _not_held,
    ExecutionDispatched: _dispatched,
    ExecutionRetryScheduled: _retry,
    ExecutionInDoubt: _in_doubt,
    ExecutionFailed: _failed,
    OutcomeRecorded: _recorded,
    OutcomeAmended: _amended,
    KeyParked: _parked,
    KeyUnparked: _unparked,
}

# Rank and state of an event: later stages outrank earlier ones, then the attempt counts. Amendments see `_amended`.
_STANDINGS: Mapping[type, Callable[[Any], Standing]] = {
    IntentAccepted: lambda b: Standing((10, 0, 0), State.PENDING),
    IntentAllowed: lambda b: Standing((20, 0, 0), State.AWAITING_APPROVAL if b.human_required else State.READY),
    ApprovalGranted: lambda b: Standing((30, 0, 0), State.READY),
    BudgetReserved: lambda b: Standing((RESERVED, 0, 0), State.READY),
    ExecutionRetryScheduled: lambda b: Standing((50, b.attempt, 0), State.RUNNING, b.code, b.reason),
    ExecutionDispatched: lambda b: Standing((50, b.attempt, 1), State.RUNNING),
    ExecutionInDoubt: lambda b: Standing((60, b.attempt, 0), State.IN_DOUBT, b.code, b.reason),
    OutcomeRecorded: lambda b: Standing((90, 0, 0), State(b.status.value), b.code, b.reason),
}
