"""A deed on its way through execution, as far as a test wants it."""

from __future__ import annotations

from typing import Any

from libs.contracts import events as e
from libs.testkit.flow import KEY, desk, submit
from libs.testkit.given import Desk
from libs.testkit.samples import answer

S, C = e.AnswerStatus, e.FailureCategory


def ready(capacity: int = 0, wanted: e.Intent | None = None, **entry: Any) -> Desk:
    """Everything is there; the deed waits for capacity."""
    at = desk(**entry)
    at.capacity = capacity
    submit(at, wanted)
    at.run()
    return at


def dispatched(**entry: Any) -> Desk:
    return ready(1, **entry)


def in_doubt() -> Desk:
    at = dispatched()
    at.result(KEY, answer(S.AMBIGUOUS, code="TIMEOUT", reason="no answer"))
    return at


def names(decided: list[Any]) -> list[str]:
    return [type(decision.body).__name__ for decision in decided]


def code_of(decided: list[Any]) -> str:
    assert names(decided) == ["CommandRejected"]
    code: str = decided[0].body.code
    return code
