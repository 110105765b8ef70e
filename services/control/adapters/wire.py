"""What is in force, in the words of the gRPC contract, and back. Hashes are computed here, never believed."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from typing import TypeVar

from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper

from libs.contracts import events
from libs.contracts.proto.deedbook.control.v1 import control_pb2 as pb
from libs.contracts.proto.deedbook.control.v1 import registry_pb2 as reg
from libs.governance import control
from libs.governance.changes import Changed
from libs.governance.control import ControlView
from libs.governance.digests import JsonRefused, canonical_hash, read_object
from libs.governance.policy import PolicySnapshot
from libs.governance.tokens import PLATFORM
from libs.runtime.requests import read_enum, show_enum, show_micros
from services.control.checks import DEFINITION

NUMBERS = ("attempts_max", "backoff_ms", "backoff_max_ms")  # unset takes the registry's default

E = TypeVar("E", bound=StrEnum)


def read_entry(given: reg.ToolEntry) -> events.ToolEntry:
    """A registry entry; what is not said takes the most careful meaning. Its content is checked by whoever takes it."""

    def named(number: int, wire: EnumTypeWrapper, kind: type[E], default: E) -> E:
        return read_enum(number, wire, kind, f"entry.{kind.__name__}", default)

    said = {name: getattr(given, name) for name in NUMBERS if given.HasField(name)}
    return events.ToolEntry(
        server=given.server,
        definition=given.definition,
        definition_hash=pin(given.definition),
        capability=given.capability,
        effect=named(given.effect, reg.EffectKind, events.EffectKind, events.EffectKind.WRITE),
        effect_class=named(given.effect_class, reg.EffectClass, events.EffectClass, events.EffectClass.OPAQUE),
        cost_class=named(given.cost_class, reg.CostClass, events.CostClass, events.CostClass.EXPENSIVE),
        price_micros=given.price_micros,
        timeout_ms=given.timeout_ms,
        answer_cost_path=given.answer_cost_path,
        target_path=given.target_path,
        extractors=tuple(map(_read_extractor, given.extractors)),
        success_rule=named(given.success_rule, reg.SuccessRule, events.SuccessRule, events.SuccessRule.REFS),
        is_error_means=named(
            given.is_error_means, reg.ErrorMeaning, events.ErrorMeaning, events.ErrorMeaning.AMBIGUOUS
        ),
        key_placement=named(given.key_placement, reg.KeyPlacement, events.KeyPlacement, events.KeyPlacement.NONE),
        key_name=given.key_name,
        query_tool=given.query_tool,
        query_template=given.query_template,
        quiet_ms=given.quiet_ms,
        secret_fields=tuple(given.secret_fields),
        roles_allowed=tuple(given.roles_allowed),
        policy=given.policy,
        key_window_ms=given.key_window_ms,
        **said,
    )


def pin(definition: str) -> bytes:
    """The hash of a definition; zeros for one that is no strict JSON, which is refused for that."""
    try:
        return canonical_hash(read_object(definition, DEFINITION).value)
    except JsonRefused:
        return bytes(32)


def show_tool(tool: control.Tool) -> pb.Tool:
    """A tool as it is in force."""
    entry = tool.entry
    shown = reg.ToolEntry(
        server=entry.server,
        definition=entry.definition,
        definition_hash=entry.definition_hash.hex(),
        capability=entry.capability,
        price_micros=entry.price_micros,
        answer_cost_path=entry.answer_cost_path,
        target_path=entry.target_path,
        extractors=[_show_extractor(one) for one in entry.extractors],
        timeout_ms=entry.timeout_ms,
        attempts_max=entry.attempts_max,
        backoff_ms=entry.backoff_ms,
        backoff_max_ms=entry.backoff_max_ms,
        key_name=entry.key_name,
        query_tool=entry.query_tool,
        query_template=entry.query_template,
        quiet_ms=entry.quiet_ms,
        secret_fields=entry.secret_fields,
        roles_allowed=entry.roles_allowed,
        policy=entry.policy,
        key_window_ms=entry.key_window_ms,
        effect=show_enum(entry.effect, reg.EffectKind),
        effect_class=show_enum(entry.effect_class, reg.EffectClass),
        cost_class=show_enum(entry.cost_class, reg.CostClass),
        success_rule=show_enum(entry.success_rule, reg.SuccessRule),
        is_error_means=show_enum(entry.is_error_means, reg.ErrorMeaning),
        key_placement=show_enum(entry.key_placement, reg.KeyPlacement),
    )
    state = pb.TOOL_STATE_QUARANTINED if tool.quarantined else pb.TOOL_STATE_ACTIVE
    observed = "" if tool.observed_hash is None else tool.observed_hash.hex()
    return pb.Tool(tool=tool.id, entry=shown, state=state, quarantine_code=tool.quarantined, observed_hash=observed)


def tools_of(view: ControlView, who: events.Principal) -> list[control.Tool]:
    """The tools that the caller's tenant may see, ordered by id."""
    offered = {name for name, server in view.servers.items() if server.serves(who.tenant)}
    return [view.tools[name] for name in sorted(view.tools) if view.tools[name].entry.server in offered]


