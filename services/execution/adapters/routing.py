"""Which adapter calls which tool: by the transport of its server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from importlib import import_module

from libs.contracts.events import AnswerStatus, FailureCategory, ToolAnswer, Transport
from libs.ledger.service import Effect
from libs.runtime.clock import wall_micros
from services.execution.adapters.builtin import BuiltinAdapter
from services.execution.adapters.profiles import ServersFile
from services.execution.ports import Guard, Health, Nobody, NotReady, RegisteredTool, ToolAdapter, Watcher
from services.execution.settings import ToolSettings

MCP = "services.execution.adapters.mcp"


class Adapters:
    """All adapters behind the one port."""

    def __init__(self, settings: ToolSettings) -> None:
        """Raises SettingsError when the operator's file is wrong."""
        self._settings = settings
        self._file = ServersFile(settings.servers_file)
        self._by_transport: dict[Transport, ToolAdapter] = {Transport.BUILTIN: BuiltinAdapter(settings)}
        self._watcher: Watcher = Nobody()

    async def ready(self, effect: Effect, tool: RegisteredTool) -> None:
        if tool.transport not in self._by_transport and self._file:
            await asyncio.to_thread(import_module, MCP)  # it takes its time: nobody else has to wait for it
            self.prepare()
        await self._of(tool).ready(effect, tool)

    def prepare(self) -> None:
        """Import what the servers of the operator's file need, if there are any: the SDK takes 0.7 s and some memory,
        not for a process without servers to call."""
        if self._file and Transport.STDIO not in self._by_transport:
            adapter: ToolAdapter = import_module(MCP).McpAdapter(self._file, self._settings)
            adapter.watch(self._watcher)
            self._by_transport |= {Transport.STDIO: adapter, Transport.HTTP: adapter}

    async def call(self, effect: Effect, tool: RegisteredTool, guard: Guard) -> ToolAnswer:
        try:
            adapter = self._of(tool)
        except NotReady as error:
            return ToolAnswer(
                status=AnswerStatus.NOT_SENT,
                started_at=wall_micros(),
                duration_ms=0,
                code=error.code,
                category=error.category,
                reason=error.reason,
            )
        return await adapter.call(effect, tool, guard)

    def health(self) -> Mapping[str, Callable[[], Health]]:
        return {name: state for adapter in self._all() for name, state in adapter.health().items()}

    def watch(self, watcher: Watcher) -> None:
        self._watcher = watcher
        for adapter in self._all():
            adapter.watch(watcher)

    async def close(self) -> None:
        await asyncio.gather(*(adapter.close() for adapter in self._all()))

    def _all(self) -> set[ToolAdapter]:
        return set(self._by_transport.values())

    def _of(self, tool: RegisteredTool) -> ToolAdapter:
        adapter = self._by_transport.get(tool.transport)
        if adapter is None:
            reason = f"this executor has no adapter for {tool.transport}: DEED_SERVERS_FILE names no tool server at all"
            raise NotReady("TRANSPORT_MISSING", reason, FailureCategory.PERMANENT)
        return adapter


def build_adapters(settings: ToolSettings) -> Adapters:
    """From the settings of this process. Raises SettingsError when the operator's file is wrong."""
    adapters = Adapters(settings)
    adapters.prepare()
    return adapters
