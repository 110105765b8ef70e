"""The simulated execution service: dispatch, effect classes, doubt, retries, cancel and expiry."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from libs.contracts import events as e
from libs.ledger.service import (
    Command,
    Decision,
    Due,
    Effect,
    Event,
    Fact,
    Prepared,
    Record,
    Recover,
    Result,
    Service,
    Stopped,
    Waiting,
    WaitKind,
    World,
)
from libs.testkit.simulation import wire
from libs.testkit.simulation.deciders import RETRY_MS, owner, poison

ZERO16 = bytes(16)
DONE = ("SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED", "RESOLVED")


class Deed(msgspec.Struct, frozen=True):
    """execution's state of a key. `phase`: "" | DISPATCHED | RETRY | DOUBT | one of DONE."""

    key: bytes = b""
    effect_class: str = ""
    expires_at: int = 0
    reserved: bool = False
    denied: bool = False
    phase: str = ""
    attempt: int = 0
    retry_at: int = 0
    cancelled: bool = False
    late: int = 0
    commands: tuple[bytes, ...] = ()
    folded: int = 0


def _prepare(record: Record, world: World) -> Prepared:
    body = wire.read_message(record.value)
    return Prepared(Command(body.intent_id, body, record, body.command_id))


def decide(item: Any, state: Deed, world: World) -> Sequence[Decision]:
    """What happens because of this input."""
    match item:
        case Command():
            return _on_command(item, state)
        case Recover():
            return _recover(item, state, world)
        case Result():
            return _on_result(item, state, world)
        case Stopped() if state.phase == "DISPATCHED" and state.attempt == item.attempt:
            if item.code == "EXPIRED":
                return [Event(e.ExecutionExpired(item.attempt, item.reason, True))]
            return [Event(e.ExecutionCancelled(item.attempt, item.code, item.reason, "gate", True))]
        case Fact() | Due():
            poison(world).check("execution", state.key)
            return _go_on(item, state, world)
        case _:
            return []


def _go_on(item: Fact | Due, state: Deed, world: World) -> Sequence[Decision]:
    if not state.effect_class or not state.reserved or state.phase not in ("", "RETRY"):
        return []
    attempt = state.attempt if state.phase == "RETRY" else 1
    if state.cancelled:
        return [Event(e.ExecutionCancelled(attempt, "CANCELLED", "", "user", True))]
    if world.now_at >= state.expires_at:
        return [Event(e.ExecutionExpired(attempt, "", True))]
    if state.effect_class in world.control.stopped:
        return [Event(e.ExecutionCancelled(attempt, "KILLED", "", "switch", True))] if attempt == 1 else []
    if state.phase == "RETRY" and world.now_at < state.retry_at:
        return []
    if not world.dispatch_free(state.effect_class):
        return []
    return [Event(e.ExecutionDispatched(
        attempt=attempt, tool=state.effect_class, tool_hash=b"", server="sim", action_digest=b"",
        effect_class=e.EffectClass(state.effect_class), timeout_ms=300, reservation_id=ZERO16, policy_hash=b"",
    ))]  # fmt: skip


def _recover(item: Recover, state: Deed, world: World) -> Sequence[Decision]:
    if state.phase != "DISPATCHED" or state.attempt != item.attempt or not item.started:
        return []
    return _doubt(state, world, "OWNER_LOST", item.quiet_until_at)


def _doubt(state: Deed, world: World, code: str, quiet_until_at: int = 0) -> Sequence[Decision]:
    if state.effect_class == "READ_ONLY":
        return [Event(e.ExecutionRetryScheduled(state.attempt + 1, world.now_at + RETRY_MS * 1000, code, ""))]
    return [Event(e.ExecutionInDoubt(state.attempt, code, "", quiet_until_at, "operator"))]


def _on_result(item: Result, state: Deed, world: World) -> Sequence[Decision]:
    answer = item.answer
    if state.attempt != item.attempt or state.phase != "DISPATCHED":
        if state.phase == "DOUBT" and state.attempt == item.attempt and not state.late:
            return [Event(e.LateAnswerRecorded(item.attempt, answer, False))]
        return []
    match answer.status:
        case e.AnswerStatus.SUCCEEDED:
            return [Event(e.ExecutionSucceeded(item.attempt, 0, (), 0, "", answer.started_at, 0))]
        case e.AnswerStatus.FAILED:
            return [Event(e.ExecutionFailed(item.attempt, answer.code, answer.category, "", 0))]
        case e.AnswerStatus.NOT_SENT:
            return [Event(e.ExecutionRetryScheduled(item.attempt + 1, world.now_at + RETRY_MS * 1000, "NOT_SENT", ""))]
        case _:
            return _doubt(state, world, "AMBIGUOUS")


