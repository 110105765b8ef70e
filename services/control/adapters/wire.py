"""What is in force, in the words of the gRPC contract, and back. Hashes are computed here, never believed."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import TypeVar

from libs.contracts import events
from libs.contracts.proto.deedbook.control.v1 import control_pb2 as pb
from libs.contracts.proto.deedbook.control.v1 import registry_pb2 as reg
from libs.governance import control
from libs.governance.control import ControlView
from libs.governance.digests import JsonLimits, JsonRefused, canonical_hash, read_object
from libs.runtime.requests import read_enum, read_text, show_enum
from libs.runtime.rpc import BadRequest

DEFINITION = JsonLimits(bytes_max=65_536)
PATTERN_MAX = 1000
LIST_MAX = 100

T = TypeVar("T")


def read_entry(given: reg.ToolEntry) -> events.ToolEntry:
    """A registry entry. What is not said takes the most careful meaning. Raises BadRequest."""
    try:
        definition = read_object(given.definition, DEFINITION)
    except JsonRefused as error:
        raise BadRequest(f"entry.definition: {error}", error.code) from None
    return events.ToolEntry(
        server=read_text(given.server, "entry.server"),
        definition=definition.text,
        definition_hash=canonical_hash(definition.value),
        capability=read_text(given.capability, "entry.capability"),
        effect=read_enum(given.effect, reg.EffectKind, events.EffectKind, "entry.effect", events.EffectKind.WRITE),
        effect_class=read_enum(
            given.effect_class, reg.EffectClass, events.EffectClass, "entry.effect_class", events.EffectClass.OPAQUE
        ),
        cost_class=read_enum(
            given.cost_class, reg.CostClass, events.CostClass, "entry.cost_class", events.CostClass.EXPENSIVE
        ),
        price_micros=_not_negative(given.price_micros, "entry.price_micros"),
        timeout_ms=_positive(given.timeout_ms, "entry.timeout_ms"),
        answer_cost_path=read_text(given.answer_cost_path, "entry.answer_cost_path", required=False),
        target_path=read_text(given.target_path, "entry.target_path", required=False),
        extractors=tuple(_read_extractor(one) for one in _few(given.extractors, "entry.extractors")),
        success_rule=read_enum(
            given.success_rule, reg.SuccessRule, events.SuccessRule, "entry.success_rule", events.SuccessRule.REFS
        ),
        is_error_means=read_enum(
            given.is_error_means,
            reg.ErrorMeaning,
            events.ErrorMeaning,
            "entry.is_error_means",
            events.ErrorMeaning.AMBIGUOUS,
        ),
        attempts_max=_positive(given.attempts_max, "entry.attempts_max") if given.HasField("attempts_max") else 1,
        backoff_ms=_positive(given.backoff_ms, "entry.backoff_ms") if given.HasField("backoff_ms") else 1000,
        backoff_max_ms=(
            _positive(given.backoff_max_ms, "entry.backoff_max_ms") if given.HasField("backoff_max_ms") else 60_000
        ),
        key_placement=read_enum(
            given.key_placement, reg.KeyPlacement, events.KeyPlacement, "entry.key_placement", events.KeyPlacement.NONE
        ),
        key_name=read_text(given.key_name, "entry.key_name", required=False),
        query_tool=read_text(given.query_tool, "entry.query_tool", required=False),
        query_template=read_text(given.query_template, "entry.query_template", PATTERN_MAX, required=False),
        quiet_ms=_not_negative(given.quiet_ms, "entry.quiet_ms"),
        secret_fields=tuple(
            read_text(one, "entry.secret_fields") for one in _few(given.secret_fields, "entry.secret_fields")
        ),
        roles_allowed=tuple(
            read_text(one, "entry.roles_allowed") for one in _few(given.roles_allowed, "entry.roles_allowed")
        ),
        policy=read_text(given.policy, "entry.policy", required=False),
    )


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
        effect=show_enum(entry.effect, reg.EffectKind),
        effect_class=show_enum(entry.effect_class, reg.EffectClass),
        cost_class=show_enum(entry.cost_class, reg.CostClass),
        success_rule=show_enum(entry.success_rule, reg.SuccessRule),
        is_error_means=show_enum(entry.is_error_means, reg.ErrorMeaning),
        key_placement=show_enum(entry.key_placement, reg.KeyPlacement),
    )
    state = pb.TOOL_STATE_QUARANTINED if tool.quarantined else pb.TOOL_STATE_ACTIVE
    return pb.Tool(tool=tool.id, entry=shown, state=state, quarantine_code=tool.quarantined)


def tools_of(view: ControlView, who: events.Principal) -> list[control.Tool]:
    """The tools that the caller's tenant may see, ordered by id."""
    offered = {name for name, server in view.servers.items() if server.serves(who.tenant)}
    return [view.tools[name] for name in sorted(view.tools) if view.tools[name].entry.server in offered]


def show_config(view: ControlView, who: events.Principal, operator: bool) -> pb.GetConfigResponse:
    """Everything in force that the caller may see: an operator all of it, others what concerns their tenant."""

    def seen(kind: StrEnum, name: str) -> bool:
        return operator or _concerns(who, kind.value, name)

    policy = view.policies.get(who.tenant) or view.policies.get("")
    return pb.GetConfigResponse(
        control_seq=view.seq,
        fresh=view.fresh,
        switches=[show_switch(one) for (kind, name), one in view.switches.items() if seen(kind, name)],
        servers=[
            show_server(one, None if operator else who.tenant)
            for one in view.servers.values()
            if operator or one.serves(who.tenant)
        ],
        budgets=[show_budget(cap) for (kind, name), caps in view.caps.items() if seen(kind, name) for cap in caps],
        policy=None if policy is None else pb.Policy(policy_hash=policy.hash.hex()),
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
        tools=len(view.tools) if operator else len(tools_of(view, who)),
    )


def show_switch(switch: control.Switch) -> pb.Switch:
    kind = show_enum(switch.kind, pb.SwitchKind)
    return pb.Switch(kind=kind, id=switch.id, stopped=True, reason=switch.reason, by=switch.by)


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


def _read_extractor(given: reg.Extractor) -> events.Extractor:
    return events.Extractor(
        kind=read_enum(given.kind, reg.ExtractorKind, events.ExtractorKind, "extractor.kind"),
        type=read_text(given.type, "extractor.type"),
        path=read_text(given.path, "extractor.path", required=False),
        pattern=read_text(given.pattern, "extractor.pattern", PATTERN_MAX, required=False),
        template=read_text(given.template, "extractor.template", PATTERN_MAX, required=False),
    )


def _show_extractor(one: events.Extractor) -> reg.Extractor:
    return reg.Extractor(
        kind=show_enum(one.kind, reg.ExtractorKind),
        type=one.type,
        path=one.path,
        pattern=one.pattern,
        template=one.template,
    )


def _concerns(who: events.Principal, kind: str, name: str) -> bool:
    """Is it about all, about the caller's tenant, or about one of the caller's accounts?"""
    match kind:
        case "TENANT":
            return name == who.tenant
        case "ACCOUNT":
            return name in {f"{who.tenant}/{account}" for account in who.accounts}
        case _:
            return True


def _few(items: Iterable[T], field: str) -> list[T]:
    found = list(items)
    if len(found) > LIST_MAX:
        raise BadRequest(f"{field} has more than {LIST_MAX} items")
    return found


def _not_negative(value: int, field: str) -> int:
    if value < 0:
        raise BadRequest(f"{field} is negative")
    return value


def _positive(value: int, field: str) -> int:
    if value < 1:
        raise BadRequest(f"{field} must be at least 1")
    return value
