"""The front of control: takes operators' changes to the one control lane, and shows what is in force from memory."""

# ruff: noqa: N802 - the contract names the methods
from __future__ import annotations

from typing import Any, Protocol

from libs.contracts import events
from libs.contracts.proto.deedbook.control.v1 import control_pb2 as pb
from libs.contracts.proto.deedbook.control.v1 import control_pb2_grpc as rpc
from libs.contracts.proto.deedbook.control.v1 import registry_pb2 as reg
from libs.governance.control import ControlView
from libs.governance.policy import PolicyRefused, read_policy
from libs.runtime.clock import wall_micros
from libs.runtime.outbound import CommandLog, signed
from libs.runtime.requests import (
    read_digest,
    read_enum,
    read_page_size,
    read_place,
    read_reason,
    read_text,
    show_micros,
    show_place,
)
from libs.runtime.rpc import BadRequest, RoleMissing, caller
from services.control.adapters import wire

NAME = "deedbook.control.v1.ControlService"
OPERATOR = "operator"


class View(Protocol):
    """What is in force, as of now."""

    @property
    def view(self) -> ControlView: ...


class ControlHandler(rpc.ControlServiceServicer):
    """Each change answers once its command is durable; the control decider says whether it takes effect."""

    def __init__(self, commands: CommandLog, tail: View) -> None:
        self._commands = commands
        self._tail = tail

    async def FlipSwitch(self, request: pb.FlipSwitchRequest, context: Any) -> pb.FlipSwitchResponse:
        author = _operator(request.reason)
        switch = request.switch
        kind = read_enum(switch.kind, pb.SwitchKind, events.SwitchKind, "switch.kind")
        name = switch.id or (caller().tenant if kind is events.SwitchKind.TENANT else "")
        name = read_text(name, "switch.id", required=kind is not events.SwitchKind.GLOBAL)
        command = events.FlipSwitch(kind=kind, id=name, stopped=switch.stopped, **author)
        return pb.FlipSwitchResponse(command_id=await self._commands.give_control(command))

    async def RegisterTool(self, request: pb.RegisterToolRequest, context: Any) -> pb.RegisterToolResponse:
        author = _operator(request.reason)
        command = events.RegisterTool(
            tool=read_text(request.tool, "tool"), entry=wire.read_entry(request.entry), **author
        )
        return pb.RegisterToolResponse(command_id=await self._commands.give_control(command))

    async def RemoveTool(self, request: pb.RemoveToolRequest, context: Any) -> pb.RemoveToolResponse:
        command = events.RemoveTool(tool=read_text(request.tool, "tool"), **_operator(request.reason))
        return pb.RemoveToolResponse(command_id=await self._commands.give_control(command))

    async def AcceptTool(self, request: pb.AcceptToolRequest, context: Any) -> pb.AcceptToolResponse:
        author = _operator(request.reason)
        digest = read_digest(request.definition_hash, "definition_hash")
        command = events.AcceptTool(tool=read_text(request.tool, "tool"), definition_hash=digest, **author)
        return pb.AcceptToolResponse(command_id=await self._commands.give_control(command))

    async def QuarantineTool(self, request: pb.QuarantineToolRequest, context: Any) -> pb.QuarantineToolResponse:
        author = _operator(request.reason)
        command = events.QuarantineTool(tool=read_text(request.tool, "tool"), code="BY_HAND", **author)
        return pb.QuarantineToolResponse(command_id=await self._commands.give_control(command))

    async def RegisterServer(self, request: pb.RegisterServerRequest, context: Any) -> pb.RegisterServerResponse:
        author, server = _operator(request.reason), request.server
        command = events.RegisterServer(
            server=read_text(server.server, "server.server"),
            transport=read_enum(server.transport, reg.Transport, events.Transport, "server.transport"),
            profile=read_text(server.profile, "server.profile"),
            tenants=tuple(read_text(name, "server.tenants") for name in server.tenants),
            **author,
        )
        return pb.RegisterServerResponse(command_id=await self._commands.give_control(command))

    async def RemoveServer(self, request: pb.RemoveServerRequest, context: Any) -> pb.RemoveServerResponse:
        command = events.RemoveServer(server=read_text(request.server, "server"), **_operator(request.reason))
        return pb.RemoveServerResponse(command_id=await self._commands.give_control(command))

    async def DefineBudget(self, request: pb.DefineBudgetRequest, context: Any) -> pb.DefineBudgetResponse:
        author, budget = _operator(request.reason), request.budget
        soft = budget.soft_micros if budget.HasField("soft_micros") else None
        if budget.hard_micros < 0 or (soft is not None and not 0 <= soft <= budget.hard_micros):
            raise BadRequest("budget: 0 <= soft_micros <= hard_micros must hold")
        command = events.DefineBudget(**_scope(budget), hard_micros=budget.hard_micros, soft_micros=soft, **author)
        return pb.DefineBudgetResponse(command_id=await self._commands.give_control(command))

    async def RemoveBudget(self, request: pb.RemoveBudgetRequest, context: Any) -> pb.RemoveBudgetResponse:
        command = events.RemoveBudget(**_scope(request), **_operator(request.reason))
        return pb.RemoveBudgetResponse(command_id=await self._commands.give_control(command))

    async def PublishPolicy(self, request: pb.PublishPolicyRequest, context: Any) -> pb.PublishPolicyResponse:
        author = _operator(request.reason)
        try:
            digest = read_policy(request.policy.policy).hash
        except PolicyRefused as error:
            raise BadRequest(f"policy: {error}", error.code) from None
        tenant = read_text(request.policy.tenant, "policy.tenant", required=False)
        command = events.PublishPolicy(tenant=tenant, policy=request.policy.policy, policy_hash=digest, **author)
        command_id = await self._commands.give_control(command)
        return pb.PublishPolicyResponse(command_id=command_id, policy_hash=digest.hex())

    async def SetRateLimit(self, request: pb.SetRateLimitRequest, context: Any) -> pb.SetRateLimitResponse:
        author, limit = _operator(request.reason), request.rate_limit
        permits = limit.permits if limit.HasField("permits") else None
        if limit.window_ms < 1 or (permits is not None and permits < 0):
            raise BadRequest("rate_limit: window_ms must be at least 1, and permits not negative")
        command = events.SetRateLimit(
            kind=read_enum(limit.kind, pb.RateLimitKind, events.RateLimitKind, "rate_limit.kind"),
            id=read_text(limit.id, "rate_limit.id"),
            window_ms=limit.window_ms,
            permits=permits,
            **author,
        )
        return pb.SetRateLimitResponse(command_id=await self._commands.give_control(command))

    async def SetFlag(self, request: pb.SetFlagRequest, context: Any) -> pb.SetFlagResponse:
        author, flag = _operator(request.reason), request.flag
        level = read_enum(flag.level, pb.FlagLevel, events.FlagLevel, "flag.level")
        command = events.SetFlag(
            level=level,
            id=read_text(flag.id, "flag.id", required=level is not events.FlagLevel.GLOBAL),
            name=read_text(flag.name, "flag.name"),
            value=read_text(flag.value, "flag.value", 1000, required=False) if flag.HasField("value") else None,
            **author,
        )
        return pb.SetFlagResponse(command_id=await self._commands.give_control(command))

    async def ListTools(self, request: pb.ListToolsRequest, context: Any) -> pb.ListToolsResponse:
        size = read_page_size(request.page_size if request.HasField("page_size") else None)
        after = read_place(request.page_token)
        found = [tool for tool in wire.tools_of(self._tail.view, caller()) if tool.id > after]
        found = [tool for tool in found if request.server in ("", tool.entry.server)]
        page = found[:size]
        more = show_place(page[-1].id) if len(found) > size else ""
        return pb.ListToolsResponse(tools=[wire.show_tool(tool) for tool in page], next_page_token=more)

    async def GetConfig(self, request: pb.GetConfigRequest, context: Any) -> pb.GetConfigResponse:
        view = self._tail.view
        shown = wire.show_config(view, caller(), OPERATOR in caller().roles)
        shown.read_time.CopyFrom(show_micros(wall_micros()))
        return shown


def _operator(reason: str) -> dict[str, Any]:
    """Who changes what is in force, and why. Raises RoleMissing, BadRequest."""
    if OPERATOR not in caller().roles:
        raise RoleMissing
    return signed(read_reason(reason))


def _scope(given: pb.Budget | pb.RemoveBudgetRequest) -> dict[str, Any]:
    """What names a budget."""
    kind = read_enum(given.kind, pb.BudgetKind, events.BudgetKind, "kind")
    cost_class = None
    if given.cost_class != reg.COST_CLASS_UNSPECIFIED:
        cost_class = read_enum(given.cost_class, reg.CostClass, events.CostClass, "cost_class")
    return {
        "kind": kind,
        "id": read_text(given.id, "id", required=kind is not events.BudgetKind.GLOBAL),
        "cost_class": cost_class,
        "period": read_enum(given.period, pb.BudgetPeriod, events.BudgetPeriod, "period"),
    }
