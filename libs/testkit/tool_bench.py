"""A tool adapter with its servers, and what is needed to call them, for tests."""

from __future__ import annotations

import asyncio
import sys
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from libs.contracts.events import CostClass, EffectClass, EffectKind, ToolAnswer, ToolEntry, Transport
from libs.ledger.service import Effect
from services.execution.adapters.definition import ToolDefinition
from services.execution.adapters.mcp import McpAdapter
from services.execution.adapters.process import Profile
from services.execution.adapters.warm import discover
from services.execution.ports import Guard, Nobody
from services.execution.settings import ToolSettings

POLL_S = 0.005
ROOT = Path(__file__).parents[2]
_DOUBLE: dict[str, ToolDefinition] = {}  # asked for once per process: each question starts a server


@dataclass(frozen=True)
class Registered:
    """What the control view says of a tool."""

    id: str
    entry: ToolEntry
    transport: Transport = Transport.STDIO
    profile: str = ""
    seq: int = 0


class Told(Nobody):
    """Remembers what servers offer."""

    def __init__(self) -> None:
        self.at = 0
        self.heard: list[tuple[str, Mapping[str, bytes], int]] = []

    def now(self) -> int:
        return self.at

    def offered(self, profile: str, hashes: Mapping[str, bytes], since: int) -> None:
        self.heard.append((profile, hashes, since))


@dataclass
class ToolBench:
    """One adapter and its servers; `journal` is that of the double."""

    adapter: McpAdapter
    profiles: dict[str, Profile]
    journal: Path
    artifacts: Path
    offered: dict[str, dict[str, ToolDefinition]] = field(default_factory=lambda: {"double": dict(_DOUBLE)})

    async def tool(self, tool_id: str = "double/apply", **given: Any) -> Registered:
        """The tool as an operator would register it now."""
        server, _, name = tool_id.partition("/")
        if not self.offered.get(server):
            found = await discover(self.profiles[server], 1 << 20, 20_000)
            self.offered[server] = {definition.name: definition for definition in found}
            if server == "double":
                _DOUBLE.update(self.offered[server])
        definition = self.offered[server][name]
        return Registered(tool_id, entry_of(server, definition, **given), profile=server)

    async def run(self, tool: Registered, wanted: Effect, guard: Guard = lambda: True) -> ToolAnswer:
        await self.adapter.ready(wanted, tool)
        return await self.adapter.call(wanted, tool, guard)


async def eventually(happened: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait, with a limit, for something that another process does."""
    for _ in range(int(seconds / POLL_S)):
        if happened():
            return
        await asyncio.sleep(POLL_S)
    raise TimeoutError(f"it did not happen within {seconds} s")


def entry_of(server: str, definition: ToolDefinition, **given: Any) -> ToolEntry:
    """A cheap writing tool of class OPAQUE, unless given otherwise."""
    usual: dict[str, Any] = {
        "capability": "write",
        "effect": EffectKind.WRITE,
        "effect_class": EffectClass.OPAQUE,
        "cost_class": CostClass.CHEAP,
        "price_micros": 1,
        "timeout_ms": 10_000,
    }
    return ToolEntry(server=server, definition=definition.json, definition_hash=definition.hash, **(usual | given))


def effect(tool: str = "double/apply", timeout_ms: int = 10_000, **arguments: Any) -> Effect:
    """One call with an intent id of its own."""
    return Effect(
        key=uuid.uuid4().bytes,
        attempt=1,
        tool=tool,
        server=tool.partition("/")[0],
        arguments=msgspec.json.encode(arguments).decode(),
        effect_class="OPAQUE",
        timeout_ms=timeout_ms,
        expires_at=2**60,
        tenant="acme",
        account="a1",
        capability="write",
    )


def double_profile(journal: Path, *options: str) -> Profile:
    """The operator's entry for the tool double."""
    argv = (sys.executable, "-m", "libs.testkit.tool_double", "--journal", str(journal), *options)
    return Profile(name="double", argv=argv, cwd=str(ROOT))


def tool_settings(folder: Path, **given: Any) -> ToolSettings:
    """Settings with everything in one folder."""
    usual: dict[str, Any] = {
        "effect_key_secret": "k7Qm2vX9pLr4Wz8Tn3Bd",
        "artifacts_dir": str(folder / "artifacts"),
        "journal": str(folder / "journal"),
        "connect_timeout_ms": 20_000,
    }
    return ToolSettings(**(usual | given))
