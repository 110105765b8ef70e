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
    read_id,
    read_page_size,
    read_place,
    show_micros,
    show_place,
)
from libs.runtime.rpc import BadRequest, NotFound, RoleMissing, caller
from services.control.adapters import wire
from services.control.checks import ChangeRefused
from services.control.reading import OPERATORS, ROLES, Change, check

NAME = "deedbook.control.v1.ControlService"


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
        author, switch = _author(request.reason), request.switch
        kind = read_enum(switch.kind, pb.SwitchKind, events.SwitchKind, "switch.kind")
        name = switch.id or (caller().tenant if kind is events.SwitchKind.TENANT else "")
        change = events.FlipSwitch(kind=kind, id=name, stopped=switch.stopped, **author)
        return pb.FlipSwitchResponse(command_id=await self._give(change))

    async def RegisterTool(self, request: pb.RegisterToolRequest, context: Any) -> pb.RegisterToolResponse:
        author = _author(request.reason)
        change = events.RegisterTool(tool=request.tool, entry=wire.read_entry(request.entry), **author)
        return pb.RegisterToolResponse(command_id=await self._give(change))

    async def RemoveTool(self, request: pb.RemoveToolRequest, context: Any) -> pb.RemoveToolResponse:
        change = events.RemoveTool(tool=request.tool, **_author(request.reason))
        return pb.RemoveToolResponse(command_id=await self._give(change))

    async def AcceptTool(self, request: pb.AcceptToolRequest, context: Any) -> pb.AcceptToolResponse:
        author = _author(request.reason)
        digest = read_digest(request.definition_hash, "definition_hash")
        change = events.AcceptTool(tool=request.tool, definition_hash=digest, **author)
        return pb.AcceptToolResponse(command_id=await self._give(change))

    async def QuarantineTool(self, request: pb.QuarantineToolRequest, context: Any) -> pb.QuarantineToolResponse:
        change = events.QuarantineTool(tool=request.tool, code="BY_HAND", **_author(request.reason))
        return pb.QuarantineToolResponse(command_id=await self._give(change))

    async def RegisterServer(self, request: pb.RegisterServerRequest, context: Any) -> pb.RegisterServerResponse:
        author, server = _author(request.reason), request.server
        change = events.RegisterServer(
            server=server.server,
            transport=read_enum(server.transport, reg.Transport, events.Transport, "server.transport"),
            profile=server.profile,
            tenants=tuple(server.tenants),
            **author,
        )
        return pb.RegisterServerResponse(command_id=await self._give(change))

    async def RemoveServer(self, request: pb.RemoveServerRequest, context: Any) -> pb.RemoveServerResponse:
        change = events.RemoveServer(server=request.server, **_author(request.reason))
        return pb.RemoveServerResponse(command_id=await self._give(change))

    async def DefineBudget(self, request: pb.DefineBudgetRequest, context: Any) -> pb.DefineBudgetResponse:
        author, budget = _author(request.reason), request.budget
        soft = budget.soft_micros if budget.HasField("soft_micros") else None
        change = events.DefineBudget(**_scope(budget), hard_micros=budget.hard_micros, soft_micros=soft, **author)
        return pb.DefineBudgetResponse(command_id=await self._give(change))

    async def RemoveBudget(self, request: pb.RemoveBudgetRequest, context: Any) -> pb.RemoveBudgetResponse:
        author = _author(request.reason)
        return pb.RemoveBudgetResponse(command_id=await self._give(events.RemoveBudget(**_scope(request), **author)))

    async def PublishPolicy(self, request: pb.PublishPolicyRequest, context: Any) -> pb.PublishPolicyResponse:
        author, policy = _author(request.reason), request.policy
        digest = _policy_hash(policy.policy)
        change = events.PublishPolicy(tenant=policy.tenant, policy=policy.policy, policy_hash=digest, **author)
        return pb.PublishPolicyResponse(command_id=await self._give(change), policy_hash=digest.hex())

    async def SetRateLimit(self, request: pb.SetRateLimitRequest, context: Any) -> pb.SetRateLimitResponse:
        author, limit = _author(request.reason), request.rate_limit
        change = events.SetRateLimit(
            kind=read_enum(limit.kind, pb.RateLimitKind, events.RateLimitKind, "rate_limit.kind"),
            id=limit.id,
            window_ms=limit.window_ms,
            permits=limit.permits if limit.HasField("permits") else None,
            **author,
        )
        return pb.SetRateLimitResponse(command_id=await self._give(change))

    async def SetFlag(self, request: pb.SetFlagRequest, context: Any) -> pb.SetFlagResponse:
        author, flag = _author(request.reason), request.flag
        change = events.SetFlag(
            level=read_enum(flag.level, pb.FlagLevel, events.FlagLevel, "flag.level"),
            id=flag.id,
            name=flag.name,
            value=flag.value if flag.HasField("value") else None,
            **author,
        )
        return pb.SetFlagResponse(command_id=await self._give(change))

    async def GetChange(self, request: pb.GetChangeRequest, context: Any) -> pb.GetChangeResponse:
        command_id, who = read_id(request.command_id, "command_id"), (caller().tenant, caller().subject)
        found = [one for one in self._tail.view.changes if one.command_id == command_id and (one.tenant, one.by) == who]
        if not found:
            raise NotFound
        return wire.show_change(found[-1])

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
        shown = wire.show_config(view, caller(), OPERATORS)
        shown.read_time.CopyFrom(show_micros(wall_micros()))
        return shown

    async def _give(self, change: Change) -> str:
        """Put a change on the log, unless the control service would refuse it anyway."""
        try:
            return await self._commands.give_control(check(change))
        except ChangeRefused as error:
            if error.code in ("ROLE_MISSING", "PLATFORM_ROLE_MISSING"):
                raise RoleMissing(error.reason, error.code) from None
            raise BadRequest(error.reason, error.code) from None


def _author(reason: str) -> dict[str, Any]:
    """Who changes what is in force, and why. Raises RoleMissing."""
    if set(ROLES).isdisjoint(caller().roles):
        raise RoleMissing
    return signed(reason)


def _policy_hash(text: str) -> bytes:
    """The name of a policy; zeros for one that cannot be read, which is refused for that."""
    try:
        return read_policy(text).hash
    except PolicyRefused:
        return bytes(32)


def _scope(given: pb.Budget | pb.RemoveBudgetRequest) -> dict[str, Any]:
    """What names a budget."""
    cost_class = None
    if given.cost_class != reg.COST_CLASS_UNSPECIFIED:
        cost_class = read_enum(given.cost_class, reg.CostClass, events.CostClass, "cost_class")
    return {
        "kind": read_enum(given.kind, pb.BudgetKind, events.BudgetKind, "kind"),
        "id": given.id,
        "cost_class": cost_class,
        "period": read_enum(given.period, pb.BudgetPeriod, events.BudgetPeriod, "period"),
    }
