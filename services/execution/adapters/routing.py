"""Which adapter calls which tool: by the transport of its server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from libs.contracts.events import AnswerStatus, FailureCategory, ToolAnswer, Transport
from libs.ledger.service import Effect
from libs.runtime.clock import wall_micros
from services.execution.adapters.builtin import BuiltinAdapter
from services.execution.adapters.process import Profile
from services.execution.adapters.profiles import AnyProfile, load_profiles
from services.execution.ports import Guard, Health, NotReady, Offered, RegisteredTool, ToolAdapter
from services.execution.settings import ToolSettings


class Adapters:
    """All adapters behind the one port."""

    def __init__(self, by_transport: dict[Transport, ToolAdapter]) -> None:
        self._by_transport = by_transport

    async def ready(self, effect: Effect, tool: RegisteredTool) -> None:
        await self._of(tool).ready(effect, tool)

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
        return {name: state for adapter in self._by_transport.values() for name, state in adapter.health().items()}

    def watch(self, offered: Offered) -> None:
        for adapter in self._by_transport.values():
            adapter.watch(offered)

    async def close(self) -> None:
        await asyncio.gather(*(adapter.close() for adapter in self._by_transport.values()))

    def _of(self, tool: RegisteredTool) -> ToolAdapter:
        adapter = self._by_transport.get(tool.transport)
        if adapter is None:
            reason = f"this executor has no adapter for {tool.transport} and {tool.id}"
            raise NotReady("TRANSPORT_MISSING", reason, FailureCategory.PERMANENT)
        return adapter


def build_adapters(settings: ToolSettings) -> Adapters:
    """From the settings of this process. Raises SettingsError when the operator's file is wrong."""
    adapters: dict[Transport, ToolAdapter] = {Transport.BUILTIN: BuiltinAdapter(settings)}
    profiles = load_profiles(settings.servers_file)
    if profiles:
        # The SDK takes 0.7 s and some memory to import: not in a process without servers to call.
        from services.execution.adapters.mcp import McpAdapter

        by_kind: dict[Transport, dict[str, AnyProfile]] = {Transport.STDIO: {}, Transport.HTTP: {}}
        for name, profile in profiles.items():
            by_kind[Transport.STDIO if isinstance(profile, Profile) else Transport.HTTP][name] = profile
        adapters |= {transport: McpAdapter(some, settings) for transport, some in by_kind.items() if some}
    return Adapters(adapters)
