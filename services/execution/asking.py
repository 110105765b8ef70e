"""What a QUERYABLE tool did in a call whose answer was lost is asked of the tool itself. The question is an effect of
its own: it passes the gate like a call, is numbered apart from the attempts, and may be repeated: it changes nothing.

what the tool's query_tool answers             what follows
names an outside object                        ExecutionResolved, applied
names none, asked after the quiet period       ExecutionResolved, not applied
names none, asked before                       asked again when the quiet period is over
anything else, or nothing                      asked again later, ASKS_MAX times in all; then it is left to a person

All the while it is in doubt: a person may resolve it, and a late answer does.
"""

from __future__ import annotations

from libs.contracts.events import AnswerStatus, ExecutionInDoubt, ExecutionResolved, ToolAnswer
from libs.ledger.service import Decision, Event, Recover, Stopped, World
from services.execution.state import QUERY_FROM, ExecutionState

OWNER_ROLE = "resolver"
ASKS_MAX = 12
AGAIN_MS = 1_000
AGAIN_MAX_MS = 60_000
BY = "deedbook/execution"
_REFS_SHOWN = 3
_MS = 1_000


def is_question(number: int) -> bool:
    """Is this the number of a question, and not of an attempt?"""
    return number >= QUERY_FROM


def ask(state: ExecutionState, quiet_until_at: int, code: str, reason: str) -> Event:
    """In doubt, and the tool is asked at once."""
    return Event(ExecutionInDoubt(state.attempt, code, reason, quiet_until_at, OWNER_ROLE, state.query + 1))


def on_due(state: ExecutionState, world: World) -> list[Decision]:
    """It is time to ask again."""
    if state.ask_at is None or world.now_at < state.ask_at:
        return []
    return [ask(state, state.quiet_until_at, "ASKING", "the tool is asked whether the call was applied")]


def on_answer(answer: ToolAnswer, number: int, state: ExecutionState, world: World) -> list[Decision]:
    """What the tool says. Answers to other questions change nothing."""
    if not state.asking or number != state.place:
        return []
    if answer.status is not AnswerStatus.SUCCEEDED:
        return [_later(state, world, answer.code or "QUERY_FAILED", answer.reason)]
    if answer.object_refs:
        return [_resolved(state, answer, True)]
    if state.asked_at >= state.quiet_until_at:
        return [_resolved(state, answer, False)]
    reason = "the tool knows of no such call, but what was sent may still arrive"
    return [_in_doubt(state, "NOT_THERE_YET", reason, max(state.quiet_until_at, world.now_at))]


def on_recover(item: Recover, state: ExecutionState, world: World) -> list[Decision]:
    """Whoever asked was lost. A question that nobody has put is put by the lane as it stands."""
    if not state.asking or item.attempt != state.place or not item.started:
        return []
    return [_later(state, world, "OWNER_LOST", "the worker that asked the tool was lost before it had an answer")]


def on_stopped(item: Stopped, state: ExecutionState, world: World) -> list[Decision]:
    """The gate did not let the question pass."""
    if not state.asking or item.attempt != state.place:
        return []
    return [_later(state, world, item.code, item.reason)]


def _later(state: ExecutionState, world: World, code: str, reason: str) -> Event:
    """Nothing was learned: ask again, each time after twice the wait, or leave it to a person."""
    reason = f"the tool was asked and did not say whether the call was applied: {reason}"
    if state.query >= ASKS_MAX:
        return Event(ExecutionInDoubt(state.attempt, code, reason, state.quiet_until_at, OWNER_ROLE))
    wait_ms = min(AGAIN_MS << (state.query - 1), AGAIN_MAX_MS)
    return _in_doubt(state, code, reason, world.now_at + wait_ms * _MS)


def _in_doubt(state: ExecutionState, code: str, reason: str, ask_at: int) -> Event:
    quiet_until_at, query = state.quiet_until_at, state.query
    return Event(ExecutionInDoubt(state.attempt, code, reason, quiet_until_at, OWNER_ROLE, query, ask_at))


def _resolved(state: ExecutionState, answer: ToolAnswer, applied: bool) -> Event:
    """By the service itself; the evidence is the tool's word, kept as an artifact like every answer."""
    names = ", ".join(f"{ref.type} {ref.id}" for ref in answer.object_refs[:_REFS_SHOWN]) or "nothing"
    digest = answer.response_digest.hex() if answer.response_digest else "not kept"
    return Event(
        ExecutionResolved(
            attempt=state.attempt,
            applied=applied,
            cost_micros=state.price_micros if applied else 0,
            by=BY,
            evidence=f"the tool was asked (question {state.query}) and names {names}; SHA-256 of its answer: {digest}",
            command_id=None,
            object_refs=answer.object_refs,
        )
    )
