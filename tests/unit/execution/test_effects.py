"""From an effect to its adapter: what was dispatched is what is called, and no adapter ends the process (T1, T9)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import pytest

from libs.contracts import events as e
from libs.governance.control import ControlView
from libs.ledger.service import Effect
from libs.runtime.logs import trace_id
from libs.runtime.telemetry import Metrics
from libs.testkit.flow import desk, submit
from libs.testkit.lines import logged
from libs.testkit.samples import answer, control, said, standard_control, tool
from services.execution.effects import Effects
from services.execution.ports import Health, RegisteredTool, Watcher

S, C = e.AnswerStatus, e.FailureCategory
HEAD = standard_control()
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Adapter:
    """Is ready and succeeds, or raises what it is given."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error, self.called = error, 0

    async def ready(self, effect: Effect, tool: RegisteredTool) -> None:
        if self.error is not None:
            raise self.error

    async def call(self, effect: Effect, tool: RegisteredTool, guard: Callable[[], bool]) -> e.ToolAnswer:
        self.called += 1
        return answer()

    def health(self) -> Mapping[str, Callable[[], Health]]:
        return {}

    def watch(self, watcher: Watcher) -> None: ...

    async def close(self) -> None: ...


def dispatched() -> Effect:
    at = desk(HEAD)
    submit(at)
    at.run()
    return at.effects()[0]


def tried(effect: Effect, view: ControlView, adapter: Adapter | None = None) -> list[e.ToolAnswer]:
    """The answers to a connect, if it fails, and to a call that was connected before."""
    adapter = adapter or Adapter()
    effects = Effects(adapter, lambda: view, Metrics(), lambda tenant, key: "k")

    async def both() -> list[e.ToolAnswer]:
        _, failed = await effects.connect([effect])
        return [*(found for _, found in failed), await effects.call(effect, lambda: True)]

    return asyncio.run(both())


def test_what_was_dispatched_is_called() -> None:
    assert [found.status for found in tried(dispatched(), HEAD)] == [S.SUCCEEDED]


@pytest.mark.requirement("T1")
@pytest.mark.requirement("T9")
@pytest.mark.parametrize(
    ("change", "code"),
    [
        (tool(definition={"name": "commit", "description": "now it also pushes"}), "TOOL_CHANGED"),
        (tool(effect_class=e.EffectClass.READ_ONLY, effect=e.EffectKind.READ), "TOOL_CHANGED"),
        (tool(is_error_means=e.ErrorMeaning.FAILED), "TOOL_CHANGED"),
        (e.ToolAccepted(**said(tool="git/commit", definition_hash=bytes(32))), "TOOL_CHANGED"),
        (e.ToolQuarantined(**said(tool="git/commit", code="TOOL_CHANGED")), "TOOL_QUARANTINED"),
        (e.ToolRemoved(**said(tool="git/commit")), "TOOL_UNKNOWN"),
    ],
)
def test_what_the_registry_says_otherwise_since_the_dispatch_is_not_called(change: Any, code: str) -> None:
    """The server may offer just what the registry says now; what was validated and approved is another tool."""
    adapter = Adapter()
    found = tried(dispatched(), control(change, start=HEAD), adapter)
    assert [(one.status, one.code, one.category) for one in found] == [(S.NOT_SENT, code, C.POLICY)] * 2
    assert adapter.called == 0


def test_whatever_else_changes_is_no_reason() -> None:
    other = tool("git/push")
    assert [found.status for found in tried(dispatched(), control(other, start=HEAD))] == [S.SUCCEEDED]
    asked = msgspec.structs.replace(dispatched(), control_seq=0)
    assert [found.status for found in tried(asked, control(tool(), start=HEAD))] == [S.SUCCEEDED]


@pytest.mark.requirement("X20")
def test_an_adapter_that_raises_while_it_connects_has_sent_nothing_and_ends_nobody() -> None:
    with logged() as lines:
        effect = msgspec.structs.replace(dispatched(), trace_parent=TRACE)
        failed, _ = tried(effect, HEAD, Adapter(OSError("secret: no such file")))
    assert [line.get("trace_id") for line in lines] == [trace_id(TRACE)]
    assert (failed.status, failed.code, failed.category) == (S.NOT_SENT, "ADAPTER_ERROR", C.TRANSIENT)
    assert "secret" not in failed.reason