def show_config(view: ControlView, who: events.Principal, operators: Collection[str]) -> pb.GetConfigResponse:
    """Everything in force that the caller may see: who rules the platform all of it, those with one of the roles
    `operators` what concerns their tenant, others what concerns their accounts."""
    platform, operator = PLATFORM in who.roles, not set(operators).isdisjoint(who.roles)

    def seen(kind: StrEnum, name: str) -> bool:
        if kind.value in ("TOOL", "SERVER"):
            server = view.servers.get(name.partition("/")[0])
            return platform or (server is not None and server.serves(who.tenant))
        return platform or _concerns(who, operator, kind.value, name)

    policy = view.policies.get(who.tenant) or view.policies.get("")
    return pb.GetConfigResponse(
        control_seq=view.seq,
        fresh=view.fresh,
        switches=[show_switch(one) for (kind, name), one in view.switches.items() if seen(kind, name)],
        servers=[
            show_server(one, None if platform else who.tenant)
            for one in view.servers.values()
            if platform or one.serves(who.tenant)
        ],
        budgets=[show_budget(cap) for (kind, name), caps in view.caps.items() if seen(kind, name) for cap in caps],
        policy=None if policy is None else _show_policy(view, policy, who.tenant, platform or operator),
        rate_limits=[
            pb.RateLimit(kind=show_enum(kind, pb.RateLimitKind), id=name, permits=one.permits, window_ms=one.window_ms)
            for (kind, name), one in view.rate_limits.items()
            if seen(kind, name)
        ],
        flags=[
            pb.Flag(level=show_enum(level, pb.FlagLevel), id=name, name=flag, value=value)
            for (flag, level, name), value in view.flags.items()
            if seen(level, name)
        ],
        tools=len(view.tools) if platform else len(tools_of(view, who)),
    )


def show_switch(switch: control.Switch) -> pb.Switch:
    return pb.Switch(
        kind=show_enum(switch.kind, pb.SwitchKind),
        id=switch.id,
        stopped=True,
        reason=switch.reason,
        by=switch.by,
        flip_time=show_micros(switch.flipped_at),
        control_seq=switch.seq,
    )


def show_change(change: Changed) -> pb.GetChangeResponse:
    """What became of a change."""
    return pb.GetChangeResponse(
        control_seq=change.seq, code=change.code, reason=change.reason, decide_time=show_micros(change.decided_at)
    )


def show_server(server: control.Server, tenant: str | None) -> pb.Server:
    """A server. `tenant` None = with the list of its tenants, else only whether this one is on it."""
    tenants = server.tenants if tenant is None else tuple(name for name in server.tenants if name == tenant)
    return pb.Server(
        server=server.name,
        transport=show_enum(server.transport, reg.Transport),
        profile=server.profile if tenant is None else "",
        tenants=tenants,
    )


def show_budget(cap: control.Cap) -> pb.Budget:
    return pb.Budget(
        kind=show_enum(cap.kind, pb.BudgetKind),
        id=cap.id,
        cost_class=show_enum(cap.cost_class, reg.CostClass),
        period=show_enum(cap.period, pb.BudgetPeriod),
        hard_micros=cap.hard_micros,
        soft_micros=cap.soft_micros,
    )


def _show_policy(view: ControlView, policy: PolicySnapshot, tenant: str, whole: bool) -> pb.Policy:
    """Those who may publish one see its text."""
    own = tenant if tenant in view.policies else ""
    return pb.Policy(tenant=own, policy_hash=policy.hash.hex(), policy=policy.text if whole else "")


def _read_extractor(given: reg.Extractor) -> events.Extractor:
    return events.Extractor(
        kind=read_enum(given.kind, reg.ExtractorKind, events.ExtractorKind, "extractor.kind"),
        type=given.type,
        path=given.path,
        pattern=given.pattern,
        template=given.template,
    )


def _show_extractor(one: events.Extractor) -> reg.Extractor:
    return reg.Extractor(
        kind=show_enum(one.kind, reg.ExtractorKind),
        type=one.type,
        path=one.path,
        pattern=one.pattern,
        template=one.template,
    )


def _concerns(who: events.Principal, operator: bool, kind: str, name: str) -> bool:
    """Is it about all, about the caller's tenant, or about one of the accounts that the caller sees?"""
    match kind:
        case "TENANT":
            return name == who.tenant
        case "ACCOUNT" if operator:
            return name.partition("/")[0] == who.tenant
        case "ACCOUNT":
            return name in {f"{who.tenant}/{account}" for account in who.accounts}
        case _:
            return True
