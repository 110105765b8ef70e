"""A system on which every ending can be brought about: one call of an OPAQUE tool at a time, so that a long one keeps
all others READY, a server that takes long to start, and one whose tool only reads."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from libs.contracts.events import (
    ActorKind,
    BudgetKind,
    CostClass,
    EffectClass,
    EffectKind,
    FlipSwitch,
    OutcomeRecorded,
    Principal,
    RegisterServer,
    RegisterTool,
    SwitchKind,
    ToolEntry,
    Transport,
)
from libs.ledger.codec import CATALOGUE
from libs.ledger.partition import lane_of
from libs.stack.shapes import Plan
from libs.testkit import seeding
from libs.testkit.tool_bench import double_profile
from services.execution.adapters.definition import ToolDefinition, definition_of
from services.execution.adapters.warm import discover
from services.table import DECIDERS
from tests.endings.table import story
from tests.faults.building import PRICE_MICROS, build
from tests.faults.front import Front
from tests.faults.rig import LANES, Rig, until

TENANT, POOR, WATCHED, KILLED = "globex", "account-2", "account-3", "account-4"
SECOND = 1_000_000
CONNECT_S = 9
PULSE_MS = 5_000  # data of the source `pulse` is stale after so long
ANN = Principal(TENANT, "ann", ActorKind.HUMAN, tuple(f"account-{n}" for n in range(16)), ("approver", "resolver"))
# People must agree to these two, and to nothing else.
POLICY: dict[str, Any] = seeding.POLICY | {
    "approvals": [{"tools": ["builtin/journal", "slow/look"], "roles": ["approver"], "within_ms": 60_000}],
    "freshness": {
        "default": {"soft_ms": 60_000, "hard_ms": 600_000},
        "sources": {"pulse": {"soft_ms": PULSE_MS - 1, "hard_ms": PULSE_MS}},
    },
}
# How long each takes to start, in seconds.
SERVERS = {"double": 0, "frail": 0, "reader": 0, "slow": CONNECT_S, "tardy": CONNECT_S}


@dataclass
class Stage:
    """The system, and the tools that the double offers."""

    rig: Rig
    offered: dict[str, ToolDefinition]


async def build_stage(root: Path, shape: str) -> Stage:
    """The system, with its tools in force."""
    file = _servers_file(root)
    workers = ("w1",) if shape == "colocated" else DECIDERS
    more = {"DEED_SERVERS_FILE": str(file), "DEED_EFFECTS_MAX_OPAQUE": "1", "DEED_CONNECT_TIMEOUT_MS": "30000"}
    found = asyncio.create_task(discover(double_profile(root / "unused.journal"), 1 << 20, 20_000))
    rig = await build(root, Plan(shape, lanes=LANES), (*workers, "control", "status", "gateway"), **more)
    offered = {tool.name: tool for tool in await found}
    await rig.system.seed(_in_force(offered))
    return Stage(rig, offered)


def _servers_file(root: Path) -> Path:
    root.mkdir(parents=True)
    file = root / "endings.toml"
    file.write_text("\n".join(_profile(root, name, wait_s) for name, wait_s in SERVERS.items()))
    return file


def _profile(root: Path, name: str, wait_s: int) -> str:
    profile = double_profile(root / "double.journal")
    argv = ["/bin/sh", "-c", f'sleep {wait_s}; exec "$@"', "sh", *profile.argv]
    return f'[servers.{name}]\nargv = {json.dumps(argv)}\ncwd = "{profile.cwd}"\nenv_from = ["PATH"]\n'


def _in_force(offered: dict[str, ToolDefinition]) -> list[Any]:
    reads: dict[str, Any] = {
        "effect": EffectKind.READ, "effect_class": EffectClass.READ_ONLY, "attempts_max": 2, "backoff_ms": 100,
    }  # fmt: skip
    return [
        seeding.policy(POLICY, TENANT),
        seeding.budget(BudgetKind.TENANT, TENANT, 10**9),
        seeding.budget(BudgetKind.ACCOUNT, f"{TENANT}/{POOR}", 1),
        *(
            RegisterServer(**_by(), server=name, transport=Transport.STDIO, profile=name)
            for name in SERVERS if name != "double"
        ),
        register("frail/apply", offered["apply"], timeout_ms=1_000),
        register("frail/look", offered["look"]),
        register("reader/apply", offered["apply"], **reads),
        register("slow/apply", offered["apply"], **reads),
        register("slow/look", offered["look"], **reads),
        register("tardy/apply", offered["apply"], **reads),
        register("builtin/sleep", seeding.builtin_tool("sleep"), timeout_ms=10_000),
    ]  # fmt: skip


def register(tool: str, known: ToolDefinition | ToolEntry, **given: Any) -> RegisterTool:
    """Put a tool in force, or put it in force otherwise."""
    if isinstance(known, ToolEntry):
        entry = msgspec.structs.replace(known, **given)
    else:
        usual: dict[str, Any] = {
            "capability": "endings", "effect": EffectKind.WRITE, "effect_class": EffectClass.OPAQUE,
            "cost_class": CostClass.CHEAP, "price_micros": PRICE_MICROS, "timeout_ms": 10_000,
        }  # fmt: skip
        server = tool.partition("/")[0]
        entry = ToolEntry(server=server, definition=known.json, definition_hash=known.hash, **(usual | given))
    return RegisterTool(**_by(), tool=tool, entry=entry)


def stopped(account: str) -> FlipSwitch:
    """The switch of an account is closed."""
    return seeding.switch(SwitchKind.ACCOUNT, f"{TENANT}/{account}", stopped=True)


def other_definition() -> ToolDefinition:
    """What `frail/look` is from now on."""
    return definition_of({"name": "look", "description": "It also writes.", "inputSchema": {"type": "object"}})


def _by() -> dict[str, Any]:
    return {
        "command_id": uuid.uuid4().bytes, "principal": seeding.OPERATOR, "reason": "a test",
        "issued_at": seeding.now_at(),
    }  # fmt: skip


@dataclass
class Play:
    """What is submitted and said on the stage, by the names of the table's rows."""

    stage: Stage
    agent: Front
    ids: dict[str, bytes] = field(default_factory=dict)
    _reading: asyncio.Lock = field(default_factory=asyncio.Lock)
    _read_s: float = 0.0

    @property
    def rig(self) -> Rig:
        """The system."""
        return self.stage.rig

    async def submit(self, wanted: dict[str, dict[str, Any]]) -> None:
        """Intents by the names of their rows."""
        intents = []
        for name, given in wanted.items():
            tool = given.pop("tool")
            capability = "endings" if not tool.startswith("builtin/") else "builtin." + tool.partition("/")[2]
            arguments = given.pop("arguments", '{"ms":50}')
            intents.append(seeding.intent(name, tool, **({"capability": capability, "arguments": arguments} | given)))
        token = self.rig.system.token(tenant=TENANT)
        ids = await seeding.submit(self.rig.system.kafka, intents, token, TENANT)
        self.rig.wanted.update(ids)
        self.ids.update(zip(wanted, ids, strict=True))

    async def say(self, kind: type[Any], name: str, **more: Any) -> None:
        """What the front ends do with what people say."""
        head = {
            "command_id": uuid.uuid4().bytes, "intent_id": self.ids[name], "principal": ANN, "reason": "a test",
            "issued_at": seeding.now_at(),
        }  # fmt: skip
        command = kind(**head, **more)
        lane = lane_of(command.intent_id, self.rig.system.plan.lanes)
        await self.rig.publish("commands", lane, CATALOGUE.encode_message(command))

    async def seen(self, name: str, kind: type[Any], ended: bool = False) -> Any:
        """Wait until an event of a kind is on the ledger; gives its body. `ended`: it may come after the outcome."""

        async def look() -> Any:
            await self._catch_up()
            bodies = [fact.body for fact in story(self.rig.witness, self.ids[name])]
            found = next((body for body in bodies if isinstance(body, kind)), None)
            over = not ended and any(isinstance(body, OutcomeRecorded) for body in bodies)
            assert found or not over, f"{name}: no {kind.__name__} in {[type(body).__name__ for body in bodies]}"
            return found

        return await until(look, f"{name}: no {kind.__name__}", 60.0)

    async def _catch_up(self) -> None:
        """Many wait at once: who finds that others have read since it asked need not read."""
        asked_s = time.monotonic()
        async with self._reading:
            if self._read_s < asked_s:
                self._read_s = time.monotonic()
                await self.rig.witness.catch_up()

    async def ended(self, *names: str) -> None:
        """Wait until all of these have an outcome."""
        for name in names:
            await self.seen(name, OutcomeRecorded, ended=True)
