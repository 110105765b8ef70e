"""Commands as operators and workers give them, and a control lane in memory that answers them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from libs.contracts import events
from libs.contracts.events import ActorKind, Cause, Envelope, Principal
from libs.governance.control import EMPTY
from libs.governance.digests import read_object
from libs.ledger.codec import encode_message
from libs.ledger.service import Command, Dead, Event, Fact, Record, World
from services.control.checks import ChangeRefused
from services.control.decider import ControlState
from services.control.reading import check
from services.table import TABLE

OLGA = Principal("acme", "olga", ActorKind.HUMAN, (), ("platform",))
OTTO = Principal("acme", "otto", ActorKind.HUMAN, (), ("operator",))
ADAM = Principal("acme", "adam", ActorKind.HUMAN, (), ("admin",))
AGENT = Principal("acme", "agent-1", ActorKind.MACHINE, ("a1",), ("writer", "worker"))
WORKER = Principal("", "deedbook/execution", ActorKind.SYSTEM, (), ("worker",))
CONTROL = TABLE["control"]
WORLD = World(now_at=1_000, control=EMPTY, lane=0, lanes=1)
POLICY = '{"version": 1, "tools": {"allow": ["git/*"]}}'
POLICY_HASH = hashlib.sha256(read_object(POLICY).text.encode()).digest()


def head(n: int = 1, who: Principal = OLGA, reason: str = "drill") -> dict[str, Any]:
    """What every command begins with. `n` makes its id."""
    return {"command_id": n.to_bytes(16), "principal": who, "reason": reason, "issued_at": 5}


def definition(name: str = "git_log", description: str = "Shows commits.") -> str:
    return f'{{"name": "{name}", "description": "{description}", "inputSchema": {{"type": "object"}}}}'


def digest(text: str) -> bytes:
    return hashlib.sha256(read_object(text).text.encode()).digest()


def entry(text: str = "", **more: Any) -> events.ToolEntry:
    """A sound entry of `git/git_log`."""
    text = text or definition()
    given: dict[str, Any] = {
        "server": "git",
        "definition": text,
        "definition_hash": digest(text),
        "capability": "git.read",
        "effect": events.EffectKind.READ,
        "effect_class": events.EffectClass.READ_ONLY,
        "cost_class": events.CostClass.CHEAP,
        "price_micros": 7,
        "timeout_ms": 5_000,
    }
    return events.ToolEntry(**(given | more))


def register(n: int = 1, who: Principal = OLGA, text: str = "", **more: Any) -> events.RegisterTool:
    return events.RegisterTool(**head(n, who), tool="git/git_log", entry=entry(text, **more))


def examples(n: int = 1, who: Principal = OLGA, reason: str = "drill") -> dict[str, Any]:
    """A sound command of each type, by the name of its type."""
    given = head(n, who, reason)
    budget: dict[str, Any] = {"kind": events.BudgetKind.TENANT, "id": "acme", "period": events.BudgetPeriod.DAY}
    found = [
        events.FlipSwitch(**given, kind=events.SwitchKind.TENANT, id="acme", stopped=True),
        events.RegisterTool(**given, tool="git/git_log", entry=entry()),
        events.RemoveTool(**given, tool="git/git_log"),
        events.AcceptTool(**given, tool="git/git_log", definition_hash=digest(definition())),
        events.QuarantineTool(**given, tool="git/git_log", code="BY_HAND"),
        events.RegisterServer(**given, server="git", transport=events.Transport.STDIO, profile="git"),
        events.RemoveServer(**given, server="git"),
        events.DefineBudget(**given, **budget, hard_micros=100, soft_micros=80),
        events.RemoveBudget(**given, **budget),
        events.PublishPolicy(**given, tenant="acme", policy=POLICY, policy_hash=POLICY_HASH),
        events.SetRateLimit(**given, kind=events.RateLimitKind.TOOL, id="git/git_log", window_ms=1_000, permits=5),
        events.SetFlag(**given, level=events.FlagLevel.GLOBAL, id="", name="checkpointing", value="true"),
        events.ReportBreaker(**given, server="git", state=events.BreakerState.OPEN, failures=5, until_at=9_000),
    ]
    return {type(one).__name__: one for one in found}


def record(value: bytes, offset: int = 0) -> Record:
    return Record("control.commands", 0, offset, 5, None, value)


def command_of(change: Any, offset: int = 0) -> Command:
    """What `prepare` makes of a command on the log."""
    assert CONTROL.prepare is not None
    command = CONTROL.prepare(record(encode_message(change), offset), WORLD).command
    assert command is not None
    return command


def fact_of(body: Any, key: bytes, seq: int, tenant: str = "") -> Fact:
    envelope = Envelope(
        seq=seq, prev_hash=bytes(32), event_id=seq.to_bytes(16), intent_id=key, tenant=tenant, account="",
        cause=Cause("control.commands", seq, bytes(16)), control_seq=0, occurred_at=1_000, trace_parent="",
        actor=events.Actor("olga", ActorKind.HUMAN), producer="test",
    )  # fmt: skip
    return Fact("ledger.control", envelope, body, bytes(32))


@dataclass
class Control:
    """The states by key, and every fact so far."""

    states: dict[bytes, ControlState] = field(default_factory=dict)
    facts: list[Fact] = field(default_factory=list)
    dead: list[Dead] = field(default_factory=list)

    def give(self, *changes: Any) -> list[Any]:
        """The bodies of the events that these commands give."""
        return [body for change in changes for body in self.take(command_of(change))]

    def take(self, command: Command) -> list[Any]:
        state = self.states.get(command.key, CONTROL.initial)
        bodies = []
        for decision in CONTROL.decide(command, state, WORLD):
            if isinstance(decision, Dead):
                self.dead.append(decision)
                continue
            assert isinstance(decision, Event)
            fact = fact_of(decision.body, command.key, len(self.facts) + 1, decision.tenant or "")
            self.facts.append(fact)
            state = CONTROL.evolve(state, fact)
            bodies.append(decision.body)
        self.states[command.key] = state
        return bodies


replace = msgspec.structs.replace
Kind = events.SwitchKind


def refusal(change: Any) -> str:
    with pytest.raises(ChangeRefused) as caught:
        check(change)
    assert caught.value.reason
    code: str = caught.value.code
    return code


def switch(kind: events.SwitchKind, name: str) -> events.FlipSwitch:
    return events.FlipSwitch(**head(), kind=kind, id=name, stopped=True)
