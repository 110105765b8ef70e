"""What a worker process has besides the log and the database: tools that reach the outside world, and those who are
told of its work. A call ends in an answer, whatever happens."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

import msgspec

from libs.contracts.events import AnswerStatus, FailureCategory, ToolAnswer
from libs.ledger.protocol import Call, Commit, Connect, Connected, Finished
from libs.ledger.service import Citation, Effect, Result
from libs.ledger.worker import Worker
from libs.runtime.clock import boottime_ms
from libs.runtime.failpoints import hit
from libs.runtime.logs import logger
from libs.runtime.telemetry import Metrics

CALL_GRACE_MS = 2_000  # an adapter ends a call by itself; one that does not is given up so much later


# Whose the cited events are. Bounded in time, and raises nothing: what it leaves out could not be asked for.
LookUp = Callable[[Sequence[Citation]], Awaitable[Mapping[Citation, str | None]]]


class Tools(Protocol):
    """How effects reach the outside world (execution's adapters); other services have none."""

    async def connect(self, effects: Sequence[Effect]) -> tuple[list[Effect], list[tuple[Effect, ToolAnswer]]]:
        """Which are ready to be called, and which provably cannot be, with why (status NOT_SENT)."""
        ...

    async def call(self, effect: Effect, guard: Callable[[], bool]) -> ToolAnswer:
        """Call once. `guard` is looked at with no await between it and the first byte."""
        ...


class Outside:
    """What a worker process has besides the servers."""

    def __init__(
        self,
        metrics: Metrics,
        tools: Tools | None,
        encode_late: Callable[[Result], bytes],
        observers: Sequence[Callable[[Commit], None]] = (),
        look_up: LookUp | None = None,
    ) -> None:
        self.metrics, self.tools, self.encode_late, self.observers = metrics, tools, encode_late, observers
        self.look_up = look_up


async def connect(tools: Tools, action: Connect) -> Connected:
    """Bring up what the effects need."""
    ready, failed = await tools.connect(action.effects)
    return Connected(
        action.lane,
        action.claim,
        [(e.key, e.attempt) for e in ready],
        [(e.key, e.attempt, answer) for e, answer in failed],
    )


async def call(tools: Tools, worker: Worker, action: Call) -> Finished:
    """Call once, and look at lease and switches right before the first byte."""
    effect = action.effect
    hit("before-effect")

    def guard() -> bool:
        return worker.may_call(action.lane, action.claim, effect, boottime_ms())

    began = worker.now_at()
    try:
        async with asyncio.timeout((effect.timeout_ms + CALL_GRACE_MS) / 1000):
            answer = await tools.call(effect, guard)
    except TimeoutError:
        answer = _ambiguous("TIMEOUT", f"no answer within {effect.timeout_ms} ms", began, effect.timeout_ms)
    except Exception as error:  # noqa: BLE001 - boundary to adapters
        # The adapter broke in mid-call: nobody knows whether the tool was reached, so nobody claims to know.
        logger(__name__).exception("an adapter raised")
        # The text of an error may hold anything, of any length: it is for the log, which is redacted.
        answer = _ambiguous("ADAPTER_ERROR", f"the adapter failed: {type(error).__name__}", began, 0)
    hit("after-effect")
    answer = msgspec.structs.replace(answer, started_at=began)  # the database's time: windows are counted from it
    return Finished(action.lane, Result(effect.key, effect.attempt, answer))


def _ambiguous(code: str, reason: str, started_at: int, duration_ms: int) -> ToolAnswer:
    return ToolAnswer(
        status=AnswerStatus.AMBIGUOUS, started_at=started_at, duration_ms=duration_ms, code=code,
        category=FailureCategory.TRANSIENT, reason=reason,
    )  # fmt: skip
