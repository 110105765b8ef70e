"""Operators change what is in force, nobody else; what is shown concerns the caller's tenant alone (D1, D2, T11)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from libs.contracts import events
from libs.contracts.proto.deedbook.control.v1 import control_pb2 as pb
from libs.contracts.proto.deedbook.control.v1 import registry_pb2 as reg
from libs.governance.changes import Changed
from libs.governance.control import Cap, ControlView, Server, Switch, Tool
from libs.governance.digests import canonical_hash
from libs.ledger.codec import decode_message
from libs.runtime.outbound import CommandLog
from libs.runtime.requests import read_id, show_id
from libs.runtime.rpc import BadRequest, NotFound, RoleMissing, enter
from services.control.handler import ControlHandler
from tests.unit.gateway.fakes import AGENT, OPERATOR, PLATFORM, FakeLog

pytestmark = [pytest.mark.requirement("D1"), pytest.mark.requirement("D2"), pytest.mark.requirement("T11")]

ENTRY = reg.ToolEntry(
    server="git",
    definition='{"name": "git_log", "inputSchema": {"type": "object"}}',
    definition_hash="00" * 32,
    capability="code.read",
    price_micros=7,
    timeout_ms=5000,
    extractors=[reg.Extractor(kind=reg.EXTRACTOR_KIND_TEXT, type="commit", pattern="commit (.*)")],
    secret_fields=["a.b"],
)
POLICY = '{"version": 1, "tools": {"allow": ["git/*"]}}'
CHANGES: list[tuple[str, Any, type]] = [
    ("FlipSwitch", pb.FlipSwitchRequest(switch=pb.Switch(kind=pb.SWITCH_KIND_GLOBAL, stopped=True)), events.FlipSwitch),
    ("RegisterTool", pb.RegisterToolRequest(tool="git/git_log", entry=ENTRY), events.RegisterTool),
    ("RemoveTool", pb.RemoveToolRequest(tool="git/git_log"), events.RemoveTool),
    ("AcceptTool", pb.AcceptToolRequest(tool="git/git_log", definition_hash="ab" * 32), events.AcceptTool),
    ("QuarantineTool", pb.QuarantineToolRequest(tool="git/git_log"), events.QuarantineTool),
    (
        "RegisterServer",
        pb.RegisterServerRequest(server=pb.Server(server="git", transport=reg.TRANSPORT_STDIO, profile="git")),
        events.RegisterServer,
    ),
    ("RemoveServer", pb.RemoveServerRequest(server="git"), events.RemoveServer),
    (
        "DefineBudget",
        pb.DefineBudgetRequest(
            budget=pb.Budget(kind=pb.BUDGET_KIND_TENANT, id="acme", period=pb.BUDGET_PERIOD_DAY, hard_micros=5)
        ),
        events.DefineBudget,
    ),
    (
        "RemoveBudget",
        pb.RemoveBudgetRequest(
            kind=pb.BUDGET_KIND_GLOBAL, period=pb.BUDGET_PERIOD_ONCE, cost_class=reg.COST_CLASS_CHEAP
        ),
        events.RemoveBudget,
    ),
    ("PublishPolicy", pb.PublishPolicyRequest(policy=pb.Policy(tenant="acme", policy=POLICY)), events.PublishPolicy),
    (
        "SetRateLimit",
        pb.SetRateLimitRequest(
            rate_limit=pb.RateLimit(kind=pb.RATE_LIMIT_KIND_TOOL, id="git/git_log", permits=0, window_ms=1000)
        ),
        events.SetRateLimit,
    ),
    ("SetFlag", pb.SetFlagRequest(flag=pb.Flag(level=pb.FLAG_LEVEL_GLOBAL, name="f", value="true")), events.SetFlag),
]


@dataclass
class InForce:
    """What is in force in a test."""

    view: ControlView


def handler(log: FakeLog, view: ControlView | None = None) -> Any:
    return ControlHandler(CommandLog(log, 8), InForce(view or ControlView()))


def why(request: Any, reason: str = "drill") -> Any:
    copy = type(request).FromString(request.SerializeToString())
    copy.reason = reason
    return copy


async def written(method: str, request: Any) -> Any:
    log = FakeLog()
    enter(PLATFORM)
    answer = await getattr(handler(log), method)(why(request), None)
    (record,) = log.sent
    command = decode_message(record.value, "control.commands")
    assert (record.topic, record.partition, record.key) == ("control.commands", 0, command.command_id)
    assert read_id(answer.command_id, "id") == command.command_id
    assert (command.principal, command.reason) == (PLATFORM, "drill")
    return command


@pytest.mark.parametrize(("method", "request_", "kind"), CHANGES)
async def test_an_operators_change_is_written_with_who_and_why(method: str, request_: Any, kind: type) -> None:
    assert isinstance(await written(method, request_), kind)


def test_every_change_of_the_contract_is_tried_here() -> None:
    methods = {method.name for method in pb.DESCRIPTOR.services_by_name["ControlService"].methods}
    assert methods - {"ListTools", "GetConfig", "GetChange"} == {method for method, _, _ in CHANGES}


@pytest.mark.parametrize(("method", "request_", "kind"), CHANGES)
async def test_nobody_else_and_nobody_without_a_reason_changes_anything(method: str, request_: Any, kind: type) -> None:
    log = FakeLog()
    enter(AGENT)
    with pytest.raises(RoleMissing):
        await getattr(handler(log), method)(why(request_), None)
    enter(PLATFORM)
    with pytest.raises(BadRequest, match="reason"):
        await getattr(handler(log), method)(why(request_, ""), None)
    assert log.sent == []


async def test_what_is_not_said_about_a_tool_takes_the_most_careful_meaning() -> None:
    command = await written("RegisterTool", pb.RegisterToolRequest(tool="git/git_log", entry=ENTRY))
    entry: events.ToolEntry = command.entry
    assert (entry.effect, entry.effect_class) == (events.EffectKind.WRITE, events.EffectClass.OPAQUE)
    assert (entry.cost_class, entry.success_rule) == (events.CostClass.EXPENSIVE, events.SuccessRule.REFS)
    assert (entry.is_error_means, entry.attempts_max) == (events.ErrorMeaning.AMBIGUOUS, 1)
    assert (entry.backoff_ms, entry.backoff_max_ms) == (1000, 60_000)


async def test_a_definitions_hash_is_computed_here() -> None:
    command = await written("RegisterTool", pb.RegisterToolRequest(tool="git/git_log", entry=ENTRY))
    definition = {"name": "git_log", "inputSchema": {"type": "object"}}
    assert command.entry.definition_hash == canonical_hash(definition)
    assert command.entry.definition == '{"inputSchema":{"type":"object"},"name":"git_log"}'


async def test_a_switch_without_a_tenant_is_the_callers() -> None:
    request = pb.FlipSwitchRequest(switch=pb.Switch(kind=pb.SWITCH_KIND_TENANT, stopped=True))
    assert (await written("FlipSwitch", request)).id == "acme"


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        ("FlipSwitch", pb.FlipSwitchRequest()),
        ("FlipSwitch", pb.FlipSwitchRequest(switch=pb.Switch(kind=pb.SWITCH_KIND_TOOL))),
        ("RegisterTool", pb.RegisterToolRequest(tool="git/x", entry=reg.ToolEntry(server="git", timeout_ms=1))),
        (
            "RegisterTool",
            pb.RegisterToolRequest(tool="t", entry=reg.ToolEntry(server="s", definition="{}", capability="c")),
        ),
        ("AcceptTool", pb.AcceptToolRequest(tool="t", definition_hash="xyz")),
        ("RegisterServer", pb.RegisterServerRequest(server=pb.Server(server="s", profile="p"))),
        ("PublishPolicy", pb.PublishPolicyRequest(policy=pb.Policy(policy="{}"))),
        (
            "PublishPolicy",
            pb.PublishPolicyRequest(policy=pb.Policy(policy='{"version": 1, "tools": {"allow": ["git"]}}')),
        ),
        (
            "DefineBudget",
            pb.DefineBudgetRequest(
                budget=pb.Budget(kind=pb.BUDGET_KIND_GLOBAL, period=pb.BUDGET_PERIOD_DAY, hard_micros=1, soft_micros=2)
            ),
        ),
        ("DefineBudget", pb.DefineBudgetRequest(budget=pb.Budget(kind=pb.BUDGET_KIND_GLOBAL, hard_micros=1))),
        ("SetRateLimit", pb.SetRateLimitRequest(rate_limit=pb.RateLimit(kind=pb.RATE_LIMIT_KIND_TOOL, id="t"))),
        ("SetFlag", pb.SetFlagRequest(flag=pb.Flag(level=pb.FLAG_LEVEL_TENANT, name="f"))),
    ],
)
async def test_a_malformed_change_is_refused(method: str, request_: Any) -> None:
    log = FakeLog()
    enter(PLATFORM)
    with pytest.raises(BadRequest):
        await getattr(handler(log), method)(why(request_), None)
    assert log.sent == []


def in_force() -> ControlView:
    """Two servers, one of them another tenant's, and what concerns this tenant and others."""
    entry = events.ToolEntry(
        server="git", definition="{}", definition_hash=bytes(32), capability="c", effect=events.EffectKind.READ,
        effect_class=events.EffectClass.READ_ONLY, cost_class=events.CostClass.CHEAP, price_micros=1, timeout_ms=1,
    )  # fmt: skip
    foreign = events.ToolEntry(**{name: getattr(entry, name) for name in entry.__struct_fields__} | {"server": "hr"})
    tools = {f"git/t{n:02}": Tool(f"git/t{n:02}", entry, n) for n in range(60)}
    places = [
        (events.SwitchKind.TENANT, "acme"),
        (events.SwitchKind.TENANT, "rival"),
        (events.SwitchKind.TOOL, "git/t01"),
        (events.SwitchKind.TOOL, "hr/pay"),
    ]
    places += [(events.SwitchKind.ACCOUNT, "acme/a1"), (events.SwitchKind.ACCOUNT, "acme/a9")]
    caps = [(events.BudgetKind.TENANT, "rival"), (events.BudgetKind.TENANT, "acme"), (events.BudgetKind.GLOBAL, "")]
    return ControlView(
        seq=9,
        fresh=True,
        tools=tools | {"hr/pay": Tool("hr/pay", foreign, 1), "lost/x": Tool("lost/x", entry, 1)},
        servers={
            "git": Server("git", events.Transport.STDIO, "git", ("acme", "rival")),
            "hr": Server("hr", events.Transport.STDIO, "hr", ("rival",)),
        },
        switches={place: Switch(*place, "olga", "drill", 1, 1) for place in places},
        caps={place: (Cap(*place, None, events.BudgetPeriod.DAY, 5, None, 1),) for place in caps},
    )


