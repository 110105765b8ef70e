"""Can we afford it? Reserves before the deed in every scope that binds it, settles or releases after it.

    (none) --allowed, and approved if people must--> reserved --deed done--> settled --late answer--> corrected
                                     +--> denied                +--not done--> released

A reservation never ends by itself: only execution knows what became of the deed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from libs.contracts.events import (
    AnswerStatus,
    ApprovalCancelled,
    ApprovalDenied,
    ApprovalExpired,
    ApprovalGranted,
    BudgetCorrected,
    BudgetDenied,
    BudgetReleased,
    BudgetReserved,
    BudgetSettled,
    CostClass,
    ExecutionCancelled,
    ExecutionExpired,
    ExecutionFailed,
    ExecutionRefused,
    ExecutionResolved,
    ExecutionSucceeded,
    IntentAllowed,
    LateAnswerRecorded,
    ScopeLine,
)
from libs.ledger.service import Decision, Event, Fact, Input, World
from services.budget.reserving import Book, reserve


class Wanted(msgspec.Struct, frozen=True):
    """What validation allowed: how much at most, and what the scopes need to know."""

    tenant: str
    account: str
    tool: str
    cost_class: CostClass
    amount_micros: int
    human_required: bool


class Ending(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of the deed. A cost of None is the amount that was set aside."""

    done: bool
    cost_micros: int | None = None
    reason: str = ""


class BudgetState(msgspec.Struct, frozen=True, omit_defaults=True):
    """One intent's money. `reserved_micros` None = nothing was reserved; `posted_micros` None = not settled. After
    the end the scopes are kept: a late answer may still correct what was spent."""

    wanted: Wanted | None = None
    granted: bool = False
    closed: bool = False
    reserved_micros: int | None = None
    scopes: tuple[str, ...] = ()
    ending: Ending | None = None
    posted_micros: int | None = None


INITIAL = BudgetState()


# -- decisions


def decide(item: Input, state: BudgetState, world: World) -> list[Decision]:
    """Only facts move money; whatever just came, the state says what is due."""
    if not isinstance(item, Fact) or state.closed:
        return []
    if state.reserved_micros is None:
        return _reserve(state.wanted, state.granted, world)
    book = Book(world.control, world.scopes)
    if state.posted_micros is None:
        return _settle(state.ending, state.reserved_micros, state.scopes, book) if state.ending else []
    match item.body:
        case LateAnswerRecorded(contradicts=True) as late:
            return _correct(late, state.reserved_micros, state, book)
        case _:
            return []


def _reserve(wanted: Wanted | None, granted: bool, world: World) -> list[Decision]:
    if wanted is None or (wanted.human_required and not granted):
        return []
    tool = world.control.tools.get(wanted.tool)
    capability = tool.entry.capability if tool else ""
    switch = world.control.stopped_by(wanted.tenant, wanted.account, wanted.tool, capability)
    if switch:
        reason = f"stopped by {switch.by}: {switch.reason}"
        return [Event(BudgetDenied(wanted.amount_micros, "", switch.code, reason, 0))]
    caps = world.control.caps_for(wanted.tenant, wanted.account, wanted.tool, wanted.cost_class)
    return [Event(reserve(caps, wanted.amount_micros, Book(world.control, world.scopes), world.now_at))]


def _settle(ending: Ending, reserved: int, scopes: tuple[str, ...], book: Book) -> list[Decision]:
    if not ending.done:
        return [Event(BudgetReleased(reserved, ending.reason, book.release(scopes, reserved)))]
    cost = reserved if ending.cost_micros is None else ending.cost_micros
    lines = book.settle(scopes, reserved, cost)
    return [Event(BudgetSettled(reserved, cost, cost > reserved, lines))]


def _correct(late: LateAnswerRecorded, reserved: int, state: BudgetState, book: Book) -> list[Decision]:
    before, cost = state.posted_micros or 0, late.answer.cost_micros
    done = late.answer.status is AnswerStatus.SUCCEEDED
    after = (reserved if cost is None else cost) if done else 0
    if before == after:
        return []
    reason = "a late answer contradicts what was settled"
    return [Event(BudgetCorrected(before, after, reason, book.correct(state.scopes, before, after)))]