def _on_command(item: Command, state: Deed) -> Sequence[Decision]:
    if item.id in state.commands:
        return []
    match item.body:
        case e.Cancel() if state.phase in ("", "RETRY", "DISPATCHED") and not state.cancelled:
            events: list[Decision] = [Event(e.CancelRequested(item.id, "user", ""))]
            if state.reserved and state.phase == "":
                events.append(Event(e.ExecutionCancelled(1, "CANCELLED", "", "user", True)))
            return events
        case e.Resolve() if state.phase == "DOUBT":
            return [Event(e.ExecutionResolved(state.attempt, item.body.applied, 0, "human", "", item.id))]
        case e.LateResult() if state.phase == "DOUBT" and item.body.attempt == state.attempt and not state.late:
            return [Event(e.LateAnswerRecorded(state.attempt, item.body.answer, False))]
        case _:
            return [Event(e.CommandRejected(item.id, type(item.body).__name__, "TOO_LATE", ""))]


def evolve(state: Deed, fact: Fact) -> Deed:
    """Own events in their order; inputs write once."""
    replace = msgspec.structs.replace
    body = fact.body
    state = replace(state, folded=state.folded + 1, key=fact.envelope.intent_id)
    changes = _CHANGES.get(type(body))
    if isinstance(body, e.CommandRejected) and fact.topic != "ledger.execution":
        return state  # what others refused is not what we have answered
    return replace(state, **changes(state, body)) if changes else state


def _commanded(state: Deed, body: Any) -> dict[str, Any]:
    return {"commands": (*state.commands, body.command_id or b"")}


_CHANGES: dict[Any, Callable[[Deed, Any], dict[str, Any]]] = {
    e.IntentAccepted: lambda _, b: {"effect_class": b.tool, "expires_at": b.expires_at},
    e.BudgetReserved: lambda _, b: {"reserved": True},
    e.BudgetDenied: lambda _, b: {"denied": True},
    e.ExecutionDispatched: lambda _, b: {"phase": "DISPATCHED", "attempt": b.attempt},
    e.ExecutionRetryScheduled: lambda _, b: {"phase": "RETRY", "attempt": b.attempt, "retry_at": b.retry_at},
    e.ExecutionSucceeded: lambda _, b: {"phase": "SUCCEEDED"},
    e.ExecutionFailed: lambda _, b: {"phase": "FAILED"},
    e.ExecutionCancelled: lambda _, b: {"phase": "CANCELLED"},
    e.ExecutionExpired: lambda _, b: {"phase": "EXPIRED"},
    e.ExecutionInDoubt: lambda _, b: {"phase": "DOUBT"},
    e.ExecutionResolved: lambda s, b: {"phase": "RESOLVED"} | _commanded(s, b),
    e.LateAnswerRecorded: lambda s, b: {"late": s.late + 1},
    e.CancelRequested: lambda s, b: {"cancelled": True} | _commanded(s, b),
    e.CommandRejected: _commanded,
}


def waits(state: Deed) -> Waiting | None:
    """What the key waits for, and until when."""
    if state.phase == "DISPATCHED":
        return Waiting(WaitKind.DISPATCHED, state.attempt)
    if state.phase == "RETRY":
        if state.cancelled:
            return Waiting(WaitKind.READY, state.attempt, state.retry_at)
        return Waiting(WaitKind.READY, state.attempt, max(state.retry_at, 1))
    if state.phase == "" and state.reserved:
        return Waiting(WaitKind.READY, 1, state.expires_at)
    if state.phase == "DOUBT":
        return Waiting(WaitKind.TIMER, state.attempt, None, "in doubt", "operator")
    return None


def react(state: Deed) -> Effect | None:
    """The call that the state asks for."""
    if state.phase != "DISPATCHED":
        return None
    return Effect(
        key=state.key, attempt=state.attempt, tool=state.effect_class, server="sim", arguments="",
        effect_class=state.effect_class, timeout_ms=300, expires_at=state.expires_at, tenant="acme", account="",
        capability="", stop_code="CANCELLED" if state.cancelled else "",
    )  # fmt: skip


EXECUTION = Service(
    "execution", "ledger.execution", ("ledger.intake", "ledger.budget"), ("commands",), Deed(), Deed, decide, evolve,
    waits=waits, react=react, prepare=_prepare, owner=owner,
)  # fmt: skip