async def test_what_is_shown_is_the_same_with_and_without_another_tenant() -> None:
    enter(AGENT)
    shown = await handler(FakeLog(), in_force()).GetConfig(pb.GetConfigRequest(), None)
    assert (shown.control_seq, shown.fresh, shown.tools) == (9, True, 61)
    assert {one.id for one in shown.switches} == {"acme", "git/t01", "acme/a1"}
    assert [(one.server, list(one.tenants), one.profile) for one in shown.servers] == [("git", ["acme"], "")]
    assert {one.id for one in shown.budgets} == {"acme", ""}
    assert b"rival" not in shown.SerializeToString()
    assert b"hr" not in shown.SerializeToString()


async def test_who_rules_the_platform_sees_everything() -> None:
    enter(PLATFORM)
    shown = await handler(FakeLog(), in_force()).GetConfig(pb.GetConfigRequest(), None)
    assert len(shown.switches) == 6
    assert len(shown.budgets) == 3
    assert {one.profile for one in shown.servers} == {"git", "hr"}


async def test_an_operator_sees_all_of_the_own_tenant_and_nothing_of_another() -> None:
    enter(OPERATOR)
    shown = await handler(FakeLog(), in_force()).GetConfig(pb.GetConfigRequest(), None)
    assert {one.id for one in shown.switches} == {"acme", "git/t01", "acme/a1", "acme/a9"}
    assert {one.id for one in shown.budgets} == {"acme", ""}
    assert [(one.server, list(one.tenants), one.profile) for one in shown.servers] == [("git", ["acme"], "")]
    assert shown.tools == 61
    assert b"rival" not in shown.SerializeToString()
    assert b"hr" not in shown.SerializeToString()


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        ("FlipSwitch", pb.FlipSwitchRequest(switch=pb.Switch(kind=pb.SWITCH_KIND_GLOBAL, stopped=False))),
        ("FlipSwitch", pb.FlipSwitchRequest(switch=pb.Switch(kind=pb.SWITCH_KIND_TENANT, id="rival", stopped=True))),
        ("RemoveServer", pb.RemoveServerRequest(server="git")),
        ("PublishPolicy", pb.PublishPolicyRequest(policy=pb.Policy(policy=POLICY))),
    ],
)
async def test_an_operator_changes_nothing_beyond_the_own_tenant(method: str, request_: Any) -> None:
    log = FakeLog()
    enter(OPERATOR)
    with pytest.raises(RoleMissing, match="platform") as caught:
        await getattr(handler(log), method)(why(request_), None)
    assert (caught.value.code, log.sent) == ("PLATFORM_ROLE_MISSING", [])
    own = pb.FlipSwitchRequest(switch=pb.Switch(kind=pb.SWITCH_KIND_TENANT, stopped=True), reason="drill")
    await handler(log).FlipSwitch(own, None)
    assert len(log.sent) == 1


