"""Tools inside the executor, to measure and to try things with: `journal` takes no time and writes down that it was
called, `sleep` does the same and then waits. The journal counts real effects: one line per call, appended in one write.

    <intent id, hex> <attempt> <process id> <microseconds> <tool>
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from libs.contracts.events import AnswerStatus, FailureCategory, ObjectRef, ToolAnswer
from libs.ledger.service import Effect
from libs.runtime.clock import wall_micros
from services.execution.adapters.definition import ToolDefinition, definition_of
from services.execution.ports import Guard, Health, Nobody, NotReady, RegisteredTool, Watcher
from services.execution.settings import ToolSettings

JOURNAL = definition_of(
    {
        "name": "journal",
        "description": "Appends one line to the executor's journal. Takes no time.",
        "inputSchema": {"type": "object"},
    }
)
SLEEP = definition_of(
    {
        "name": "sleep",
        "description": "Appends one line to the executor's journal, then waits `ms` milliseconds.",
        "inputSchema": {
            "type": "object",
            "properties": {"ms": {"type": "integer", "minimum": 0}},
            "required": ["ms"],
        },
    }
)
TOOLS: dict[str, ToolDefinition] = {"journal": JOURNAL, "sleep": SLEEP}


class Pause(msgspec.Struct):
    """Arguments of `sleep`."""

    ms: int


class BuiltinAdapter:
    """Keeps the journal open."""

    def __init__(self, settings: ToolSettings) -> None:
        self._file = Path(settings.journal)
        self._fsync = settings.journal_fsync
        self._descriptor = -1
        self._watcher: Watcher = Nobody()

    def health(self) -> Mapping[str, Callable[[], Health]]:
        return {}

    def watch(self, watcher: Watcher) -> None:
        self._watcher = watcher

    async def ready(self, effect: Effect, tool: RegisteredTool) -> None:
        name = tool.id.partition("/")[2]
        if name not in TOOLS:
            raise NotReady("TOOL_MISSING", f"there is no built-in tool {name!r}", FailureCategory.PERMANENT)
        if TOOLS[name].hash != tool.entry.definition_hash:
            hashes = {name: definition.hash for name, definition in TOOLS.items()}
            self._watcher.offered(tool.profile, hashes, self._watcher.now())
            raise NotReady("TOOL_CHANGED", f"{tool.id} is not as it was accepted", FailureCategory.POLICY)
        try:
            _pause_ms(effect, name)
            self._open()
        except msgspec.MsgspecError as error:
            raise NotReady("BAD_ARGUMENTS", str(error), FailureCategory.PERMANENT) from None
        except OSError as error:
            raise NotReady("JOURNAL_AWAY", f"the journal cannot be opened: {error}") from None

    async def call(self, effect: Effect, tool: RegisteredTool, guard: Guard) -> ToolAnswer:
        name = tool.id.partition("/")[2]
        pause_ms = _pause_ms(effect, name)
        started_at = wall_micros()
        line = f"{effect.key.hex()} {effect.attempt} {os.getpid()} {started_at} {name}\n".encode()
        if not guard():
            return _not_sent(started_at, "NOT_OWNER", "the lane was no longer ours at the last look")
        try:
            written = os.write(self._descriptor, line)
        except OSError as error:
            return _not_sent(started_at, "JOURNAL_AWAY", f"the journal cannot be written: {error}")
        if written < len(line):
            return _in_doubt(started_at, "JOURNAL_CUT", "only a part of the line was written")
        if self._fsync:
            try:
                await asyncio.to_thread(os.fsync, self._descriptor)
            except OSError as error:
                return _in_doubt(started_at, "JOURNAL_AWAY", f"the journal was not flushed: {error}")
        if pause_ms > effect.timeout_ms:
            await asyncio.sleep(effect.timeout_ms / 1000)
            return _in_doubt(started_at, "TIMEOUT", "the call was sent and no answer came")
        if pause_ms:
            await asyncio.sleep(pause_ms / 1000)
        return ToolAnswer(
            status=AnswerStatus.SUCCEEDED,
            started_at=started_at,
            duration_ms=_since(started_at),
            object_refs=(ObjectRef(type="journal_line", id=f"{effect.key.hex()}/{effect.attempt}"),),
            summary="written to the journal",
        )

    async def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _open(self) -> None:
        if self._descriptor < 0:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _pause_ms(effect: Effect, name: str) -> int:
    return max(0, msgspec.json.decode(effect.arguments, type=Pause).ms) if name == "sleep" else 0


def _not_sent(started_at: int, code: str, reason: str) -> ToolAnswer:
    return ToolAnswer(
        status=AnswerStatus.NOT_SENT,
        started_at=started_at,
        duration_ms=0,
        code=code,
        category=FailureCategory.TRANSIENT,
        reason=reason,
    )


def _in_doubt(started_at: int, code: str, reason: str) -> ToolAnswer:
    return ToolAnswer(
        status=AnswerStatus.AMBIGUOUS,
        started_at=started_at,
        duration_ms=_since(started_at),
        code=code,
        category=FailureCategory.TRANSIENT,
        reason=reason,
    )


def _since(started_at: int) -> int:
    return max(0, wall_micros() - started_at) // 1000
