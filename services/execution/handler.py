"""The front of execution: puts what people say about one intent on the log (cancel, resolve, unpark)."""

# ruff: noqa: N802 - the contract names the methods
from __future__ import annotations

from typing import Any

from libs.contracts import events
from libs.contracts.proto.deedbook.commands.v1 import commands_pb2 as pb
from libs.contracts.proto.deedbook.commands.v1 import commands_pb2_grpc as rpc
from libs.runtime.outbound import CommandLog, signed
from libs.runtime.requests import read_id, read_reason
from libs.runtime.rpc import BadRequest

NAME = "deedbook.commands.v1.CommandsService"
PARKING = ("intake", "validation", "approval", "budget", "execution", "outcome")


class CommandsHandler(rpc.CommandsServiceServicer):
    """Every method answers once the command is durable."""

    def __init__(self, commands: CommandLog) -> None:
        self._commands = commands

    async def Cancel(self, request: pb.CancelRequest, context: Any) -> pb.CancelResponse:
        command = events.Cancel(
            intent_id=read_id(request.intent_id, "intent_id"), **signed(read_reason(request.reason, required=False))
        )
        return pb.CancelResponse(command_id=await self._commands.give(command))

    async def Resolve(self, request: pb.ResolveRequest, context: Any) -> pb.ResolveResponse:
        cost_micros = request.cost_micros if request.HasField("cost_micros") else None
        if cost_micros is not None and cost_micros < 0:
            raise BadRequest("cost_micros is negative")
        command = events.Resolve(
            intent_id=read_id(request.intent_id, "intent_id"),
            applied=request.applied,
            evidence=read_reason(request.evidence, "evidence"),
            cost_micros=cost_micros,
            **signed(read_reason(request.reason)),
        )
        return pb.ResolveResponse(command_id=await self._commands.give(command))

    async def Unpark(self, request: pb.UnparkRequest, context: Any) -> pb.UnparkResponse:
        if request.service not in PARKING:
            raise BadRequest(f"service must be one of {', '.join(PARKING)}")
        command = events.Unpark(
            intent_id=read_id(request.intent_id, "intent_id"),
            service=request.service,
            **signed(read_reason(request.reason)),
        )
        return pb.UnparkResponse(command_id=await self._commands.give(command))
