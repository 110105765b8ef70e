"""What shall be in force? Takes an operator's change, or refuses it, and says so on the control ledger.

Control decides about each thing by itself (a switch, a tool, a budget) and without a view of what is in force: it makes
that view, so it must work when everybody else has to wait for one. What a thing refers to need not exist yet: whoever
uses it looks then, and refuses.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from libs.contracts.events import (
    AcceptTool,
    BreakerChanged,
    BreakerState,
    BudgetDefined,
    BudgetRemoved,
    CommandRejected,
    DefineBudget,
    FlagSet,
    FlipSwitch,
    PolicyPublished,
    Principal,
    PublishPolicy,
    QuarantineTool,
    RateLimitSet,
    RegisterServer,
    RegisterTool,
    RemoveBudget,
    RemoveServer,
    RemoveTool,
    ReportBreaker,
    ServerRegistered,
    ServerRemoved,
    SetFlag,
    SetRateLimit,
    SwitchFlipped,
    ToolAccepted,
    ToolQuarantined,
    ToolRegistered,
    ToolRemoved,
)
from libs.governance.commands import Unreadable, actor_of
from libs.governance.tokens import PLATFORM
from libs.ledger.service import Command, Dead, Decision, Event, Fact, Input, World
from services.control.reading import Change, Refused, tenant_of

SEEN_MAX = 16  # commands about one thing that are recognised when they come again


class Pin(msgspec.Struct, frozen=True, omit_defaults=True):
    """A registered tool. `quarantined` "" = in use; `observed_hash`: of the definition that its server offered."""

    definition_hash: bytes
    quarantined: str = ""
    observed_hash: bytes | None = None


class ControlState(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of one thing. `holds`: it is set, registered or stopped; `by_others`: it was stopped by somebody
    who is not of the tenant that it stops; `seen`: the last commands about it."""

    holds: bool = False
    by_others: bool = False
    tool: Pin | None = None
    breaker: BreakerState = BreakerState.CLOSED
    until_at: int | None = None
    seen: tuple[bytes, ...] = ()


INITIAL = ControlState()
_CHANGES: Mapping[type, type] = {
    AcceptTool: ToolAccepted,
    DefineBudget: BudgetDefined,
    FlipSwitch: SwitchFlipped,
    PublishPolicy: PolicyPublished,
    QuarantineTool: ToolQuarantined,
    RegisterServer: ServerRegistered,
    RegisterTool: ToolRegistered,
    RemoveBudget: BudgetRemoved,
    RemoveServer: ServerRemoved,
    RemoveTool: ToolRemoved,
    ReportBreaker: BreakerChanged,
    SetFlag: FlagSet,
    SetRateLimit: RateLimitSet,
}
_NOTHING_THERE: Mapping[type, tuple[str, str]] = {
    FlipSwitch: ("NOT_STOPPED", "the switch was not closed"),
    RemoveBudget: ("UNKNOWN_BUDGET", "there is no such budget"),
    RemoveServer: ("UNKNOWN_SERVER", "the server is not registered"),
    RemoveTool: ("UNKNOWN_TOOL", "the tool is not registered"),
    SetFlag: ("UNKNOWN_FLAG", "the flag is not set at this level"),
    SetRateLimit: ("UNKNOWN_RATE_LIMIT", "there is no such limit"),
}


# -- decisions


def decide(item: Input, state: ControlState, world: World) -> list[Decision]:
    """Each command gives one event, a refusal too; a repeat gives nothing."""
    if not isinstance(item, Command) or item.id in state.seen:
        return []
    match item.body:
        case Unreadable() as body:
            return [_unreadable(item.id, body), Dead(body.code, body.reason)]
        case Refused() as body:
            return [_rejected(item.id, body.name, body.principal, (body.code, body.reason))]
        case change:
            return [_answer(change, state)]


def _answer(change: Change, state: ControlState) -> Event:
    objection = _objection(change, state)
    if objection is not None:
        return _rejected(change.command_id, type(change).__name__, change.principal, objection)
    kind: Any = _CHANGES[type(change)]
    given = {name: getattr(change, name) for name in kind.__struct_fields__ if name != "by"}
    return _event(kind(by=change.principal.subject, **given), change.principal)


def _objection(change: Change, state: ControlState) -> tuple[str, str] | None:
    """Code and reason of what stands against a change; None = nothing does."""
    match change:
        case RegisterTool():
            return _against_registering(change, state.tool)
        case AcceptTool():
            return _against_accepting(change, state.tool)
        case QuarantineTool():
            return _against_quarantine(change, state.tool)
        case FlipSwitch(stopped=False) if state.by_others and PLATFORM not in change.principal.roles:
            return "PLATFORM_ROLE_MISSING", f"who stopped it is not of this tenant: that takes the role {PLATFORM}"
        case ReportBreaker() if not _is_news(change, state):
            return "UNCHANGED", f"the breaker is {state.breaker} already"
        case _ if _undoes_nothing(change, state):
            return _NOTHING_THERE[type(change)]
        case _:
            return None


