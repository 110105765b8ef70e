"""What is in force: a fold of the control ledger that every service holds in memory.

A view is a value; `apply` gives the next one and copies only the table that changed. Whether it is fresh is the
shell's knowledge; with a view that is not, the lane decides nothing at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

import msgspec

from libs.contracts.events import (
    BreakerChanged,
    BreakerState,
    BudgetDefined,
    BudgetKind,
    BudgetPeriod,
    BudgetRemoved,
    CostClass,
    FlagLevel,
    FlagSet,
    PolicyPublished,
    RateLimitKind,
    RateLimitSet,
    ServerRegistered,
    ServerRemoved,
    SwitchFlipped,
    SwitchKind,
    ToolAccepted,
    ToolEntry,
    ToolQuarantined,
    ToolRegistered,
    ToolRemoved,
    Transport,
)
from libs.governance.changes import Changed, remembered
from libs.governance.policy import PolicyRefused, PolicySnapshot, read_policy
from libs.ledger.service import Fact

K = TypeVar("K")
V = TypeVar("V")


class Switch(msgspec.Struct, frozen=True):
    """A kill switch that is closed. `id` as in the event: tenant, `tenant/account`, tool, capability or ""."""

    kind: SwitchKind
    id: str
    by: str
    reason: str
    flipped_at: int
    seq: int

    @property
    def code(self) -> str:
        """Stable code that a refusal carries, such as SWITCH_TENANT."""
        return f"SWITCH_{self.kind}"


class Tool(msgspec.Struct, frozen=True):
    """A registered tool. `quarantined` "" = usable, else the code of why not; then `observed_hash` is that of the
    definition that its server offered, if it was looked at."""

    id: str
    entry: ToolEntry
    seq: int
    quarantined: str = ""
    observed_hash: bytes | None = None


class Server(msgspec.Struct, frozen=True):
    """A registered tool server."""

    name: str
    transport: Transport
    profile: str
    tenants: tuple[str, ...]

    def serves(self, tenant: str) -> bool:
        """May this tenant use it? No list = every tenant."""
        return not self.tenants or tenant in self.tenants


class Cap(msgspec.Struct, frozen=True):
    """A budget's caps. `seq`: of the event that defined them."""

    kind: BudgetKind
    id: str
    cost_class: CostClass | None
    period: BudgetPeriod
    hard_micros: int
    soft_micros: int | None
    seq: int


class RateLimit(msgspec.Struct, frozen=True):
    """At most `permits` calls in each window."""

    window_ms: int
    permits: int


class Breaker(msgspec.Struct, frozen=True):
    """A server's circuit breaker."""

    state: BreakerState
    failures: int
    until_at: int | None


class ControlView(msgspec.Struct, frozen=True):
    """Everything in force at `seq` of the control ledger."""

    seq: int = 0
    fresh: bool = False
    switches: Mapping[tuple[SwitchKind, str], Switch] = {}
    tools: Mapping[str, Tool] = {}
    servers: Mapping[str, Server] = {}
    caps: Mapping[tuple[BudgetKind, str], tuple[Cap, ...]] = {}
    policies: Mapping[str, PolicySnapshot] = {}
    rate_limits: Mapping[tuple[RateLimitKind, str], RateLimit] = {}
    flags: Mapping[tuple[str, FlagLevel, str], str] = {}
    breakers: Mapping[str, Breaker] = {}
    changes: tuple[Changed, ...] = ()

    def stopped_by(self, tenant: str, account: str, tool: str, capability: str) -> Switch | None:
        """The first closed switch that stops this, the widest first."""
        if not self.switches:
            return None
        places = (
            (SwitchKind.GLOBAL, ""),
            (SwitchKind.TENANT, tenant),
            (SwitchKind.ACCOUNT, f"{tenant}/{account}"),
            (SwitchKind.TOOL, tool),
            (SwitchKind.CAPABILITY, capability),
        )
        return next((self.switches[place] for place in places if place in self.switches), None)

    def policy_for(self, tenant: str) -> PolicySnapshot | None:
        """The tenant's own policy, else the one for all; None = there is none, which denies."""
        return self.policies.get(tenant) or self.policies.get("")

    def caps_for(self, tenant: str, account: str, tool: str, cost_class: CostClass) -> tuple[Cap, ...]:
        """Every cap that binds a deed, the widest first. An intent without account has no account's cap."""
        places = [(BudgetKind.GLOBAL, ""), (BudgetKind.TENANT, tenant)]
        if account:
            places.append((BudgetKind.ACCOUNT, f"{tenant}/{account}"))
        places.append((BudgetKind.TOOL, tool))
        found = [cap for place in places for cap in self.caps.get(place, ())]
        return tuple(cap for cap in found if cap.cost_class is None or cap.cost_class == cost_class)

    def flag(self, name: str, server: str = "", tool: str = "", tenant: str = "") -> str | None:
        """A flag's effective value as JSON text: tenant before tool before server before global. None = not set."""
        levels = (FlagLevel.TENANT, tenant), (FlagLevel.TOOL, tool), (FlagLevel.SERVER, server), (FlagLevel.GLOBAL, "")
        return next((v for level, of in levels if (v := self.flags.get((name, level, of))) is not None), None)


EMPTY = ControlView()


def freshened(view: ControlView, fresh: bool) -> ControlView:
    """The same view with what the shell knows about its freshness."""
    return view if view.fresh is fresh else msgspec.structs.replace(view, fresh=fresh)


class Call(Protocol):
    """What is looked at before a call: an `Effect`, or anything of the same shape."""

    @property
    def tenant(self) -> str: ...
    @property
    def account(self) -> str: ...
    @property
    def tool(self) -> str: ...
    @property
    def capability(self) -> str: ...


