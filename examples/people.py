"""Who takes part in the demo, each with a token of their own and nothing but gRPC: an agent (a program; no model is
needed), an operator, and somebody who finds out what happened."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

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

TENANT, ACCOUNT = "acme", "platform"
AGENT = Who("agent-7", TENANT, "MACHINE", (ACCOUNT,))
OPERATOR = Who("olga", TENANT, "HUMAN", (ACCOUNT,), ("operator", "platform"))  # registers servers and tools, too
RESOLVER = Who("rosa", TENANT, "HUMAN", (ACCOUNT,), ("resolver",))
CAPABILITIES = {"git_status": "git.read", "git_add": "git.write", "git_commit": "git.write"}
PRICE_MICROS = 2_000
HOUR_S = 3600
CALL_S = 20.0
PATIENCE_S = 40.0
POLL_S = 0.05
GOING = {status.STATE_PENDING, status.STATE_AWAITING_APPROVAL, status.STATE_READY, status.STATE_RUNNING}
POLICY = {
    "version": 1,
    "tools": {"allow": ["git/git_status", "git/git_add", "git/git_commit"]},
    "freshness": {"default": {"soft_ms": 300_000, "hard_ms": 3_600_000}, "required_for": ["WRITE"]},
    "grounding": {"required_for": ["WRITE"]},
}


class Agent:
    """Proposes. It holds no credential but its own token, and no tool."""

    def __init__(self, gateway: grpc.aio.Channel, questions: grpc.aio.Channel, token: str) -> None:
        self._intake = intake_rpc.IntakeServiceStub(gateway)
        self._status = status_rpc.StatusServiceStub(questions)
        self._token = _bearer(token)

    async def propose(self, key: str, tool: str, arguments: dict[str, Any], age_s: int = 5) -> str:
        """Submit one intent that rests on a ticket read `age_s` ago; gives the intent's id."""
        intent = intake.Intent(
            idempotency_key=key,
            account=ACCOUNT,
            tool=f"git/{tool}",
            capability=CAPABILITIES[tool],
            arguments=json.dumps(arguments),
            evidence=[intake.Evidence(kind=intake.EVIDENCE_KIND_SOURCE, type="ticket", id="OPS-17")],
            data_sources=[intake.DataSource(name="tickets", as_of_time=_moment(-age_s))],
            expire_time=_moment(HOUR_S),
        )
        answer = await self._intake.Submit(
            intake.SubmitRequest(intent=intent), metadata=self._token, timeout=CALL_S, wait_for_ready=True
        )
        return str(answer.intent_id)

    async def watch(self, intent_id: str, until_resolved: bool = False) -> AsyncIterator[status.Intent]:
        """The intent each time that it has changed, until it has ended or nobody knows how it ended."""
        going, version = GOING | ({status.STATE_IN_DOUBT} if until_resolved else set()), 0
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
        requests: list[tuple[Any, Any]] = [
            (self._control.RegisterServer, control.RegisterServerRequest(server=server, reason="demo"))
        ]
        for name in CAPABILITIES:
            tool = control.RegisterToolRequest(
                tool=f"git/{name}", entry=tool_entry(name, definitions[name]), reason="demo"
            )
            requests.append((self._control.RegisterTool, tool))
        budget = control.Budget(
            kind=control.BUDGET_KIND_TENANT, id=TENANT, period=control.BUDGET_PERIOD_DAY, hard_micros=1_000_000
        )
        policy = control.Policy(tenant=TENANT, policy=json.dumps(POLICY))
        requests.append((self._control.DefineBudget, control.DefineBudgetRequest(budget=budget, reason="demo")))
        requests.append((self._control.PublishPolicy, control.PublishPolicyRequest(policy=policy, reason="demo")))
        for method, request in requests:
            await method(request, metadata=self._token, timeout=CALL_S, wait_for_ready=True)
        for _ in range(int(PATIENCE_S / POLL_S)):
            if await self._in_force():
                return
            await asyncio.sleep(POLL_S)
        raise TimeoutError("what the operator said did not come into force")

    async def _in_force(self) -> bool:
        found = await self._control.GetConfig(control.GetConfigRequest(), metadata=self._token, timeout=CALL_S)
        return bool(found.fresh and found.tools == len(CAPABILITIES) and found.budgets and found.HasField("policy"))


class Resolver:
    """Ends a doubt, on evidence."""

    def __init__(self, gateway: grpc.aio.Channel, token: str) -> None:
        self._commands = commands_rpc.CommandsServiceStub(gateway)
        self._token = _bearer(token)

    async def resolve(self, intent_id: str, applied: bool, evidence: str) -> None:
        request = commands.ResolveRequest(
            intent_id=intent_id, applied=applied, evidence=evidence, reason="looked it up in git"
        )
        await self._commands.Resolve(request, metadata=self._token, timeout=CALL_S)


def tool_entry(name: str, definition: str) -> registry.ToolEntry:
    """What the operator says about a tool: nothing of it is taken from the tool but its definition."""
    entry = registry.ToolEntry(
        server="git",
        definition=definition,
        capability=CAPABILITIES[name],
        cost_class=registry.COST_CLASS_CHEAP,
        price_micros=PRICE_MICROS,
        target_path="repo_path",
        timeout_ms=20_000,
        effect=registry.EFFECT_KIND_WRITE,
        effect_class=registry.EFFECT_CLASS_OPAQUE,
    )
    if name == "git_status":
        entry.effect, entry.effect_class = registry.EFFECT_KIND_READ, registry.EFFECT_CLASS_READ_ONLY
        entry.success_rule = registry.SUCCESS_RULE_ANSWER
        entry.attempts_max = 3
    elif name == "git_add":
        entry.extractors.add(kind=registry.EXTRACTOR_KIND_TEMPLATE, type="index", template="{repo_path}")
    else:
        pattern = "committed successfully with hash ([0-9a-f]{40})"
        entry.extractors.add(kind=registry.EXTRACTOR_KIND_TEXT, type="commit", pattern=pattern)
    return entry


def _bearer(token: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token}"),)


def _moment(seconds_from_now: float) -> Timestamp:
    return Timestamp(seconds=int(time.time() + seconds_from_now))
