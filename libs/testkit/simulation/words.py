"""What a shell says when no answer came, and how the trace shows things."""

from __future__ import annotations

from typing import Any

from libs.contracts.events import AnswerStatus, FailureCategory, ToolAnswer
from libs.ledger.protocol import (
    Answer,
    Check,
    Checked,
    Claim,
    Claimed,
    ClaimRefused,
    Commit,
    CommitRefused,
    CommitUnknown,
    ControlSeen,
    Finished,
    Halt,
    Halted,
    Load,
    Loaded,
    Publish,
    Records,
    Release,
    Released,
    Renew,
    Renewed,
    Start,
    Started,
    Survey,
    Surveyed,
    Suspected,
)


def unknown(action: Any, sent: int) -> Answer:
    """What the shell says when no answer came."""
    match action:
        case Claim():
            return ClaimRefused(action.lane, action.claim, "UNKNOWN", "no answer")
        case Load():
            return Loaded(action.round, {}, {}, "no answer")
        case Commit():
            return CommitUnknown(action.round, "no answer")
        case Start():
            return Started({}, {lane: claim for lane, claim, _, _ in action.marks}, (), "no answer")
        case Renew():
            return Renewed(sent, (), (), "no answer")
        case Survey():
            return Surveyed(sent, 0, (), (), "no answer")
        case Release():
            return Released(action.lane, action.claim)
        case Halt():
            return Halted(action.lane, action.claim, False)
        case _:
            return Suspected(action.lane, action.claim, False)


def show(thing: Any) -> str:
    """One line."""
    match thing:
        case CommitRefused():
            return f"refused lanes {thing.lanes} scopes {len(thing.scopes)}"
        case Commit():
            parts = [
                f"{name}/{c.lane}@{c.epoch}+{len(c.records)}({c.seen_out_seq}->{c.out_seq}) pub {c.published.seq}"
                for name, changes in thing.changes.items()
                for c in changes
            ]
            return f"Commit {thing.round} " + " ".join(parts)
        case Publish():
            return f"Publish {thing.topic}/{thing.lane} {[r.seq for r in thing.records]}"
        case Finished():
            status: AnswerStatus = thing.result.answer.status
            return f"Finished {thing.result.key.hex()[:6]}/{thing.result.attempt} {status} {thing.result.answer.code}"
        case Records():
            return f"Records {thing.topic}/{thing.lane} {[r.offset for r in thing.records]}"
        case Claimed() | Checked() | Check() | Loaded() | ControlSeen():
            return f"{type(thing).__name__} {getattr(thing, 'lane', '')} {getattr(thing, 'error', '')}"
        case dict():
            return f"epoch {next(iter(thing.values())).epoch}"
        case _:
            text = repr(thing)
            return text if len(text) < 200 else text[:200] + "..."


def not_sent(code: str, reason: str, now_at: int) -> ToolAnswer:
    """The answer of a call that provably never left."""
    return ToolAnswer(
        status=AnswerStatus.NOT_SENT, started_at=now_at, duration_ms=0, code=code, category=FailureCategory.TRANSIENT,
        reason=reason,
    )  # fmt: skip
