"""What stands on the ledger of a simulation, as far as its end and its people ask for it."""

from __future__ import annotations

from typing import Any

from libs.contracts import events as e


class History:
    """Grows with each event that reaches the log."""

    def __init__(self) -> None:
        self.happened: dict[bytes, set[str]] = {}  # key -> kinds of its events
        self.dispatched: set[tuple[bytes, int]] = set()  # key, attempt
        self.classes: dict[bytes, str] = {}  # key -> effect class of its dispatch
        self.rejected: set[str] = set()  # names of intents with a refused submission
        self.doubts: dict[bytes, None] = {}
        self.requests: dict[bytes, bytes] = {}  # key -> action digest that people are asked about

    def add(self, key: bytes, body: Any) -> None:
        """An event is on the log."""
        self.happened.setdefault(key, set()).add(type(body).__name__)
        if isinstance(body, e.ExecutionDispatched):
            self.dispatched.add((key, body.attempt))
            self.classes[key] = body.effect_class.value
        elif isinstance(body, e.ExecutionInDoubt):
            self.doubts[key] = None
        elif isinstance(body, e.ExecutionResolved | e.ExecutionSucceeded | e.ExecutionFailed):
            self.doubts.pop(key, None)
        elif isinstance(body, e.SubmissionRejected):
            self.rejected.add(body.idempotency_key)
        elif isinstance(body, e.ApprovalRequested):
            self.requests[key] = body.action_digest
