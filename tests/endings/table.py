"""Every ending of the flow as one table, and what really became of an intent in the same words.

A row is what everybody can read afterwards: the events in an order that no cause contradicts, the money, the outcome,
and the state that status answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from libs.contracts.events import (
    BudgetCorrected,
    BudgetReleased,
    BudgetReserved,
    BudgetSettled,
    OutcomeRecorded,
)
from libs.contracts.proto.deedbook.status.v1 import status_pb2
from libs.ledger.service import Fact
from tests.faults.building import PRICE_MICROS as PRICE
from tests.faults.witness import Witness


class Money(NamedTuple):
    """Microunits; None = that never happened. `held`: what is still set aside in the end."""

    reserved: int | None = None
    settled: int | None = None
    released: int | None = None
    corrected: int | None = None
    held: int = 0


@dataclass(frozen=True)
class Ending:
    """`outcome` and `state` are a name and a code; the state is the outcome's unless that was amended."""

    sequence: str
    money: Money
    outcome: str
    state: str = ""

    @property
    def shown(self) -> str:
        """What status answers."""
        return self.state or self.outcome


NOTHING, SPENT = Money(), Money(PRICE, settled=PRICE)
GIVEN_BACK = Money(PRICE, released=PRICE)
CORRECTED = Money(PRICE, settled=PRICE, corrected=0)
ALLOWED = "IntentAccepted IntentAllowed"
ASKED = f"{ALLOWED} ApprovalRequested"
AGREED = f"{ASKED} ApprovalVoted ApprovalGranted"
READY = f"{ALLOWED} BudgetReserved"
SENT = f"{READY} ExecutionDispatched"
DOUBT = f"{SENT} ExecutionInDoubt"
OVER = "BudgetReleased OutcomeRecorded"
DONE = "ExecutionSucceeded BudgetSettled OutcomeRecorded"

TABLE = {
    "blocked": Ending("IntentAccepted IntentBlocked OutcomeRecorded", NOTHING, "BLOCKED FRESHNESS_STALE"),
    "blocked, switched off": Ending("IntentAccepted IntentBlocked OutcomeRecorded", NOTHING, "BLOCKED SWITCH_ACCOUNT"),
    "consent refused": Ending(f"{ASKED} ApprovalVoted ApprovalDenied OutcomeRecorded", NOTHING, "DENIED DENIED"),
    "consent late": Ending(f"{ASKED} ApprovalExpired OutcomeRecorded", NOTHING, "EXPIRED APPROVAL_EXPIRED"),
    "consent cancelled": Ending(
        f"{ASKED} CancelRequested ApprovalCancelled OutcomeRecorded", NOTHING, "CANCELLED CANCELLED"
    ),
    "no budget": Ending(f"{ALLOWED} BudgetDenied OutcomeRecorded", NOTHING, "DENIED BUDGET_EXCEEDED"),
    "no budget, though agreed": Ending(f"{AGREED} BudgetDenied OutcomeRecorded", NOTHING, "DENIED BUDGET_EXCEEDED"),
    "ready, cancelled": Ending(f"{READY} CancelRequested ExecutionCancelled {OVER}", GIVEN_BACK, "CANCELLED CANCELLED"),
    "ready, killed": Ending(f"{READY} ExecutionCancelled {OVER}", GIVEN_BACK, "CANCELLED KILLED"),
    "ready, expired": Ending(f"{READY} ExecutionExpired {OVER}", GIVEN_BACK, "EXPIRED EXPIRED"),
    "ready, stale": Ending(f"{READY} ExecutionRefused {OVER}", GIVEN_BACK, "REFUSED FRESHNESS_STALE"),
    "ready, tool changed": Ending(f"{READY} ExecutionRefused {OVER}", GIVEN_BACK, "REFUSED TOOL_CHANGED"),
    "ready, price changed": Ending(f"{READY} ExecutionRefused {OVER}", GIVEN_BACK, "REFUSED PRICE_CHANGED"),
    "ready, withdrawn": Ending(
        f"{AGREED} BudgetReserved ApprovalWithdrawn ExecutionCancelled {OVER}",
        GIVEN_BACK,
        "CANCELLED APPROVAL_WITHDRAWN",
    ),
    "gate, cancelled": Ending(f"{SENT} CancelRequested ExecutionCancelled {OVER}", GIVEN_BACK, "CANCELLED CANCELLED"),
    "gate, killed": Ending(f"{SENT} ExecutionCancelled {OVER}", GIVEN_BACK, "CANCELLED KILLED"),
    "gate, expired": Ending(f"{SENT} ExecutionExpired {OVER}", GIVEN_BACK, "EXPIRED EXPIRED"),
    "gate, withdrawn": Ending(
        f"{AGREED} BudgetReserved ExecutionDispatched ApprovalWithdrawn ExecutionCancelled {OVER}",
        GIVEN_BACK,
        "CANCELLED APPROVAL_WITHDRAWN",
    ),
    "gate, tool changed": Ending(f"{SENT} ExecutionRefused {OVER}", GIVEN_BACK, "REFUSED TOOL_CHANGED"),
    "success": Ending(f"{SENT} {DONE}", SPENT, "SUCCEEDED"),
    "success, agreed": Ending(f"{AGREED} BudgetReserved ExecutionDispatched {DONE}", SPENT, "SUCCEEDED"),
    "definite failure": Ending(f"{SENT} ExecutionFailed {OVER}", GIVEN_BACK, "FAILED BAD_ARGUMENTS"),
    "another try": Ending(f"{SENT} ExecutionRetryScheduled ExecutionDispatched {DONE}", SPENT, "SUCCEEDED"),
    "no more tries": Ending(
        f"{SENT} ExecutionRetryScheduled ExecutionDispatched ExecutionFailed {OVER}",
        GIVEN_BACK,
        "FAILED CONNECTION_LOST",
    ),
    "doubt, applied": Ending(f"{DOUBT} ExecutionResolved BudgetSettled OutcomeRecorded", SPENT, "SUCCEEDED"),
    "doubt, not applied": Ending(f"{DOUBT} ExecutionResolved {OVER}", GIVEN_BACK, "FAILED NOT_APPLIED"),
    "resolution contradicted": Ending(
        f"{DOUBT} ExecutionResolved BudgetSettled OutcomeRecorded LateAnswerRecorded BudgetCorrected OutcomeAmended",
        CORRECTED,
        "SUCCEEDED",
        "FAILED AMENDED",
    ),
}


