"""What operators ask and say over gRPC: what is in force, and changes of it, each with what became of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc.aio

from libs.client.calling import Caller, Pause
from libs.client.connection import Connection
from libs.client.ending import Exit, Failed, told
from libs.client.errors import NotFound
from libs.client.options import connection
from libs.contracts.proto.deedbook.control.v1 import control_pb2 as pb
from libs.contracts.proto.deedbook.control.v1 import control_pb2_grpc as rpc
from libs.governance.remedies import remedy

DECIDED_S = 15.0
PAGE = 100
NOT_ALLOWED = frozenset({"ROLE_MISSING", "PLATFORM_ROLE_MISSING"})
NOT_FOUND = frozenset({"UNKNOWN_TOOL", "UNKNOWN_SERVER", "UNKNOWN_BUDGET", "NOT_STOPPED"})

T = TypeVar("T")


@dataclass(frozen=True)
class Done:
    """A change that is in force. `asked_at`: wall clock in seconds, just before it was asked for."""

    command_id: str
    control_seq: int
    asked_at: float


class Control:
    """Speaks with the control service for the one whose token the connection has."""

    def __init__(self, channel: grpc.aio.Channel, caller: Caller) -> None:
        self._stub: Any = rpc.ControlServiceStub(channel)
        self._caller = caller

    async def config(self) -> pb.GetConfigResponse:
        """Everything in force that the caller may see. Raises a DeedbookError."""
        return await self._caller.until_answered(self._stub.GetConfig, pb.GetConfigRequest())

    async def tools(self, server: str = "") -> list[pb.Tool]:
        """All tools of a server, of all servers without one. Raises a DeedbookError."""
        found: list[pb.Tool] = []
        token = ""
        while True:
            request = pb.ListToolsRequest(server=server, page_size=PAGE, page_token=token)
            page = await self._caller.until_answered(self._stub.ListTools, request)
            found += page.tools
            token = page.next_page_token
            if not token:
                return found

    async def change(self, method: str, request: Any) -> Done:
        """Ask for a change and wait until it is in force. Raises Failed with the code of why it was refused, or
        NO_ANSWER; a DeedbookError when it could not be asked for."""
        asked_at = time.time()
        answer = await self._caller.once(getattr(self._stub, method), request)
        try:
            async with asyncio.timeout(DECIDED_S):
                found = await self._decided(answer.command_id)
        except TimeoutError:
            raise Failed(
                "NO_ANSWER",
                f"the change {answer.command_id} is on the log and was not decided within {DECIDED_S:g} s",
                "It will be, when the control service works again: `deed doctor` says what is wrong.",
                Exit.AWAY,
            ) from None
        if found.code:
            exit_code = Exit.NOT_ALLOWED if found.code in NOT_ALLOWED else Exit.REFUSED
            exit_code = Exit.NOT_FOUND if found.code in NOT_FOUND else exit_code
            raise Failed(found.code, found.reason, remedy(found.code), exit_code)
        return Done(answer.command_id, found.control_seq, asked_at)

    async def _decided(self, command_id: str) -> pb.GetChangeResponse:
        pause = Pause()
        while True:
            try:
                request = pb.GetChangeRequest(command_id=command_id)
                return await self._caller.until_answered(self._stub.GetChange, request)
            except NotFound:
                await pause.take()


def operate(work: Callable[[Control], Awaitable[T]]) -> T:
    """Do something with the control service. What goes wrong is told, and ends the program."""

    async def run(to: Connection) -> T:
        async with to.open(to.gateway) as channel:
            return await work(Control(channel, Caller(to)))

    with told():
        return asyncio.run(run(connection()))
