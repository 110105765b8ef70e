"""Tools of MCP servers, over stdio and over streamable HTTP.

    ready: profile -> warm server -> handshake -> tools/list -> definition as pinned?
    call:  look at the guard, send once, wait, judge what came back

Nothing is sent twice. What is certain about a call follows from its slot (transport.py): no byte sent is NOT_SENT;
bytes sent and no usable answer is AMBIGUOUS; an answer is judged by the response contract (response.py).
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import msgspec

from libs.contracts.events import AnswerStatus, EffectClass, FailureCategory, ToolAnswer, ToolEntry, Transport
from libs.governance.paths import select
from libs.ledger.service import Effect
from libs.runtime.clock import wall_micros
from libs.runtime.logs import logger
from services.execution.adapters.arguments import check
from services.execution.adapters.artifacts import ArtifactStore
from services.execution.adapters.connection import Connection
from services.execution.adapters.definition import ToolDefinition
from services.execution.adapters.exchange import HttpProfile
from services.execution.adapters.keys import META_ATTEMPT, META_INTENT, Placed, effect_key, place_key
from services.execution.adapters.patterns import Patterns
from services.execution.adapters.process import Profile
from services.execution.adapters.profiles import AnyProfile
from services.execution.adapters.response import Judged, invalid, judge, lost, refused, shown
from services.execution.adapters.transport import CURRENT_CALL, CallSlot, NotSent
from services.execution.adapters.warm import WarmServer, unknown_profile
from services.execution.ports import Guard, Health, Nobody, NotReady, RegisteredTool, Watcher
from services.execution.settings import ToolSettings

log = logger(__name__)

OLD_MS = 10_000  # between `ready` and `call` the gate may have waited for the switches or the lease


class Answer(msgspec.Struct):
    """A JSON-RPC answer, its parts as the server wrote them."""

    result: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()


class McpAdapter:
    """Keeps one warm server per profile, of those that fit the transport. The profiles may change at any time."""

    def __init__(self, profiles: Mapping[str, AnyProfile], settings: ToolSettings) -> None:
        self._watcher: Watcher = Nobody()
        self._profiles, self._settings = profiles, settings
        self._servers: dict[str, WarmServer] = {}
        self._leaving: dict[asyncio.Task[None], WarmServer] = {}
        self._max_age_ms = settings.definitions_max_age_ms
        self._secret = settings.effect_key_secret.get_secret_value().encode()
        self._artifacts = ArtifactStore(settings.artifacts_dir)
        self._patterns = Patterns()

    def watch(self, watcher: Watcher) -> None:
        self._watcher = watcher

    def health(self) -> Mapping[str, Callable[[], Health]]:
        """By profile, how its server is now."""
        return {name: partial(self._health, name) for name in self._profiles}

    def _health(self, name: str) -> Health:
        server = self._servers.get(name)
        return Health.PENDING if server is None else server.health()

    def _server(self, tool: RegisteredTool) -> WarmServer:
        """The server of the tool's profile as the operator's file has it now. One whose profile has changed gets
        nothing new to do, and is ended when nothing is under way in it any more. Raises NotReady."""
        name = tool.profile
        profile, known = self._profiles.get(name), self._servers.get(name)
        if known is not None and known.profile != profile:
            self._retire(name)
            known = None
        if profile is None or isinstance(profile, Profile) is not (tool.transport is Transport.STDIO):
            raise unknown_profile(name)
        if known is None:
            limits = self._settings.answer_bytes_max, self._settings.connect_timeout_ms
            known = WarmServer(profile, *limits, partial(self._listed, name), self._watcher.now)
            self._servers[name] = known
        return known

    def _retire(self, name: str) -> None:
        """What is under way in it goes on to its end; whoever comes next has it started anew."""
        server = self._servers.pop(name)
        task = asyncio.create_task(server.retire())
        self._leaving[task] = server
        task.add_done_callback(self._leaving.pop)

    def _listed(self, profile: str, server: WarmServer, found: Mapping[str, ToolDefinition]) -> None:
        since = server.since if isinstance(server.profile, Profile) else self._watcher.now()
        self._watcher.offered(profile, {name: definition.hash for name, definition in found.items()}, since)

    async def ready(self, effect: Effect, tool: RegisteredTool) -> None:
        placed = self._request(effect, tool)
        server = self._server(tool)
        of_operator = server.profile.headers if isinstance(server.profile, HttpProfile) else {}
        if placed.headers.keys() & set(map(str.lower, of_operator)):
            reason = "the operator's file gives the header that the registry names for the idempotency key"
            raise NotReady("KEY_NOT_PLACEABLE", reason, FailureCategory.PERMANENT)
        server, offered = await self._definition(tool)
        differs = offered is None or offered.hash != tool.entry.definition_hash
        if differs and isinstance(server.profile, Profile) and server.since < tool.seq:
            # Its process is older than what was accepted: perhaps the program on the disk is what was accepted.
            if self._servers.get(tool.profile) is server:
                self._retire(tool.profile)
            _, offered = await self._definition(tool)
        if offered is None:
            raise NotReady("TOOL_MISSING", f"the server does not offer {tool.id}", FailureCategory.PERMANENT)
        if offered.hash != tool.entry.definition_hash:
            reason = f"the definition of {tool.id} is not the accepted one; an operator must look at it"
            raise NotReady("TOOL_CHANGED", reason, FailureCategory.POLICY)
        await check(self._patterns, offered, placed.arguments)

    async def _definition(self, tool: RegisteredTool) -> tuple[WarmServer, ToolDefinition | None]:
        """What its server offers under the tool's name, asked now if it was not asked of late. Raises NotReady."""
        while True:
            server = self._server(tool)
            try:
                connection = await server.connected()
                return server, (await server.definitions(connection, self._max_age_ms)).get(_name(tool))
            except NotReady:
                if self._servers.get(tool.profile) is server:
                    raise  # else somebody has just had it started anew

    async def call(self, effect: Effect, tool: RegisteredTool, guard: Guard) -> ToolAnswer:
        clock = _Clock()
        server = self._servers.get(tool.profile)
        connection = server.connection if server is not None else None
        if connection is None or not connection.alive:
            return clock.not_sent("CONNECTION_LOST", "the connection to the tool was gone before the call")
        offered = connection.pinned(_name(tool))
        if offered is None and connection.is_unsettled:
            return clock.not_sent("LOOK_AGAIN", "the server says that its tools have changed")
        if offered is None or offered.hash != tool.entry.definition_hash:
            reason = "the server has changed the tool since it was looked at"
            return clock.not_sent("TOOL_CHANGED", reason, FailureCategory.POLICY)
        if connection.listed_for_ms > max(OLD_MS, 2 * self._max_age_ms):
            return clock.not_sent("LOOK_AGAIN", "its definition was looked at too long ago")
        try:
            arguments, meta, headers = self._request(effect, tool)
        except NotReady as error:
            return clock.not_sent(error.code, error.reason, error.category)
        cancellable = tool.entry.effect_class is EffectClass.READ_ONLY
        slot = CallSlot(guard, cancellable=cancellable, headers=headers, asked=effect.query)
        fault = await _send(connection, slot, (_name(tool), arguments, meta), effect.timeout_ms)
        if slot.refused:
            return clock.not_sent("NOT_OWNER", "the lane was no longer ours at the last look")
        if not slot.sent:
            return clock.not_sent("CONNECTION_LOST", "the connection to the tool was gone before the call")
        connection.answered = connection.answered or slot.raw is not None
        return await self._answer(tool.entry, slot, fault, arguments, clock)

    async def close(self) -> None:
        closing = [server.close() for server in (*self._servers.values(), *self._leaving.values())]
        await asyncio.gather(*closing, *self._leaving, self._patterns.close())

    def _request(self, effect: Effect, tool: RegisteredTool) -> Placed:
        """The call's parts. The intent's id goes along, so that whoever must resolve a doubt finds the call in the
        tool's own log. Raises NotReady."""
        try:
            arguments = msgspec.json.decode(effect.arguments, type=dict[str, Any])
        except (msgspec.DecodeError, RecursionError):
            raise NotReady("BAD_ARGUMENTS", "the arguments are no JSON object", FailureCategory.PERMANENT) from None
        if any(select(arguments, field) for field in tool.entry.secret_fields):
            raise NotReady("SECRET_UNRESOLVED", "no secret store is configured", FailureCategory.PERMANENT)
        key = effect_key(self._secret, effect.tenant, effect.key)
        placed = place_key(tool.entry, key, arguments, tool.transport is Transport.HTTP)
        placed.meta.update({META_INTENT: effect.key.hex(), META_ATTEMPT: effect.attempt})
        if effect.trace_parent:
            placed.meta["traceparent"] = effect.trace_parent
        return placed

    async def _answer(
        self, entry: ToolEntry, slot: CallSlot, fault: str, arguments: dict[str, Any], clock: _Clock
    ) -> ToolAnswer:
        if slot.again:
            unavailable = lost(entry, slot.fault, slot.reason)
            return clock.answer(unavailable, retry_after_ms=slot.retry_after_ms)
        if slot.fault:
            return clock.answer(
                invalid(entry, f"the answer cannot be read: {slot.reason or slot.fault}"), code=slot.fault
            )
        if slot.raw is None:
            return clock.answer(lost(entry, fault or "CONNECTION_LOST", "the call was sent and no answer came"))
        clock.stop()
        try:
            parts = msgspec.json.decode(slot.raw, type=Answer)
            raw = bytes(parts.result) or bytes(parts.error)
            content = msgspec.json.decode(raw, type=dict[str, Any])
        except (msgspec.DecodeError, RecursionError):
            return clock.answer(invalid(entry, "the answer is no JSON object"), code="ANSWER_MALFORMED")
        digest = hashlib.sha256(raw).digest()
        if not bytes(parts.result):
            message = shown(str(content.get("message", "")))
            judged = refused(entry, "TOOL_REFUSED", f"JSON-RPC error {content.get('code')}: {message}")
        elif fault:
            judged = invalid(entry, "the answer breaks the protocol")
        else:
            judged = await self._judge(entry, content, arguments, digest, slot.asked)
        return clock.answer(judged, raw=raw, digest=digest, artifact=await self._keep(raw))

    async def _judge(
        self, entry: ToolEntry, content: dict[str, Any], arguments: dict[str, Any], digest: bytes, asked: bool
    ) -> Judged:
        try:
            return await judge(entry, content, arguments, digest, self._patterns, asked)
        except RecursionError:
            return invalid(entry, "it is nested too deep")

    async def _keep(self, raw: bytes) -> str:
        """The deed has happened whether or not its answer can be kept; an answer that says '' is honest about it."""
        try:
            return await asyncio.to_thread(self._artifacts.put, raw)
        except OSError as error:
            log.error("raw answer not kept", reason=str(error), size=len(raw))
            return ""