def story(witness: Witness, key: bytes) -> list[Fact]:
    """All events of an intent, topic by topic in their order."""
    return [fact for place in sorted(witness.facts) for fact in witness.facts[place] if fact.envelope.intent_id == key]


def became(facts: Sequence[Fact], shown: status_pb2.Intent, wanted: Ending) -> Ending:
    """What became of an intent, as a row. Topics have no order among themselves: where causes leave a choice, it is
    told as it is wanted."""
    recorded = [fact.body for fact in facts if isinstance(fact.body, OutcomeRecorded)]
    outcome = " | ".join(f"{body.status.value} {body.code}".strip() for body in recorded)
    name = status_pb2.State.Name(shown.state).removeprefix("STATE_")
    state = f"{name} {shown.code}".strip()
    return Ending(
        sequence=" ".join(_in_causal_order(facts, wanted.sequence.split())),
        money=_money(facts, shown.reserved_micros),
        outcome=outcome,
        state="" if state == outcome else state,
    )


def money_shown(shown: status_pb2.Intent) -> Money:
    """The same money in the words of status."""
    money = shown.money
    return Money(
        reserved=money.set_aside_micros or None,
        settled=money.settled_micros if money.HasField("settled_micros") else None,
        released=money.released_micros if money.HasField("released_micros") else None,
        corrected=money.corrected_micros if money.HasField("corrected_micros") else None,
        held=shown.reserved_micros,
    )


def _money(facts: Sequence[Fact], held: int) -> Money:
    found = Money(held=held)
    for body in (fact.body for fact in facts):
        match body:
            case BudgetReserved():
                found = found._replace(reserved=body.amount_micros)
            case BudgetSettled():
                found = found._replace(settled=body.actual_micros)
            case BudgetReleased():
                found = found._replace(released=body.amount_micros)
            case BudgetCorrected():
                found = found._replace(corrected=body.to_micros)
    return found


def _in_causal_order(facts: Sequence[Fact], wanted: Sequence[str]) -> list[str]:
    """Names of the events: those of one topic in their order, none before its cause."""
    left, told = list(facts), list[str]()
    while left:
        unplaced = {fact.envelope.event_id for fact in left}
        heads = {fact.topic: fact for fact in reversed(left)}.values()
        free = [fact for fact in heads if fact.envelope.cause.id not in unplaced]
        assert free, f"causes in a circle: {[type(fact.body).__name__ for fact in left]}"
        next_wanted = wanted[len(told)] if len(told) < len(wanted) else ""
        chosen = next((fact for fact in free if type(fact.body).__name__ == next_wanted), free[0])
        told.append(type(chosen.body).__name__)
        left.remove(chosen)
    return told