async def test_tools_are_listed_in_pages() -> None:
    enter(AGENT)
    names: list[str] = []
    token = ""
    while True:
        page = await handler(FakeLog(), in_force()).ListTools(pb.ListToolsRequest(page_size=25, page_token=token), None)
        names += [tool.tool for tool in page.tools]
        token = page.next_page_token
        if not token:
            break
    assert len(names) == len(set(names)) == 61
    assert names == sorted(names)
    assert "hr/pay" not in names


def decided(by: events.Principal, n: int, code: str = "") -> Changed:
    return Changed(n.to_bytes(16), by.tenant, by.subject, n, n * 1_000_000, code, "why" if code else "")


async def asked_for(changes: tuple[Changed, ...], n: int) -> Any:
    request = pb.GetChangeRequest(command_id=show_id(n.to_bytes(16)))
    return await handler(FakeLog(), ControlView(changes=changes)).GetChange(request, None)


async def test_who_asked_for_a_change_hears_what_became_of_it_and_nobody_else() -> None:
    changes = (decided(PLATFORM, 1), decided(PLATFORM, 2, "UNKNOWN_TOOL"), decided(OPERATOR, 3))
    enter(PLATFORM)
    first = await asked_for(changes, 1)
    assert (first.control_seq, first.code, first.decide_time.seconds) == (1, "", 1)
    assert (await asked_for(changes, 2)).code == "UNKNOWN_TOOL"
    for n in (3, 4):
        with pytest.raises(NotFound):
            await asked_for(changes, n)


@pytest.mark.parametrize("wrong", [{"page_size": 0}, {"page_size": 101}, {"page_token": "?"}, {"page_token": "/w=="}])
async def test_a_wrong_page_is_refused(wrong: dict[str, Any]) -> None:
    enter(AGENT)
    with pytest.raises(BadRequest):
        await handler(FakeLog(), in_force()).ListTools(pb.ListToolsRequest(**wrong), None)