class _Clock:
    """When a call began and how long it took, and the answers that carry this."""

    def __init__(self) -> None:
        self._started_at = wall_micros()
        self._started = time.monotonic()
        self._duration_ms = -1

    def stop(self) -> None:
        self._duration_ms = int((time.monotonic() - self._started) * 1000)

    def not_sent(self, code: str, reason: str, category: FailureCategory = FailureCategory.TRANSIENT) -> ToolAnswer:
        return self.answer(Judged(AnswerStatus.NOT_SENT, code, category, reason))

    def answer(
        self,
        judged: Judged,
        *,
        code: str = "",
        raw: bytes = b"",
        digest: bytes | None = None,
        artifact: str = "",
        retry_after_ms: int = 0,
    ) -> ToolAnswer:
        if self._duration_ms < 0:
            self.stop()
        return ToolAnswer(
            status=judged.status,
            started_at=self._started_at,
            duration_ms=self._duration_ms,
            code=code or judged.code,
            category=judged.category,
            reason=judged.reason,
            cost_micros=judged.cost_micros,
            object_refs=judged.refs,
            response_digest=digest,
            response_bytes=len(raw),
            summary=judged.summary,
            artifact=artifact,
            retry_after_ms=retry_after_ms or None,
        )


async def _send(
    connection: Connection, slot: CallSlot, call: tuple[str, dict[str, Any], dict[str, Any]], timeout_ms: int
) -> str:
    """Send and wait. Returns why there is no good answer, '' when there is one; the slot knows the rest."""
    token = CURRENT_CALL.set(slot)
    slot.until = asyncio.get_running_loop().time() + timeout_ms / 1000
    try:
        async with asyncio.timeout(timeout_ms / 1000):
            await connection.call(*call)
        return ""
    except TimeoutError:
        if slot.give_up is not None:
            slot.give_up()
        return "TIMEOUT"
    except NotSent:
        return "NOT_SENT"
    except Exception as error:  # noqa: BLE001  what is certain is in the slot, whatever the SDK raises
        log.info("call failed", reason=type(error).__name__)
        return "CONNECTION_LOST" if slot.raw is None else "PROTOCOL"
    finally:
        CURRENT_CALL.reset(token)
        if slot.request_id is not None:
            connection.transport.slots.pop(slot.request_id, None)


def _name(tool: RegisteredTool) -> str:
    return tool.id.partition("/")[2]
