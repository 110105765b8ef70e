"""What a tool's server offers is held against what was registered. A difference is reported to control, which puts the
tool out of use for everybody until somebody accepts it (threat T9)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from libs.contracts.events import ActorKind, Principal, QuarantineTool
from libs.governance.control import ControlView, Tool
from libs.ledger.chain import derived_id
from libs.runtime.clock import wall_micros
from libs.runtime.logs import logger
from libs.runtime.rpc import Refusal
from libs.runtime.telemetry import Metrics

log = logger(__name__)

CODE = "TOOL_CHANGED"
WORKER = Principal(tenant="", subject="deedbook/execution", kind=ActorKind.SYSTEM, accounts=(), roles=("worker",))
Give = Callable[[Any], Awaitable[str]]  # puts a command on `control.commands`; raises a Refusal


def changed(view: ControlView, profile: str, hashes: Mapping[str, bytes], since: int) -> list[tuple[Tool, bytes]]:
    """Tools in use whose server offers another definition, each with the hash of that. A tool that is not offered any
    more is none of them: there is nothing to accept. Nor is one that was accepted after the server was started, which
    is started anew before it is judged. With a view that is not fresh nothing is known."""
    if not view.fresh:
        return []
    servers = {server.name for server in view.servers.values() if server.profile == profile}
    found = []
    for tool in view.tools.values():
        offered = hashes.get(tool.id.partition("/")[2])
        known = offered is None or offered == tool.entry.definition_hash
        if tool.entry.server in servers and not tool.quarantined and not known and tool.seq <= since:
            found.append((tool, offered or b""))
    return found


def report_of(tool: Tool, offered: bytes, now_at: int) -> QuarantineTool:
    """All workers that see the same change of the same registration give the same command."""
    return QuarantineTool(
        command_id=derived_id(offered[:16], f"{CODE} {tool.id}", tool.seq),
        principal=WORKER,
        reason=f"its server offers the definition {offered.hex()}, accepted was {tool.entry.definition_hash.hex()}",
        issued_at=now_at,
        tool=tool.id,
        code=CODE,
        observed_hash=offered,
    )


class Changes:
    """Reports each change once. What could not be put on the log is reported when it is seen again."""

    def __init__(self, give: Give, view: Callable[[], ControlView], metrics: Metrics) -> None:
        self._give, self._view, self._metrics = give, view, metrics
        self._reported: dict[str, tuple[int, bytes]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def now(self) -> int:
        """How far the view is (ports.Watcher)."""
        return self._view().seq

    def offered(self, profile: str, hashes: Mapping[str, bytes], since: int) -> None:
        """What a server offers now (ports.Watcher)."""
        for tool, found in changed(self._view(), profile, hashes, since):
            if self._reported.get(tool.id) == (tool.seq, found):
                continue
            self._reported[tool.id] = (tool.seq, found)
            self._metrics.alarms.labels(CODE).inc()
            log.error("a tool is not as it was accepted", tool=tool.id, profile=profile, offered=found.hex())
            task = asyncio.create_task(self._report(tool, found))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _report(self, tool: Tool, offered: bytes) -> None:
        try:
            await self._give(report_of(tool, offered, wall_micros()))
        except Refusal as error:
            self._reported.pop(tool.id, None)
            log.warning("a changed tool could not be reported, again when it is seen again", error=repr(error))
