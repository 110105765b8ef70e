"""Which switches, policies, budgets and tools are in force? Turns commands of operators into the control ledger.

Each switch, tool, server, budget, policy, limit, flag and breaker is a key of its own. What one refers to need not
exist yet: whoever uses it looks then, and refuses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from libs.contracts.errors import CodecError
from libs.contracts.events import (
    AcceptTool,
    ActorKind,
    BreakerChanged,
    BudgetDefined,
    BudgetRemoved,
    CommandRejected,
    DefineBudget,
    FlagSet,
    FlipSwitch,
    PolicyPublished,
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
from libs.governance.commands import Unreadable, actor_of, remember
from libs.governance.identity import entity_id, submission_id
from libs.ledger.codec import decode_message
from libs.ledger.service import Command, Dead, Decision, Event, Fact, Input, Prepared, Record, World
from services.control.checks import check

TOPIC = "control.commands"
ROLES = ("operator", "admin")


class Row(msgspec.Struct, frozen=True):
    """What a command becomes: its event, the key it concerns, and whether Deedbook's own services may give it."""

    event: type[Any]
    key: Callable[[Any], tuple[str, ...]]
    needs_present: bool = False
    by_services: bool = False


def _budget_key(body: Any) -> tuple[str, ...]:
    return "budget", body.kind, body.id, body.cost_class or "", body.period


ROWS: Final[Mapping[type, Row]] = {
    FlipSwitch: Row(SwitchFlipped, lambda b: ("switch", b.kind, b.id)),
    RegisterTool: Row(ToolRegistered, lambda b: ("tool", b.tool)),
    RemoveTool: Row(ToolRemoved, lambda b: ("tool", b.tool), needs_present=True),
    AcceptTool: Row(ToolAccepted, lambda b: ("tool", b.tool), needs_present=True),
    QuarantineTool: Row(ToolQuarantined, lambda b: ("tool", b.tool), needs_present=True, by_services=True),
    RegisterServer: Row(ServerRegistered, lambda b: ("server", b.server)),
    RemoveServer: Row(ServerRemoved, lambda b: ("server", b.server), needs_present=True),
    DefineBudget: Row(BudgetDefined, _budget_key),
    RemoveBudget: Row(BudgetRemoved, _budget_key, needs_present=True),
    PublishPolicy: Row(PolicyPublished, lambda b: ("policy", b.tenant)),
    SetRateLimit: Row(RateLimitSet, lambda b: ("rate_limit", b.kind, b.id)),
    SetFlag: Row(FlagSet, lambda b: ("flag", b.level, b.id, b.name)),
    ReportBreaker: Row(BreakerChanged, lambda b: ("breaker", b.server), by_services=True),
}


class ControlState(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing in force. `hashes`: of the definitions of a tool that may be accepted."""

    present: bool = False
    hashes: tuple[bytes, ...] = ()
    seen: tuple[bytes, ...] = ()


INITIAL = ControlState()


def decide(item: Input, state: ControlState, world: World) -> list[Decision]:
    """Each command becomes its event or a refusal, once."""
    match item:
        case Command(body=Unreadable() as unreadable):
            return [Dead(unreadable.code, unreadable.reason)]
        case Command() if item.id not in state.seen:
            return [_answer(item.body, state)]
        case _:
            return []


def evolve(state: ControlState, fact: Fact) -> ControlState:
    """Own events only; control reads no other ledger."""
    match fact.body:
        case ToolRegistered(entry=entry):
            changed = ControlState(True, (entry.definition_hash,))
        case ToolQuarantined(observed_hash=observed):
            changed = ControlState(True, (*state.hashes[:1], *((observed,) if observed else ())))
        case ToolAccepted(definition_hash=accepted):
            changed = ControlState(True, (accepted,))
        case ToolRemoved() | ServerRemoved() | BudgetRemoved():
            changed = ControlState()
        case CommandRejected():
            changed = state
        case body if type(body) in _EVENTS:
            changed = ControlState(True)
        case _:
            return state
    return msgspec.structs.replace(changed, seen=remember(state.seen, fact.envelope, TOPIC))


def prepare(record: Record, world: World) -> Prepared:
    """The command in a record, under the key of what it concerns."""
    if record.topic != TOPIC:
        return Prepared(None)
    try:
        body: Any = decode_message(record.value, record.topic)
    except CodecError as error:
        key = submission_id(record.topic, record.partition, record.offset)
        return Prepared(Command(key=key, body=Unreadable(error.code, str(error)), record=record, id=key))
    key = entity_id(*ROWS[type(body)].key(body))
    return Prepared(Command(key=key, body=body, record=record, id=body.command_id))


def _answer(body: Any, state: ControlState) -> Event:
    who, row = body.principal, ROWS[type(body)]
    refusal = _may_not(body, row, state) or check(body)
    if refusal:
        content: Any = CommandRejected(body.command_id, type(body).__name__, *refusal)
    else:
        named = {name: getattr(body, name) for name in row.event.__struct_fields__ if name != "by"}
        content = row.event(**named, by=who.subject)
    return Event(content, actor=actor_of(who), tenant=who.tenant, account="", trace_parent="")


def _may_not(body: Any, row: Row, state: ControlState) -> tuple[str, str] | None:
    who = body.principal
    service = row.by_services and who.kind is ActorKind.SYSTEM
    if not service and not set(ROLES) & set(who.roles):
        return "ROLE_MISSING", f"needs one of the roles {', '.join(ROLES)}"
    if not body.reason.strip():
        return "REASON_MISSING", "a change needs a reason"
    if row.needs_present and not state.present:
        return "NOT_FOUND", "there is no such thing to change"
    if isinstance(body, AcceptTool) and body.definition_hash not in state.hashes:
        return "DEFINITION_HASH", "that definition was neither registered nor seen at the tool's server"
    return None


_EVENTS = frozenset(row.event for row in ROWS.values())
