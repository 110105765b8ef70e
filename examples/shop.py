"""`make examples`: a shop keeps its stock in SQLite, behind an MCP server that somebody else wrote. Two agents order
what runs out, each a program of its own with an address and a token: one uses the SDK, one plain gRPC."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from examples.running import Running, fresh, run, running
from examples.servers import SQLITE_LOCK, ensure
from libs.contracts.proto.deedbook.control.v1 import control_pb2 as control
from libs.contracts.proto.deedbook.control.v1 import registry_pb2 as registry
from libs.contracts.proto.deedbook.control.v1.control_pb2_grpc import ControlServiceStub
from libs.runtime.devkeys import Who
from libs.stack.errors import StackError
from libs.stack.folders import checkout
from services.execution.adapters.profiles import load_profiles
from services.execution.adapters.warm import discover

TENANT, ACCOUNT = "acme", "shop"
OPERATOR = Who("olga", TENANT, "HUMAN", (ACCOUNT,), ("operator", "platform"))
AGENTS = {
    "sqlite_agent": Who("buyer-1", TENANT, "MACHINE", (ACCOUNT,)),
    "plain_grpc": Who("buyer-2", TENANT, "MACHINE", (ACCOUNT,)),
}
CENT = 10_000  # micros
AGAIN = " again. It asks for the same orders at another time, and that it gets none twice is the point"
AGENT_S, CALL_S, PATIENCE_S, POLL_S = 60.0, 20.0, 40.0, 0.05
STOCK = """
    CREATE TABLE stock (id INTEGER PRIMARY KEY, item TEXT NOT NULL, in_stock INTEGER NOT NULL);
    CREATE TABLE orders (stock_id INTEGER NOT NULL REFERENCES stock, amount INTEGER NOT NULL);
    INSERT INTO stock (item, in_stock) VALUES ('bolts', 3), ('nuts', 500), ('washers', 7);
