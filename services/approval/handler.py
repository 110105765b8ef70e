"""The front of approval: puts votes and withdrawals on the log. Whether they count is decided there, by the decider."""

# ruff: noqa: N802 - the contract names the methods
from __future__ import annotations

from typing import Any

from libs.contracts import events
from libs.contracts.proto.deedbook.approval.v1 import approval_pb2 as pb
from libs.contracts.proto.deedbook.approval.v1 import approval_pb2_grpc as rpc
from libs.runtime.outbound import CommandLog, signed
from libs.runtime.requests import read_digest, read_enum, read_id, read_reason

NAME = "deedbook.approval.v1.ApprovalService"


class ApprovalHandler(rpc.ApprovalServiceServicer):
    """Every method answers once the command is durable."""

    def __init__(self, commands: CommandLog) -> None:
        self._commands = commands

    async def Vote(self, request: pb.VoteRequest, context: Any) -> pb.VoteResponse:
        command = events.ApprovalVote(
            intent_id=read_id(request.intent_id, "intent_id"),
            vote=read_enum(request.decision, pb.Decision, events.Vote, "decision"),
            action_digest=read_digest(request.action_digest, "action_digest"),
            **signed(read_reason(request.reason, required=False)),
        )
        return pb.VoteResponse(command_id=await self._commands.give(command))

    async def Withdraw(self, request: pb.WithdrawRequest, context: Any) -> pb.WithdrawResponse:
        command = events.WithdrawApproval(
            intent_id=read_id(request.intent_id, "intent_id"), **signed(read_reason(request.reason, required=False))
        )
        return pb.WithdrawResponse(command_id=await self._commands.give(command))
