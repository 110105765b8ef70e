"""What a change of configuration must look like before it may bind anybody. Each check gives (code, reason) or None."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from libs.contracts.events import (
    BudgetKind,
    DefineBudget,
    EffectClass,
    EffectKind,
    FlagLevel,
    FlipSwitch,
    KeyPlacement,
    PublishPolicy,
    RegisterServer,
    RegisterTool,
    RemoveBudget,
    SetFlag,
    SetRateLimit,
    SwitchKind,
    ToolEntry,
)
from libs.governance.digests import JsonRefused, canonical_hash
from libs.governance.paths import PATH
from libs.governance.policy import PolicyRefused, read_policy

Refusal = tuple[str, str]

ATTEMPTS_MAX = 20
BACKOFF_MAX_MS = 3_600_000
TIMEOUT_MAX_MS = 60_000  # a successor waits so long before it believes that nothing is on its way any more
DEFINITION_BYTES_MAX = 262_144
_SERVER = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_TOOL = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}/[A-Za-z0-9_.-]{1,128}")  # ASCII only: no letter looks like another
_PROFILE = re.compile(r"[A-Za-z0-9._-]{1,64}")


def check(body: Any) -> Refusal | None:
    """What is wrong with a command's content; None = nothing."""
    one = _CHECKS.get(type(body))
    return one(body) if one else None


def _tool(body: RegisterTool) -> Refusal | None:
    entry = body.entry
    if not _TOOL.fullmatch(body.tool) or body.tool.split("/")[0] != entry.server:
        return "TOOL_NAME", "a tool is named server/tool in plain letters, with the server of its entry"
    if entry.policy:
        return "TOOL_POLICY", "no policies of single tools are known"
    return _definition(entry) or _numbers(entry) or _effects(entry) or _paths(entry)


def _definition(entry: ToolEntry) -> Refusal | None:
    if len(entry.definition) > DEFINITION_BYTES_MAX:
        return "DEFINITION_INVALID", "the definition is too large"
    try:
        digest = canonical_hash(msgspec.json.decode(entry.definition))
    except (msgspec.DecodeError, JsonRefused, RecursionError) as error:
        return "DEFINITION_INVALID", f"the definition cannot be pinned: {type(error).__name__}"
    if digest != entry.definition_hash:
        return "DEFINITION_HASH", "the hash is not that of the definition"
    return None


def _numbers(entry: ToolEntry) -> Refusal | None:
    if not 0 <= entry.price_micros <= 2**53:
        return "PRICE_INVALID", "a price is not negative"
    if not 1 <= entry.timeout_ms <= TIMEOUT_MAX_MS:
        return "TIMEOUT_INVALID", f"a time-out is between 1 and {TIMEOUT_MAX_MS} ms"
    if not 1 <= entry.attempts_max <= ATTEMPTS_MAX:
        return "ATTEMPTS_INVALID", f"attempts are between 1 and {ATTEMPTS_MAX}"
    if not 0 <= entry.backoff_ms <= entry.backoff_max_ms <= BACKOFF_MAX_MS or entry.quiet_ms < 0:
        return "BACKOFF_INVALID", "0 <= backoff_ms <= backoff_max_ms must hold, and quiet_ms is not negative"
    return None


def _effects(entry: ToolEntry) -> Refusal | None:
    if entry.effect is EffectKind.WRITE and entry.effect_class is EffectClass.READ_ONLY:
        return "EFFECT_INVALID", "what writes is not READ_ONLY"
    placed = entry.key_placement is not KeyPlacement.NONE and bool(entry.key_name)
    if entry.effect_class is EffectClass.KEYED and not placed:
        return "KEY_PLACEMENT", "a KEYED tool must say where its key goes"
    if not entry.capability:
        return "CAPABILITY_MISSING", "a tool has a capability"
    return None


def _paths(entry: ToolEntry) -> Refusal | None:
    paths = [entry.target_path, entry.answer_cost_path, *entry.secret_fields]
    wrong = [path for path in paths if path and not PATH.fullmatch(path)]
    return ("PATH_INVALID", f"not a path: {wrong[0][:80]}") if wrong else None


def _server(body: RegisterServer) -> Refusal | None:
    if not _SERVER.fullmatch(body.server):
        return "SERVER_NAME", "a server's name has lower-case letters, digits, '.', '_' and '-' only"
    if not _PROFILE.fullmatch(body.profile):
        return (
            "PROFILE_NAME",
            "a profile is named in the operator's configuration; it is no command line and no address",
        )
    return None


def _switch(body: FlipSwitch) -> Refusal | None:
    match body.kind:
        case SwitchKind.GLOBAL:
            return ("ID_INVALID", "the global switch has no id") if body.id else None
        case SwitchKind.ACCOUNT:
            return _account(body.id)
        case _:
            return _named(body.id)


def _budget_id(body: DefineBudget | RemoveBudget) -> Refusal | None:
    match body.kind:
        case BudgetKind.GLOBAL:
            return ("ID_INVALID", "the global budget has no id") if body.id else None
        case BudgetKind.ACCOUNT:
            return _account(body.id)
        case _:
            return _named(body.id)


def _budget(body: DefineBudget) -> Refusal | None:
    soft = body.soft_micros
    if not 0 <= body.hard_micros <= 2**60 or (soft is not None and not 0 <= soft <= body.hard_micros):
        return "CAPS_INVALID", "0 <= soft cap <= hard cap must hold"
    return _budget_id(body)


def _policy(body: PublishPolicy) -> Refusal | None:
    try:
        snapshot = read_policy(body.policy)
    except PolicyRefused as error:
        return error.code, str(error)
    if snapshot.hash != body.policy_hash:
        return "POLICY_HASH", "the hash is not that of the policy"
    return None


def _rate_limit(body: SetRateLimit) -> Refusal | None:
    if body.window_ms < 1 or (body.permits is not None and body.permits < 0):
        return "RATE_LIMIT_INVALID", "a window is at least 1 ms long, and permits are not negative"
    return _named(body.id)


def _flag(body: SetFlag) -> Refusal | None:
    if bool(body.id) is (body.level is FlagLevel.GLOBAL) or not body.name:
        return "ID_INVALID", "a flag has a name, and an id unless it is global"
    if body.value is not None:
        try:
            msgspec.json.decode(body.value)
        except (msgspec.DecodeError, RecursionError):
            return "VALUE_INVALID", "a flag's value is JSON text"
    return None


def _named(name: str) -> Refusal | None:
    return None if name and name.isprintable() and len(name) <= 400 else ("ID_INVALID", "the id is missing or no name")


def _account(name: str) -> Refusal | None:
    tenant, _, account = name.partition("/")
    return _named(name) if tenant and account else ("ID_INVALID", "an account is named tenant/account")


_CHECKS: Mapping[type, Callable[[Any], Refusal | None]] = {
    RegisterTool: _tool,
    RegisterServer: _server,
    FlipSwitch: _switch,
    DefineBudget: _budget,
    RemoveBudget: _budget_id,
    PublishPolicy: _policy,
    SetRateLimit: _rate_limit,
    SetFlag: _flag,
}
