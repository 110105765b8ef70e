"""A fresh system with all that fault tests need: the tool double with its journal, and a budget that runs out."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from libs.contracts.events import (
    BudgetKind,
    CostClass,
    EffectClass,
    EffectKind,
    KeyPlacement,
    RegisterServer,
    RegisterTool,
    SuccessRule,
    ToolEntry,
    Transport,
)
from libs.stack.ports import Ports
from libs.stack.shapes import Plan
from libs.stack.stack import Stack
from libs.testkit import seeding
from libs.testkit.system import System
from libs.testkit.tool_bench import double_profile, entry_of
from services.execution.adapters.definition import ToolDefinition
from services.execution.adapters.warm import discover
from services.table import DECIDERS, TABLE
from tests.faults.rig import LEASE_MS, SCARCE, Rig
from tests.faults.witness import Witness

FICKLE = Path(__file__).parents[1] / "integration" / "mcp" / "legacy_server.py"
PRICE_MICROS = 1_000
SCARCE_DEEDS = 12
# Short leases and limits, so that what is to be waited for comes soon; everything else as in production.
ENV = {
    "DEED_LEASE_MS": str(LEASE_MS),
    "DEED_LEASE_MARGIN_MS": "200",
    "DEED_KAFKA_TIMEOUT_MS": "3000",
    "DEED_DATABASE_TIMEOUT_MS": "2000",
    "DEED_CONTROL_STALE_MAX_S": "3",
    "DEED_JOURNAL_FSYNC": "true",
    "DEED_JWKS_COOLDOWN_S": "1",
}


# The double keeps keys for ever; the registry's window is what is promised of it.
KEYED: dict[str, Any] = {
    "effect_class": EffectClass.KEYED, "key_placement": KeyPlacement.META, "key_window_ms": 600_000, "attempts_max": 9,
}  # fmt: skip
# It is asked by the key that its call carried.
QUERYABLE: dict[str, Any] = {
    "effect_class": EffectClass.QUERYABLE, "key_placement": KeyPlacement.META, "timeout_ms": 2_000,
    "query_tool": "look", "query_template": '{"key":"{key}"}', "quiet_ms": 500,
}  # fmt: skip
LOOK: dict[str, Any] = {
    "effect": EffectKind.READ, "effect_class": EffectClass.READ_ONLY, "success_rule": SuccessRule.ANSWER,
}  # fmt: skip


async def build(root: Path, plan: Plan, names: Iterable[str] | None = None, **env: str) -> Rig:
    """Servers, topics, databases, processes, tools and budgets: all fresh. `names`: the processes to start."""
    stack = Stack(root)
    ends = await asyncio.to_thread(stack.start)
    system = System(ends, root, plan, env=ENV | env)
    try:
        profile = double_profile(root / "double.journal", "--plain")
        words = ", ".join(f'"{word}"' for word in profile.argv)
        fickle = json.dumps([sys.executable, str(FICKLE), str(root / "fickle.changed")])
        (root / "servers.toml").write_text(
            f'[servers.double]\nargv = [{words}]\ncwd = "{profile.cwd}"\n[servers.fickle]\nargv = {fickle}\n'
            f'[servers.there]\nurl = "http://127.0.0.1:{port_over_http(root)}/mcp"\nprivate = true\n'
        )
        found = asyncio.create_task(discover(profile, 1 << 20, 20_000))
        await system.start(names)
        await system.seed(commands({tool.name: tool for tool in await found}))
    except BaseException:
        system.kill_all()
        await asyncio.to_thread(stack.stop)
        raise
    hosted = {*(DECIDERS if "w1" in system.running else ()), *system.running}
    services = {name: service for name, service in TABLE.items() if name in hosted}
    seed = random.SystemRandom().getrandbits(32)
    sys.stderr.write(f"\nseed {seed}: {plan.shape}\n")
    return Rig(stack, system, services, Witness(system.kafka), random.Random(seed))


def port_over_http(root: Path) -> int:
    """Where a test may start the double over HTTP for the profile `there`; the journal is to be the same."""
    return Ports(root / "there.json").get("there")


def commands(found: Mapping[str, ToolDefinition]) -> list[Any]:
    """What must be in force: the double beside the built-in tools, and a budget that runs out."""
    definition = found["apply"]
    head: dict[str, Any] = {"principal": seeding.OPERATOR, "reason": "set up", "issued_at": seeding.now_at()}
    entry = ToolEntry(
        server="double", definition=definition.json, definition_hash=definition.hash, capability="double",
        effect=EffectKind.WRITE, effect_class=EffectClass.OPAQUE, cost_class=CostClass.CHEAP,
        price_micros=PRICE_MICROS, timeout_ms=10_000,
    )  # fmt: skip
    return [
        *seeding.standard(),
        seeding.budget(BudgetKind.ACCOUNT, f"{seeding.TENANT}/{SCARCE}", SCARCE_DEEDS * PRICE_MICROS),
        # Long enough for a caller that stands still until others have its lanes, on a slow machine.
        *_offered("double", msgspec.structs.replace(entry, timeout_ms=30_000), head),
        *_offered("keyed", msgspec.structs.replace(entry, **KEYED), head),
        *_offered("asked", msgspec.structs.replace(entry, **QUERYABLE), head),
        RegisterTool(
            command_id=random.randbytes(16), tool="asked/look", entry=entry_of("asked", found["look"], **LOOK), **head
        ),
        *_offered("there", msgspec.structs.replace(entry, **KEYED), head, Transport.HTTP),
        *_offered("brief", msgspec.structs.replace(entry, **KEYED | {"key_window_ms": entry.timeout_ms + 1}), head),
    ]


def _offered(server: str, entry: ToolEntry, head: dict[str, Any], transport: Transport = Transport.STDIO) -> list[Any]:
    """The double's tool under a server's name; the process behind all these names is the same, but over HTTP."""
    profile = "double" if transport is Transport.STDIO else server
    return [
        RegisterServer(
            command_id=random.randbytes(16), server=server, transport=transport, profile=profile, **head
        ),
        RegisterTool(
            command_id=random.randbytes(16), tool=f"{server}/apply",
            entry=msgspec.structs.replace(entry, server=server), **head,
        ),
    ]  # fmt: skip


async def tear_down(rig: Rig) -> None:
    """The end, whatever happened. Nobody needs the data any more, so the servers leave without tidying up."""
    rig.system.kill_all()
    rig.stack.kafka.kill()
    rig.stack.postgres.child.end(signal.SIGQUIT)
    await asyncio.to_thread(rig.stack.stop)
