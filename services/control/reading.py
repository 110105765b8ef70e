"""From a record on `control.commands` to a change that may be decided on, or to the reason why not.

Everything here looks at the record alone, so fronts may ask `check` before they take a change in. What is refused here
is recorded under the command's own id: someone who may change nothing leaves no trace with the thing that he named.
"""

from __future__ import annotations

from typing import Any

import msgspec

from libs.contracts.errors import CodecError
from libs.contracts.events import (
    AcceptTool,
    ActorKind,
    BudgetKind,
    DefineBudget,
    FlagLevel,
    FlipSwitch,
    Principal,
    PublishPolicy,
    QuarantineTool,
    RateLimitKind,
    RegisterServer,
    RegisterTool,
    RemoveBudget,
    RemoveServer,
    RemoveTool,
    ReportBreaker,
    SetFlag,
    SetRateLimit,
    SwitchFlipped,
    SwitchKind,
)
from libs.governance.commands import Unreadable
from libs.governance.identity import entity_id, submission_id
from libs.governance.tokens import PLATFORM
from libs.ledger.codec import decode_message
from libs.ledger.service import Command, Prepared, Record, World
from services.control.checks import (
    ChangeRefused,
    check_account,
    check_breaker,
    check_budget,
    check_capability,
    check_code,
    check_entry,
    check_flag,
    check_policy,
    check_profile,
    check_rate_limit,
    check_reason,
    check_server,
    check_tenant,
    check_tenants,
    check_tool,
)

TOPIC = "control.commands"
OPERATORS = ("operator", "admin")  # of their own tenant: its switches, budgets, limits, flags and policy
ROLES = (*OPERATORS, PLATFORM)
WORKER = "worker"
_OF_TENANT = ("TENANT", "ACCOUNT")

Change = (
    AcceptTool
    | DefineBudget
    | FlipSwitch
    | PublishPolicy
    | QuarantineTool
    | RegisterServer
    | RegisterTool
    | RemoveBudget
    | RemoveServer
    | RemoveTool
    | ReportBreaker
    | SetFlag
    | SetRateLimit
)


class Refused(msgspec.Struct, frozen=True):
    """A command that asks for something it may not ask for, whatever is in force. `name`: of its type."""

    name: str
    principal: Principal
    code: str
    reason: str


def prepare(record: Record, world: World) -> Prepared:
    """What the record means to control. Records of other topics are not for it."""
    if record.topic != TOPIC:
        return Prepared(None)
    if record.flaw:
        return _unreadable(record, "UNREADABLE", record.flaw)
    try:
        change: Change = decode_message(record.value, TOPIC)
    except CodecError as error:
        return _unreadable(record, error.code, str(error))
    try:
        checked = check(change)
    except ChangeRefused as error:
        refused = Refused(type(change).__name__, change.principal, error.code, error.reason)
        return Prepared(Command(key=change.command_id, body=refused, record=record, id=change.command_id))
    return Prepared(Command(key=key_of_change(checked), body=checked, record=record, id=checked.command_id))


def _unreadable(record: Record, code: str, reason: str) -> Prepared:
    key = submission_id(record.topic, record.partition, record.offset)
    return Prepared(Command(key=key, body=Unreadable(code, reason), record=record, id=key))


def check(change: Change) -> Change:
    """The change, its JSON in canonical form. Raises ChangeRefused with ROLE_MISSING, PLATFORM_ROLE_MISSING,
    REASON_INVALID, ID_INVALID, VALUE_INVALID, DEFINITION_INVALID, DEFINITION_HASH_MISMATCH, POLICY_MALFORMED or
    POLICY_HASH_MISMATCH."""
    _check_role(change)
    check_reason(change.reason)
    _check_name(change)
    match change:
        case RegisterTool():
            return msgspec.structs.replace(change, entry=check_entry(change.tool, change.entry))
        case QuarantineTool():
            check_code(change.code)
        case RegisterServer():
            check_profile(change.profile)
            check_tenants(change.tenants)
        case DefineBudget():
            check_budget(change.hard_micros, change.soft_micros)
        case PublishPolicy():
            check_policy(change.policy, change.policy_hash)
        case SetRateLimit():
            check_rate_limit(change.window_ms, change.permits)
        case SetFlag():
            check_flag(change.name, change.value)
        case ReportBreaker():
            check_breaker(change.state, change.failures, change.until_at)
        case _:
            pass
    return change


