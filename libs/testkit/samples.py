"""Values for tests: people and agents, tools, budgets, policies, intents and answers, each with sound defaults."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from libs.contracts import events as e
from libs.governance.control import EMPTY, ControlView, apply, freshened
from libs.governance.digests import canonical_hash
from libs.governance.policy import read_policy
from libs.ledger.service import Fact

SECOND = 1_000_000
NOW = 1_763_700_000 * SECOND  # 21 November 2025, 04:40 UTC
HOUR = 3_600 * SECOND
ZERO = bytes(32)

AGENT = e.Principal("acme", "agent-1", e.ActorKind.MACHINE, ("main",), ("agent",))
ALICE = e.Principal("acme", "alice", e.ActorKind.HUMAN, ("main",), ("approver",))
BOB = e.Principal("acme", "bob", e.ActorKind.HUMAN, ("main",), ("approver", "resolver"))
OLGA = e.Principal("acme", "olga", e.ActorKind.HUMAN, ("main",), ("operator",))
EVE = e.Principal("evil", "eve", e.ActorKind.HUMAN, ("main",), ("approver", "resolver", "operator"))
WORKER = e.Principal("", "deedbook/execution", e.ActorKind.SYSTEM, (), ("worker",))

POLICY: dict[str, Any] = {
    "version": 1,
    "tools": {"allow": ["git/*"]},
    "freshness": {"default": {"soft_ms": 60_000, "hard_ms": 300_000}},
    "grounding": {"required_for": []},
}
HUMAN_RULE: dict[str, Any] = {"roles": ["approver"], "within_ms": 60_000}


def tool_entry(**more: Any) -> e.ToolEntry:
    """The entry of git/commit: a write that costs 100 micros and cannot be asked afterwards."""
    definition = more.pop("definition", {"name": "commit", "inputSchema": {"type": "object"}})
    fields: dict[str, Any] = {
        "server": "git",
        "definition": json.dumps(definition),
        "definition_hash": canonical_hash(definition),
        "capability": "vcs",
        "effect": e.EffectKind.WRITE,
        "effect_class": e.EffectClass.OPAQUE,
        "cost_class": e.CostClass.CHEAP,
        "price_micros": 100,
        "timeout_ms": 1_000,
    }
    return e.ToolEntry(**fields | more)


READING: dict[str, Any] = {"effect": e.EffectKind.READ, "effect_class": e.EffectClass.READ_ONLY, "attempts_max": 3}


def envelope(seq: int = 1, **more: Any) -> e.Envelope:
    """An envelope of acme/main."""
    fields: dict[str, Any] = {
        "seq": seq,
        "prev_hash": ZERO,
        "event_id": more.get("intent_id", bytes(16))[:8] + seq.to_bytes(8),
        "intent_id": bytes(16),
        "tenant": "acme",
        "account": "main",
        "cause": e.Cause("test", 0, bytes(16)),
        "control_seq": 0,
        "occurred_at": NOW,
        "trace_parent": "",
        "actor": e.Actor("deedbook/test", e.ActorKind.SYSTEM),
        "producer": "test",
    }
    return e.Envelope(**fields | more)


def control(*bodies: Any, start: ControlView = EMPTY) -> ControlView:
    """A fresh view after these events, on top of another one."""
    view = start
    for body in bodies:
        view = apply(view, Fact("ledger.control", envelope(view.seq + 1), body, ZERO))
    return freshened(view, True)


def said(**more: Any) -> dict[str, Any]:
    """Who changed configuration, and why."""
    return {"command_id": bytes(16), "by": "olga", "reason": "test", **more}


def server(name: str = "git", **more: Any) -> e.ServerRegistered:
    return e.ServerRegistered(**said(server=name, transport=e.Transport.BUILTIN, profile=name, **more))


def tool(name: str = "git/commit", **more: Any) -> e.ToolRegistered:
    return e.ToolRegistered(**said(tool=name, entry=tool_entry(**more)))


def policy(tenant: str = "", **more: Any) -> e.PolicyPublished:
    text = json.dumps(POLICY | more)
    return e.PolicyPublished(**said(tenant=tenant, policy=text, policy_hash=read_policy(text).hash))


def budget(hard: int = 1_000, kind: e.BudgetKind = e.BudgetKind.TENANT, name: str = "acme", **more: Any) -> Any:
    fields = {"period": e.BudgetPeriod.ONCE, "hard_micros": hard} | more
    return e.BudgetDefined(**said(kind=kind, id=name, **fields))


def switch(kind: e.SwitchKind = e.SwitchKind.GLOBAL, name: str = "", stopped: bool = True) -> e.SwitchFlipped:
    return e.SwitchFlipped(**said(kind=kind, id=name, stopped=stopped))


def standard_control(*more: Any, **entry: Any) -> ControlView:
    """One server, one tool, one policy, one budget of 1,000 micros; what follows comes on top."""
    return control(server(), tool(**entry), policy(), budget(), *more)


def intent(key: str = "key-1", **more: Any) -> e.Intent:
    """An agent wants git/commit for account main, within an hour."""
    fields: dict[str, Any] = {
        "idempotency_key": key,
        "tool": "git/commit",
        "capability": "vcs",
        "arguments": '{"message": "hello", "repo": "r1"}',
        "expires_at": NOW + HOUR,
        "account": "main",
    }
    return e.Intent(**fields | more)


def answer(status: e.AnswerStatus = e.AnswerStatus.SUCCEEDED, **more: Any) -> e.ToolAnswer:
    """An answer of a tool that was called now."""
    fields: dict[str, Any] = {"status": status, "started_at": NOW, "duration_ms": 5}
    if status is e.AnswerStatus.SUCCEEDED:
        fields["object_refs"] = (e.ObjectRef("commit", "abc"),)
    return e.ToolAnswer(**fields | more)


def changed(value: Any, **fields: Any) -> Any:
    """A copy of a frozen value with other fields."""
    return msgspec.structs.replace(value, **fields)