def _undoes_nothing(change: Change, state: ControlState) -> bool:
    """Is it meant to undo what was never done? A mistyped name would otherwise look like a success."""
    match change:
        case RemoveTool():
            return state.tool is None
        case RemoveServer() | RemoveBudget() | FlipSwitch(stopped=False) | SetFlag(value=None):
            return not state.holds
        case SetRateLimit(permits=None):
            return not state.holds
        case _:
            return False


def _against_registering(change: RegisterTool, tool: Pin | None) -> tuple[str, str] | None:
    """A new entry may replace an old one, its definition too. But a quarantine ends only if somebody says so: by
    accepting, by removing, or by registering the very definition that was observed."""
    if tool is None or not tool.quarantined or change.entry.definition_hash == tool.observed_hash:
        return None
    return "TOOL_QUARANTINED", f"the tool waits for acceptance: {tool.quarantined}"


def _against_accepting(change: AcceptTool, tool: Pin | None) -> tuple[str, str] | None:
    """Accepted is what was registered, or what was observed; not a definition that nobody here has seen."""
    if tool is None:
        return _NOTHING_THERE[RemoveTool]
    if not tool.quarantined:
        return "NOT_QUARANTINED", "the tool is in use"
    if change.definition_hash not in (tool.definition_hash, tool.observed_hash):
        return "DEFINITION_UNKNOWN", "neither the registered definition nor the one observed has this hash"
    return None


def _against_quarantine(change: QuarantineTool, tool: Pin | None) -> tuple[str, str] | None:
    if tool is None:
        return _NOTHING_THERE[RemoveTool]
    if tool.quarantined == change.code and tool.observed_hash == change.observed_hash:
        return "UNCHANGED", "the tool is in quarantine for this already"
    if not tool.quarantined and change.observed_hash == tool.definition_hash:
        return "UNCHANGED", "what was observed is what is registered"
    return None


def _is_news(change: ReportBreaker, state: ControlState) -> bool:
    """Every worker reports; only another state, or a later end, says something new."""
    if change.state is not state.breaker:
        return True
    return change.state is BreakerState.OPEN and (change.until_at or 0) > (state.until_at or 0)


def _rejected(command_id: bytes, name: str, who: Principal, objection: tuple[str, str]) -> Event:
    return _event(CommandRejected(command_id, name, *objection), who)


def _event(body: Any, who: Principal) -> Event:
    return Event(body, actor=actor_of(who), tenant=who.tenant, account="", trace_parent="")


def _unreadable(key: bytes, body: Unreadable) -> Event:
    """Nobody knows who sent it or what for; the original bytes are in the dead letter."""
    return Event(CommandRejected(key, "", body.code, body.reason), tenant="", account="", trace_parent="")


# -- state


def evolve(state: ControlState, fact: Fact) -> ControlState:
    """Own events only; each remembers the command that it answers."""
    body = fact.body
    changed: dict[str, Any] = {}
    match body:
        case SwitchFlipped():
            changed["holds"] = body.stopped
            changed["by_others"] = body.stopped and (state.by_others or tenant_of(body) != fact.envelope.tenant)
        case FlagSet():
            changed["holds"] = body.value is not None
        case RateLimitSet():
            changed["holds"] = body.permits is not None
        case BudgetDefined() | ServerRegistered() | PolicyPublished():
            changed["holds"] = True
        case BudgetRemoved() | ServerRemoved():
            changed["holds"] = False
        case BreakerChanged():
            changed.update(breaker=body.state, until_at=body.until_at)
        case ToolRegistered() | ToolRemoved() | ToolAccepted() | ToolQuarantined():
            changed["tool"] = _pin(state.tool, body)
        case CommandRejected():
            pass
        case _:
            return state
    return msgspec.structs.replace(state, seen=_remember(state.seen, body.command_id), **changed)


def _pin(tool: Pin | None, body: ToolRegistered | ToolRemoved | ToolAccepted | ToolQuarantined) -> Pin | None:
    match body:
        case ToolRegistered():
            return Pin(body.entry.definition_hash)
        case ToolAccepted() if tool is not None:
            return Pin(body.definition_hash)
        case ToolQuarantined() if tool is not None:
            return msgspec.structs.replace(tool, quarantined=body.code, observed_hash=body.observed_hash)
        case _:
            return None


def _remember(seen: tuple[bytes, ...], command_id: bytes) -> tuple[bytes, ...]:
    return seen if command_id in seen else (*seen[1 - SEEN_MAX :], command_id)