def key_of_change(change: Change) -> bytes:
    """The key of the thing that a change is about. It never changes (rule 25)."""
    match change:
        case FlipSwitch():
            return entity_id("switch", change.kind, change.id)
        case RegisterTool() | RemoveTool() | AcceptTool() | QuarantineTool():
            return entity_id("tool", change.tool)
        case RegisterServer() | RemoveServer():
            return entity_id("server", change.server)
        case DefineBudget() | RemoveBudget():
            return entity_id("budget", change.kind, change.id, change.cost_class or "", change.period)
        case PublishPolicy():
            return entity_id("policy", change.tenant)
        case SetRateLimit():
            return entity_id("rate_limit", change.kind, change.id)
        case SetFlag():
            return entity_id("flag", change.level, change.id, change.name)
        case ReportBreaker():
            return entity_id("breaker", change.server)


def _check_role(change: Change) -> None:
    """Who rules the platform changes everything, an operator what is their tenant's own; a worker reports what it saw
    of a server: its failures and changed definitions. A worker has no tenant, and no token is without one."""
    who = change.principal
    worker = who.kind is ActorKind.SYSTEM and WORKER in who.roles and not who.tenant
    if PLATFORM in who.roles or (worker and isinstance(change, ReportBreaker | QuarantineTool)):
        return
    if set(OPERATORS).isdisjoint(who.roles):
        raise ChangeRefused("ROLE_MISSING", f"needs one of the roles {', '.join(ROLES)}")
    if not who.tenant or tenant_of(change) != who.tenant:
        reason = f"it concerns more than the own tenant, so it needs the role {PLATFORM}"
        raise ChangeRefused("PLATFORM_ROLE_MISSING", reason)


def tenant_of(change: Change | SwitchFlipped) -> str:
    """The one tenant that a change concerns; "" = all, or what they share: servers, tools, capabilities."""
    match change:
        case FlipSwitch() | SwitchFlipped() | DefineBudget() | RemoveBudget() | SetRateLimit():
            return change.id.partition("/")[0] if change.kind in _OF_TENANT else ""
        case SetFlag():
            return change.id.partition("/")[0] if change.level in _OF_TENANT else ""
        case PublishPolicy():
            return change.tenant
        case _:
            return ""


def _check_name(change: Change) -> None:
    """What a change is about must be named as it is named everywhere else, or it would bind nothing."""
    match change:
        case FlipSwitch() | DefineBudget() | RemoveBudget() | SetRateLimit():
            _check_of(change.kind, change.id)
        case SetFlag():
            _check_of(change.level, change.id)
        case RegisterTool() | RemoveTool() | AcceptTool() | QuarantineTool():
            check_tool(change.tool)
        case RegisterServer() | RemoveServer() | ReportBreaker():
            check_server(change.server)
        case PublishPolicy() if change.tenant:
            check_tenant(change.tenant)
        case _:
            pass


def _check_of(kind: SwitchKind | BudgetKind | RateLimitKind | FlagLevel, name: str) -> None:
    checks: dict[str, Any] = {
        "TENANT": check_tenant,
        "ACCOUNT": check_account,
        "TOOL": check_tool,
        "CAPABILITY": check_capability,
        "SERVER": check_server,
    }
    if kind.value in checks:
        checks[kind.value](name)
    elif name:
        raise ChangeRefused("ID_INVALID", f"{kind.value} takes no id")
