"""From an effect that the lane asks for to the adapter that reaches its tool, by what the control view says of both."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from libs.contracts.events import AnswerStatus, FailureCategory, ToolAnswer, ToolEntry, Transport
from libs.governance.control import ControlView
from libs.ledger.service import Effect
from libs.runtime.clock import wall_micros
from libs.runtime.telemetry import Metrics
from services.execution.ports import NotReady, ToolAdapter


@dataclass(frozen=True)
class Registered:
    """A tool and how its server is reached (ports.RegisteredTool)."""

    id: str
    entry: ToolEntry
    transport: Transport
    profile: str


class Effects:
    """The lane's door to the outside world (libs.ledger.shell.Tools)."""

    def __init__(self, adapters: ToolAdapter, view: Callable[[], ControlView], metrics: Metrics) -> None:
        self._adapters, self._view, self._metrics = adapters, view, metrics

    async def connect(self, effects: Sequence[Effect]) -> tuple[list[Effect], list[tuple[Effect, ToolAnswer]]]:
        """Bring up what the effects need, each server by itself; nothing is sent that could have an effect."""
        if all(self._is_builtin(effect) for effect in effects):
            outcomes = [await self._connect(effect) for effect in effects]  # nothing to wait for: no tasks
        else:
            outcomes = await asyncio.gather(*(self._connect(effect) for effect in effects))
        ready = [effect for effect, failure in zip(effects, outcomes, strict=True) if failure is None]
        failed = [(e, failure) for e, failure in zip(effects, outcomes, strict=True) if failure is not None]
        return ready, failed

    def _is_builtin(self, effect: Effect) -> bool:
        server = self._view().servers.get(effect.server)
        return server is not None and server.transport is Transport.BUILTIN

    async def _connect(self, effect: Effect) -> ToolAnswer | None:
        try:
            await self._adapters.ready(effect, self._registered(effect))
        except NotReady as error:
            return _not_sent(error)
        return None

    async def call(self, effect: Effect, guard: Callable[[], bool]) -> ToolAnswer:
        """Call once; the adapter looks at `guard` right before the first byte."""
        try:
            tool = self._registered(effect)
        except NotReady as error:
            return _not_sent(error)
        self._metrics.effects_running.labels(effect.effect_class).inc()
        try:
            answer = await self._adapters.call(effect, tool, guard)
        finally:
            self._metrics.effects_running.labels(effect.effect_class).dec()
        self._metrics.tool_invocations.labels(effect.tool, answer.status.value).inc()
        self._metrics.tool_seconds.labels(effect.tool).observe(answer.duration_ms / 1000)
        return answer

    def _registered(self, effect: Effect) -> Registered:
        view = self._view()
        tool, server = view.tools.get(effect.tool), view.servers.get(effect.server)
        if tool is None or server is None:
            raise NotReady("TOOL_UNKNOWN", f"{effect.tool} or its server is no longer registered")
        if tool.quarantined:
            raise NotReady("TOOL_QUARANTINED", f"{effect.tool}: {tool.quarantined}", FailureCategory.POLICY)
        return Registered(effect.tool, tool.entry, server.transport, server.profile)


def _not_sent(error: NotReady) -> ToolAnswer:
    """Provably nothing left; the category says whether another try may help."""
    return ToolAnswer(
        status=AnswerStatus.NOT_SENT, started_at=wall_micros(), duration_ms=0, code=error.code,
        category=error.category, reason=error.reason, retry_after_ms=error.retry_after_ms or None,
    )  # fmt: skip