"""
POLICY = {
    "version": 1,
    "tools": {"allow": ["shop/read_query", "shop/write_query"]},
    "freshness": {"default": {"soft_ms": 60_000, "hard_ms": 600_000}, "required_for": ["WRITE"]},
    "grounding": {"required_for": ["WRITE"]},
}


async def main() -> int:
    """Returns the exit status."""
    folder = await asyncio.to_thread(fresh, "shop")
    database = folder.root / "shop.db"
    with closing(sqlite3.connect(database)) as opened:
        opened.executescript(STOCK)
    say("Starting a real Kafka, a real PostgreSQL and all services ...")
    program = await asyncio.to_thread(ensure, SQLITE_LOCK) / "mcp-server-sqlite"
    async with running(folder, _profile(program, database)) as system:
        await set_up(system)
        for name, again in (("sqlite_agent", ""), ("sqlite_agent", AGAIN), ("plain_grpc", "")):
            say(f"\n{AGENTS[name].subject} runs examples/{name}.py{again}:")
            await run_agent(system, name)
        with closing(sqlite3.connect(database)) as opened:
            found = opened.execute("SELECT item, count(*) FROM orders JOIN stock ON stock.id = stock_id GROUP BY item")
            orders = dict(found.fetchall())
        say(f"\nSQLite itself says: {orders}")
    return 0 if orders == {"bolts": 2, "washers": 2} else 1  # one of each agent, though the first has run twice


async def set_up(system: Running) -> None:
    """An operator looks at what the server offers and says what may be used, how, and at what price."""
    offered = await discover(load_profiles(system.servers_file)["shop"], 1 << 20, 20_000)
    definitions = {one.name: one.json for one in offered}
    async with grpc.aio.insecure_channel(system.grpc("gateway")) as channel:
        stub = ControlServiceStub(channel)
        server = control.Server(server="shop", transport=registry.TRANSPORT_STDIO, profile="shop")
        budget = control.Budget(kind=control.BUDGET_KIND_TENANT, id=TENANT, period=control.BUDGET_PERIOD_DAY)
        budget.hard_micros = 100 * CENT
        policy = control.Policy(tenant=TENANT, policy=json.dumps(POLICY))
        changes: list[tuple[Any, Any]] = [
            (stub.RegisterServer, control.RegisterServerRequest(server=server)),
            (stub.RegisterTool, _tool("read_query", definitions)),
            (stub.RegisterTool, _tool("write_query", definitions)),
            (stub.DefineBudget, control.DefineBudgetRequest(budget=budget)),
            (stub.PublishPolicy, control.PublishPolicyRequest(policy=policy)),
        ]
        for method, request in changes:
            await change(stub, method, request, system.token(OPERATOR))
    say(f"{OPERATOR.subject} has looked at {len(offered)} tools of mcp-server-sqlite and registered two.")


async def change(stub: ControlServiceStub, method: Any, request: Any, token: str) -> None:
    """Say what shall be in force, and wait until it is. Raises StackError when it is refused."""
    metadata = (("authorization", f"Bearer {token}"),)
    request.reason = "the shop opens"
    said = await method(request, metadata=metadata, timeout=CALL_S)
    asked = control.GetChangeRequest(command_id=said.command_id)
    for _ in range(int(PATIENCE_S / POLL_S)):
        try:
            found = await stub.GetChange(asked, metadata=metadata, timeout=CALL_S)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.NOT_FOUND:
                raise
            await asyncio.sleep(POLL_S)
            continue
        if found.code:
            raise StackError(f"{type(request).__name__} was refused: {found.code} {found.reason}")
        return
    raise StackError(f"{type(request).__name__} has no answer")


def _tool(name: str, definitions: dict[str, str]) -> control.RegisterToolRequest:
    """Reading is free of effects; a write must say that it has changed something, or nobody takes it for a success."""
    entry = registry.ToolEntry(
        server="shop",
        definition=definitions[name],
        capability="stock.read",
        cost_class=registry.COST_CLASS_CHEAP,
        price_micros=CENT // 10,
        timeout_ms=20_000,
        effect=registry.EFFECT_KIND_READ,
        effect_class=registry.EFFECT_CLASS_READ_ONLY,
        success_rule=registry.SUCCESS_RULE_ANSWER,
    )
    if name == "write_query":
        entry.capability, entry.price_micros = "stock.order", CENT
        entry.effect, entry.effect_class = registry.EFFECT_KIND_WRITE, registry.EFFECT_CLASS_OPAQUE
        entry.success_rule = registry.SUCCESS_RULE_REFS
        entry.extractors.add(kind=registry.EXTRACTOR_KIND_TEXT, type="rows", pattern="'affected_rows': ([1-9][0-9]*)")
    return control.RegisterToolRequest(tool=f"shop/{name}", entry=entry)


async def run_agent(system: Running, name: str) -> None:
    """As anybody would start it. Raises StackError when it fails."""
    token = system.folder.root / f"{name}.token"
    token.touch(mode=0o600)
    token.write_text(system.token(AGENTS[name]))
    known = {"GATEWAY": system.grpc("gateway"), "STATUS": system.grpc("status"), "TOKEN_FILE": str(token)}
    env = os.environ | {f"DEED_{variable}": value for variable, value in known.items()}
    words = (sys.executable, "-m", f"examples.{name}")
    process = await asyncio.create_subprocess_exec(*words, env=env, cwd=checkout(), stdout=asyncio.subprocess.PIPE)
    try:
        said, _ = await asyncio.wait_for(process.communicate(), AGENT_S)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    for line in said.decode().splitlines():
        say(f"  {line}")
    if process.returncode:
        raise StackError(f"examples/{name}.py ended with {process.returncode}")


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _profile(program: Path, database: Path) -> str:
    return f'[servers.shop]\nargv = ["{program}", "--db-path", "{database}"]\nenv_from = ["PATH"]\n'


if __name__ == "__main__":
    sys.exit(run("examples", main))