_MOVING = (BudgetReserved, BudgetSettled, BudgetReleased, BudgetCorrected)


def lines(fact: Fact) -> Sequence[ScopeLine]:
    """The stripes that an own event changed. Those of a denial are evidence: it saw them and left them as they were."""
    return fact.body.lines if isinstance(fact.body, _MOVING) else ()


# -- state


def evolve(state: BudgetState, fact: Fact) -> BudgetState:
    """Facts of other topics are written once and folded in any order."""
    change = _CHANGES.get(type(fact.body))
    return state if change is None or state.closed else change(state, fact, fact.body)


def owner(state: BudgetState) -> tuple[str, str, str]:
    """Tenant and account while they are known; events about money are caused by facts, which bring their own."""
    return (state.wanted.tenant, state.wanted.account, "") if state.wanted else ("", "", "")


def _allowed(state: BudgetState, fact: Fact, body: IntentAllowed) -> BudgetState:
    if state.reserved_micros is not None:
        return state
    envelope = fact.envelope
    wanted = Wanted(
        tenant=envelope.tenant,
        account=envelope.account,
        tool=body.tool,
        cost_class=body.cost_class,
        amount_micros=body.price_micros,
        human_required=body.human_required,
    )
    return msgspec.structs.replace(state, wanted=wanted)


def _granted(state: BudgetState, fact: Fact, body: ApprovalGranted) -> BudgetState:
    return state if state.reserved_micros is not None else msgspec.structs.replace(state, granted=True)


def _closed(state: BudgetState, fact: Fact, body: Any) -> BudgetState:
    return BudgetState(closed=True)


def _reserved(state: BudgetState, fact: Fact, body: BudgetReserved) -> BudgetState:
    return msgspec.structs.replace(
        state, wanted=None, granted=False, reserved_micros=body.amount_micros, scopes=body.scopes
    )


def _succeeded(state: BudgetState, fact: Fact, body: ExecutionSucceeded) -> BudgetState:
    return _with_ending(state, Ending(True, body.cost_micros))


def _resolved(state: BudgetState, fact: Fact, body: ExecutionResolved) -> BudgetState:
    return _with_ending(state, Ending(body.applied, body.cost_micros, "it was found not to be applied"))


def _not_done(reason: str) -> Callable[[BudgetState, Fact, Any], BudgetState]:
    return lambda state, fact, body: _with_ending(state, Ending(False, None, reason))


def _with_ending(state: BudgetState, ending: Ending) -> BudgetState:
    return state if state.posted_micros is not None else msgspec.structs.replace(state, ending=ending)


def _settled(state: BudgetState, fact: Fact, body: BudgetSettled) -> BudgetState:
    return msgspec.structs.replace(state, ending=None, posted_micros=body.actual_micros)


def _released(state: BudgetState, fact: Fact, body: BudgetReleased) -> BudgetState:
    return msgspec.structs.replace(state, ending=None, posted_micros=0)


def _corrected(state: BudgetState, fact: Fact, body: BudgetCorrected) -> BudgetState:
    return msgspec.structs.replace(state, posted_micros=body.to_micros)


_CHANGES: Mapping[type, Callable[[BudgetState, Fact, Any], BudgetState]] = {
    IntentAllowed: _allowed,
    ApprovalGranted: _granted,
    ApprovalDenied: _closed,
    ApprovalExpired: _closed,
    ApprovalCancelled: _closed,
    BudgetReserved: _reserved,
    BudgetDenied: _closed,
    BudgetSettled: _settled,
    BudgetReleased: _released,
    BudgetCorrected: _corrected,
    ExecutionSucceeded: _succeeded,
    ExecutionResolved: _resolved,
    ExecutionFailed: _not_done("the tool failed"),
    ExecutionCancelled: _not_done("it was cancelled"),
    ExecutionExpired: _not_done("it expired"),
    ExecutionRefused: _not_done("it was refused at dispatch"),
}
HEEDS = frozenset({*_CHANGES, LateAnswerRecorded})
