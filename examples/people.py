"""Who takes part in the demo, each with a token of their own and nothing but gRPC: an agent (a program; no model is
needed), an operator, somebody who is asked, and somebody who finds out what happened."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from examples.tools import ACCOUNT, BUDGETS, POLICY, SANDBOX, TENANT, TOOLS, tool_entry
from libs.contracts.proto.deedbook.approval.v1 import approval_pb2 as approval
from libs.contracts.proto.deedbook.approval.v1 import approval_pb2_grpc as approval_rpc
from libs.contracts.proto.deedbook.commands.v1 import commands_pb2 as commands
from libs.contracts.proto.deedbook.commands.v1 import commands_pb2_grpc as commands_rpc
from libs.contracts.proto.deedbook.control.v1 import control_pb2 as control
from libs.contracts.proto.deedbook.control.v1 import control_pb2_grpc as control_rpc
from libs.contracts.proto.deedbook.control.v1 import registry_pb2 as registry
from libs.contracts.proto.deedbook.intake.v1 import intake_pb2 as intake
from libs.contracts.proto.deedbook.intake.v1 import intake_pb2_grpc as intake_rpc
from libs.contracts.proto.deedbook.status.v1 import status_pb2 as status
from libs.contracts.proto.deedbook.status.v1 import status_pb2_grpc as status_rpc
from libs.runtime.devkeys import Who

AGENT = Who("agent-7", TENANT, "MACHINE", (ACCOUNT, SANDBOX))
OPERATOR = Who("olga", TENANT, "HUMAN", (ACCOUNT,), ("operator", "platform"))  # registers servers and tools, too
APPROVER = Who("ann", TENANT, "HUMAN", (ACCOUNT,), ("approver",))
RESOLVER = Who("rosa", TENANT, "HUMAN", (ACCOUNT,), ("resolver",))
HOUR_S = 3600
CALL_S = 20.0
PATIENCE_S = 40.0
POLL_S = 0.05
# Until it has ended, or nobody knows how it ended; until it has ended; until somebody has to agree.
GOING: frozenset[int] = frozenset(
    {status.STATE_PENDING, status.STATE_AWAITING_APPROVAL, status.STATE_READY, status.STATE_RUNNING}
)
UNRESOLVED = GOING | {status.STATE_IN_DOUBT}
UNASKED = GOING - {status.STATE_AWAITING_APPROVAL}


@dataclass(frozen=True)
class Proposal:
    """One intent. It rests on a ticket that was read `age_s` seconds ago."""

    key: str
    tool: str
    arguments: dict[str, Any]
    age_s: int = 5
    account: str = ACCOUNT


class Agent:
    """Proposes. It holds no credential but its own token, and no tool."""

    def __init__(self, gateway: grpc.aio.Channel, questions: grpc.aio.Channel, token: str) -> None:
        self._intake = intake_rpc.IntakeServiceStub(gateway)
        self._status = status_rpc.StatusServiceStub(questions)
        self._token = _bearer(token)

    async def propose(self, proposal: Proposal) -> intake.SubmitResponse:
        """Submit one intent; the answer has the ids of intent and submission."""
        intent = intake.Intent(
            idempotency_key=proposal.key,
            account=proposal.account,
            tool=f"git/{proposal.tool}",
            capability=TOOLS[proposal.tool].capability,
            arguments=json.dumps(proposal.arguments),
            evidence=[intake.Evidence(kind=intake.EVIDENCE_KIND_SOURCE, type="ticket", id="OPS-17")],
            data_sources=[intake.DataSource(name="tickets", as_of_time=_moment(-proposal.age_s))],
            expire_time=_moment(HOUR_S),
        )
        return await self._intake.Submit(
            intake.SubmitRequest(intent=intent), metadata=self._token, timeout=CALL_S, wait_for_ready=True
        )

    async def get(self, intent_id: str) -> status.Intent:
        """The intent as it is now."""
        answer = await self._status.Get(status.GetRequest(intent_id=intent_id), metadata=self._token, timeout=CALL_S)
        return answer.intent

    async def submission(self, sent: intake.SubmitResponse) -> status.Submission:
        """What became of a submission, as soon as it is decided."""
        request = status.GetSubmissionRequest(
            submission_id=sent.submission_id, intent_id=sent.intent_id, content_digest=sent.content_digest
        )
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    found = await self._status.GetSubmission(request, metadata=self._token, timeout=CALL_S)
                    if found.submission.state != status.SUBMISSION_STATE_PENDING:
                        return found.submission
                except grpc.aio.AioRpcError as error:
                    if error.code() is not grpc.StatusCode.NOT_FOUND:
                        raise
                await asyncio.sleep(POLL_S)

    async def watch(self, intent_id: str, going: frozenset[int] = GOING) -> AsyncIterator[status.Intent]:
        """The intent each time that it has changed, while it is in one of these states."""
        version = 0
        async with asyncio.timeout(PATIENCE_S):
            while True:
                request = status.WatchRequest(intent_id=intent_id, after_version=version)
                try:
                    async for answer in self._status.Watch(request, metadata=self._token, wait_for_ready=True):
                        version = answer.intent.version
                        yield answer.intent
                        if answer.intent.state not in going:
                            return
                except grpc.aio.AioRpcError as error:
                    if error.code() not in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.UNAVAILABLE):
                        raise
                await asyncio.sleep(POLL_S)  # not accepted yet, or the stream was cut: go on from the last version


class Operator:
    """Says what is in force. Command lines are not among it."""

    def __init__(self, gateway: grpc.aio.Channel, token: str) -> None:
        self._control = control_rpc.ControlServiceStub(gateway)
        self._token = _bearer(token)

    async def set_up(self, definitions: dict[str, str]) -> None:
        """Put the git server, three of its tools, a budget and a policy in force, and wait until they are."""
        server = control.Server(server="git", transport=registry.TRANSPORT_STDIO, profile="git")
        await self._say(self._control.RegisterServer, control.RegisterServerRequest(server=server))
        for name in TOOLS:
            entry = tool_entry(name, definitions[name])
            await self._say(self._control.RegisterTool, control.RegisterToolRequest(tool=f"git/{name}", entry=entry))
        for budget in BUDGETS:
            await self._say(self._control.DefineBudget, control.DefineBudgetRequest(budget=budget))
        policy = control.Policy(tenant=TENANT, policy=json.dumps(POLICY))
        await self._say(self._control.PublishPolicy, control.PublishPolicyRequest(policy=policy))
        await self._until(lambda found: found.tools == len(TOOLS) and found.budgets and found.HasField("policy"))

    async def kill(self, tool: str, stopped: bool) -> str:
        """Flip the switch of a tool, and wait until the gateway knows."""
        switch = control.Switch(kind=control.SWITCH_KIND_TOOL, id=tool, stopped=stopped)
        await self._say(self._control.FlipSwitch, control.FlipSwitchRequest(switch=switch))
        await self._until(lambda found: any(one.id == tool for one in found.switches) == stopped)
        return "the gateway knows"

    async def _say(self, method: Any, request: Any) -> None:
        request.reason = "demo"
        await method(request, metadata=self._token, timeout=CALL_S, wait_for_ready=True)

    async def _until(self, holds: Callable[[control.GetConfigResponse], Any]) -> None:
        for _ in range(int(PATIENCE_S / POLL_S)):
            found = await self._control.GetConfig(control.GetConfigRequest(), metadata=self._token, timeout=CALL_S)
            if found.fresh and holds(found):
                return
            await asyncio.sleep(POLL_S)
        raise TimeoutError("what the operator said did not come into force")


class Person:
    """Agrees or refuses, and ends a doubt on evidence; the token says whether this person may."""

    def __init__(self, gateway: grpc.aio.Channel, token: str) -> None:
        self._approval = approval_rpc.ApprovalServiceStub(gateway)
        self._commands = commands_rpc.CommandsServiceStub(gateway)
        self._token = _bearer(token)

    async def vote(self, intent_id: str, digest: str, approve: bool, reason: str) -> None:
        """A vote counts for the action with this digest only."""
        decision = approval.DECISION_APPROVE if approve else approval.DECISION_DENY
        request = approval.VoteRequest(intent_id=intent_id, decision=decision, action_digest=digest, reason=reason)
        await self._approval.Vote(request, metadata=self._token, timeout=CALL_S)

    async def resolve(self, intent_id: str, applied: bool, evidence: str) -> None:
        request = commands.ResolveRequest(
            intent_id=intent_id, applied=applied, evidence=evidence, reason="looked it up in git"
        )
        await self._commands.Resolve(request, metadata=self._token, timeout=CALL_S)


def _bearer(token: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token}"),)


def _moment(seconds_from_now: float) -> Timestamp:
    return Timestamp(seconds=int(time.time() + seconds_from_now))
