"""From an effect that the lane asks for to the adapter that reaches its tool, by what the control view says of both."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from libs.contracts.events import AnswerStatus, EffectClass, FailureCategory, ToolAnswer, ToolEntry, Transport
from libs.governance.control import ControlView
from libs.governance.paths import select
from libs.ledger.service import Effect
from libs.runtime.clock import wall_micros
from libs.runtime.logs import logger, traced
from libs.runtime.telemetry import Metrics
from services.execution.ports import NotReady, ToolAdapter

log = logger(__name__)

PERMANENT, POLICY = FailureCategory.PERMANENT, FailureCategory.POLICY
_PLACE = re.compile(r"\{([^{}]+)\}")


@dataclass(frozen=True)
class Registered:
    """A tool and how its server is reached (ports.RegisteredTool)."""

    id: str
    entry: ToolEntry
    transport: Transport
    profile: str
    seq: int = 0


class Effects:
    """The lane's door to the outside world (libs.ledger.outside.Tools). `key_of`: the key of a tenant's intent."""

    def __init__(
        self,
        adapters: ToolAdapter,
        view: Callable[[], ControlView],
        metrics: Metrics,
        key_of: Callable[[str, bytes], str],
    ) -> None:
        self._adapters, self._view, self._metrics, self._key_of = adapters, view, metrics, key_of

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
            await self._adapters.ready(*self._prepared(effect))
        except NotReady as error:
            return _not_sent(error)
        except Exception as error:
            # One tool that cannot be reached must not end the process that serves all others.
            with traced(effect.trace_parent):  # here only: the connection, and what it logs, is not this effect's alone
                log.exception("an adapter raised while it connected", tool=effect.tool)
            return _not_sent(NotReady("ADAPTER_ERROR", f"the tool cannot be reached: {type(error).__name__}"))
        return None

    async def call(self, effect: Effect, guard: Callable[[], bool]) -> ToolAnswer:
        """Call once; the adapter looks at `guard` right before the first byte."""
        try:
            effect, tool = self._prepared(effect)
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

    def _prepared(self, effect: Effect) -> tuple[Effect, Registered]:
        """What is called, and where. Raises NotReady."""
        if not effect.query:
            return effect, self._registered(effect)
        deed = self._view().tools.get(effect.tool)
        if deed is None or not deed.entry.query_tool:
            raise NotReady("TOOL_UNKNOWN", f"{effect.tool} is no longer registered as one that can be asked")
        arguments = question(deed.entry.query_template, effect.arguments, self._key_of(effect.tenant, effect.key))
        name = f"{deed.entry.server}/{deed.entry.query_tool}"
        asked = msgspec.structs.replace(effect, tool=name, server=deed.entry.server, arguments=arguments)
        tool = self._registered(asked)
        if tool.entry.effect_class is not EffectClass.READ_ONLY:
            raise NotReady("QUERY_TOOL_WRITES", f"{name} is not READ_ONLY: to ask must change nothing", PERMANENT)
        return asked, tool

    def _registered(self, effect: Effect) -> Registered:
        view = self._view()
        tool, server = view.tools.get(effect.tool), view.servers.get(effect.server)
        if tool is None or server is None:
            raise NotReady("TOOL_UNKNOWN", f"{effect.tool} or its server is no longer registered", POLICY)
        if tool.quarantined:
            raise NotReady("TOOL_QUARANTINED", f"{effect.tool}: {tool.quarantined}", POLICY)
        if 0 < effect.control_seq < tool.seq:
            reason = f"{effect.tool} was registered anew after the dispatch: it is another one than was approved"
            raise NotReady("TOOL_CHANGED", reason, POLICY)
        return Registered(effect.tool, tool.entry, server.transport, server.profile, tool.seq)


def question(template: str, arguments: str, key: str) -> str:
    """The arguments of a query tool, as JSON text: the template with `{key}` and `{path}` places (paths into the
    arguments of the call) filled inside its texts. A text that is one place takes the value as it is. Raises NotReady
    when a place has no single value."""
    given = msgspec.json.decode(arguments)

    def value(place: str) -> Any:
        found = [key] if place == "key" else select(given, place)
        if len(found) != 1:
            raise NotReady("QUERY_UNFILLED", f"query_template wants {place!r}, which the call did not have", PERMANENT)
        return found[0]

    def fill(node: Any) -> Any:
        match node:
            case str() if (whole := _PLACE.fullmatch(node)) is not None:
                return value(whole.group(1))
            case str():
                return _PLACE.sub(lambda match: str(value(match.group(1))), node)
            case dict():
                return {name: fill(inner) for name, inner in node.items()}
            case list():
                return [fill(inner) for inner in node]
            case _:
                return node

    return msgspec.json.encode(fill(msgspec.json.decode(template or "{}"))).decode()


def _not_sent(error: NotReady) -> ToolAnswer:
    """Provably nothing left; the category says whether another try may help."""
    return ToolAnswer(
        status=AnswerStatus.NOT_SENT, started_at=wall_micros(), duration_ms=0, code=error.code,
        category=error.category, reason=error.reason, retry_after_ms=error.retry_after_ms or None,
    )  # fmt: skip