def stop_code(view: ControlView, call: Call) -> str:
    """Code of the switch that stops a call, or ""; for the gate."""
    switch = view.stopped_by(call.tenant, call.account, call.tool, call.capability)
    return switch.code if switch else ""


def apply(view: ControlView, fact: Fact) -> ControlView:
    """The view after one more fact of the control ledger. Never raises; facts of other kinds move `seq` only."""
    change = _CHANGES.get(type(fact.body))
    changed = change(view, fact, fact.body) if change else {}
    return msgspec.structs.replace(view, seq=fact.envelope.seq, changes=remembered(view.changes, fact), **changed)


def _with(table: Mapping[K, V], key: K, value: V | None) -> dict[K, V]:
    """A copy with one entry set, or left out (None)."""
    copy = {k: v for k, v in table.items() if k != key}
    if value is not None:
        copy[key] = value
    return copy


def _switch(view: ControlView, fact: Fact, body: SwitchFlipped) -> dict[str, Any]:
    at, seq = fact.envelope.occurred_at, fact.envelope.seq
    switch = Switch(body.kind, body.id, body.by, body.reason, at, seq) if body.stopped else None
    return {"switches": _with(view.switches, (body.kind, body.id), switch)}


def _tool(view: ControlView, fact: Fact, body: ToolRegistered) -> dict[str, Any]:
    return {"tools": _with(view.tools, body.tool, Tool(body.tool, body.entry, fact.envelope.seq))}


def _tool_quarantined(view: ControlView, fact: Fact, body: ToolQuarantined) -> dict[str, Any]:
    tool = view.tools.get(body.tool)
    if tool is None:
        return {}
    code, seq = body.code or "BY_HAND", fact.envelope.seq
    tool = msgspec.structs.replace(tool, quarantined=code, observed_hash=body.observed_hash, seq=seq)
    return {"tools": _with(view.tools, body.tool, tool)}


def _tool_accepted(view: ControlView, fact: Fact, body: ToolAccepted) -> dict[str, Any]:
    tool = view.tools.get(body.tool)
    if tool is None:
        return {}
    entry = tool.entry
    if (
        entry.definition_hash != body.definition_hash
    ):  # by its hash alone: what it says is not told, and not the old text
        entry = msgspec.structs.replace(entry, definition="", definition_hash=body.definition_hash)
    return {"tools": _with(view.tools, body.tool, Tool(body.tool, entry, fact.envelope.seq))}


def _tool_removed(view: ControlView, fact: Fact, body: ToolRemoved) -> dict[str, Any]:
    return {"tools": _with(view.tools, body.tool, None)}


def _server(view: ControlView, fact: Fact, body: ServerRegistered) -> dict[str, Any]:
    server = Server(body.server, body.transport, body.profile, body.tenants)
    return {"servers": _with(view.servers, body.server, server)}


def _server_removed(view: ControlView, fact: Fact, body: ServerRemoved) -> dict[str, Any]:
    return {"servers": _with(view.servers, body.server, None)}


def _caps_without(view: ControlView, body: BudgetDefined | BudgetRemoved) -> tuple[Cap, ...]:
    caps = view.caps.get((body.kind, body.id), ())
    return tuple(cap for cap in caps if (cap.cost_class, cap.period) != (body.cost_class, body.period))


def _budget(view: ControlView, fact: Fact, body: BudgetDefined) -> dict[str, Any]:
    cap = Cap(
        body.kind, body.id, body.cost_class, body.period, body.hard_micros, body.soft_micros, fact.envelope.seq
    )  # fmt: skip
    return {"caps": _with(view.caps, (body.kind, body.id), (*_caps_without(view, body), cap))}


def _budget_removed(view: ControlView, fact: Fact, body: BudgetRemoved) -> dict[str, Any]:
    return {"caps": _with(view.caps, (body.kind, body.id), _caps_without(view, body) or None)}


def _policy(view: ControlView, fact: Fact, body: PolicyPublished) -> dict[str, Any]:
    try:
        snapshot = read_policy(body.policy)
    except PolicyRefused:
        snapshot = PolicySnapshot(body.policy_hash, None)
    return {"policies": _with(view.policies, body.tenant, snapshot)}


def _rate_limit(view: ControlView, fact: Fact, body: RateLimitSet) -> dict[str, Any]:
    limit = None if body.permits is None else RateLimit(body.window_ms, body.permits)
    return {"rate_limits": _with(view.rate_limits, (body.kind, body.id), limit)}


def _flag(view: ControlView, fact: Fact, body: FlagSet) -> dict[str, Any]:
    return {"flags": _with(view.flags, (body.name, body.level, body.id), body.value)}


def _breaker(view: ControlView, fact: Fact, body: BreakerChanged) -> dict[str, Any]:
    breaker = None if body.state is BreakerState.CLOSED else Breaker(body.state, body.failures, body.until_at)
    return {"breakers": _with(view.breakers, body.server, breaker)}


_CHANGES: Mapping[type, Callable[[ControlView, Fact, Any], dict[str, Any]]] = {
    SwitchFlipped: _switch,
    ToolRegistered: _tool,
    ToolQuarantined: _tool_quarantined,
    ToolAccepted: _tool_accepted,
    ToolRemoved: _tool_removed,
    ServerRegistered: _server,
    ServerRemoved: _server_removed,
    BudgetDefined: _budget,
    BudgetRemoved: _budget_removed,
    PolicyPublished: _policy,
    RateLimitSet: _rate_limit,
    FlagSet: _flag,
    BreakerChanged: _breaker,
}
