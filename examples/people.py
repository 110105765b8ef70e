"""Who takes part in the demo, each with a token of their own and nothing but the SDK: an agent (a program; no model is
needed), an operator, somebody who is asked, and somebody who finds out what happened."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc

from deedbook import Connection, DataSource, Evidence, Intent
from examples.running import Running
from examples.tools import ACCOUNT, BUDGETS, POLICY, SANDBOX, TENANT, TOOLS, tool_entry
from libs.client.calling import Caller
from libs.client.control import Control
from libs.client.processes import Process, confirmations
from libs.contracts.proto.deedbook.control.v1 import control_pb2 as control
from libs.contracts.proto.deedbook.control.v1 import registry_pb2 as registry
from libs.runtime.devkeys import Who, mint

AGENT = Who("agent-7", TENANT, "MACHINE", (ACCOUNT, SANDBOX))
OPERATOR = Who("olga", TENANT, "HUMAN", (ACCOUNT,), ("operator", "platform"))  # registers servers and tools, too
APPROVER = Who("ann", TENANT, "HUMAN", (ACCOUNT,), ("approver",))
RESOLVER = Who("rosa", TENANT, "HUMAN", (ACCOUNT,), ("resolver",))
PATIENCE_S = 20.0
REASON = "demo"


def connection(system: Running, who: Who, keys: Any = None) -> Connection:
    """To this system in the name of somebody. `keys`: the folder of another issuer, whom nobody believes."""
    folder = keys or system.folder.keys
    return Connection(system.grpc("gateway"), system.grpc("status"), lambda *_: mint(folder, who))


def intent(key: str, tool: str, arguments: dict[str, Any], age_s: int = 5, account: str = ACCOUNT) -> Intent:
    """One intent. It rests on a ticket that was read `age_s` seconds ago."""
    read_at = datetime.now(UTC) - timedelta(seconds=age_s)
    return Intent(
        key=key,
        tool=f"git/{tool}",
        capability=TOOLS[tool].capability,
        arguments=arguments,
        account=account,
        evidence=(Evidence("ticket", "OPS-17"),),
        data_sources=(DataSource("tickets", read_at),),
    )


class Operator:
    """Says what is in force. Command lines are not among it."""

    def __init__(self, system: Running, gateway: grpc.aio.Channel) -> None:
        self._system = system
        self._control = Control(gateway, Caller(connection(system, OPERATOR)))

    async def set_up(self, definitions: dict[str, str]) -> None:
        """Put the git server, four of its tools, two budgets and a policy in force, and wait until they are."""
        server = control.Server(server="git", transport=registry.TRANSPORT_STDIO, profile="git")
        policy = control.Policy(tenant=TENANT, policy=json.dumps(POLICY))
        tools = [
            control.RegisterToolRequest(tool=f"git/{name}", entry=tool_entry(name, definitions[name]), reason=REASON)
            for name in TOOLS
        ]
        await self._control.change("RegisterServer", control.RegisterServerRequest(server=server, reason=REASON))
        changes = [
            *(self._control.change("RegisterTool", tool) for tool in tools),
            *(
                self._control.change("DefineBudget", control.DefineBudgetRequest(budget=b, reason=REASON))
                for b in BUDGETS
            ),
            self._control.change("PublishPolicy", control.PublishPolicyRequest(policy=policy, reason=REASON)),
        ]
        done = await asyncio.gather(*changes)
        await self._confirmed(max(one.control_seq for one in done), done[0].asked_at, lambda name: True)

    async def switch(self, tool: str, stopped: bool) -> str:
        """Flip the kill switch of a tool; says when each process had confirmed it."""
        switch = control.Switch(kind=control.SWITCH_KIND_TOOL, id=tool, stopped=stopped)
        done = await self._control.change("FlipSwitch", control.FlipSwitchRequest(switch=switch, reason=REASON))
        return await self._confirmed(done.control_seq, done.asked_at, lambda name: name != "control")

    async def _confirmed(self, control_seq: int, asked_at: float, asked: Callable[[str], bool]) -> str:
        processes = [
            Process(line.name, f"http://127.0.0.1:{line.ports['http']}")
            for line in self._system.report.lines
            if "http" in line.ports and asked(line.name)
        ]
        found = await confirmations(processes, control_seq, asked_at, PATIENCE_S)
        missing = [f"{one.name}: {one.why}" for one in found if one.after_ms is None]
        if missing:
            raise TimeoutError(f"what the operator said did not reach {', '.join(missing)}")
        return ", ".join(f"{one.name} {one.after_ms:.0f} ms" for one in found)
