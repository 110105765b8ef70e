"""A deed to render, with the parts that a test wants otherwise."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

from libs.client.results import Approval, Deed, Entry, Finding, Position, Stage, State, Waiting
from libs.contracts.events import Verdict

ID = "6f1f5c3e-9d0b-5a4f-8c27-d1e0b4a3962d"
AT = datetime(2026, 11, 21, 22, 0, 0, tzinfo=UTC)
DIGEST = "ab" * 32


def later(seconds: float) -> datetime:
    """A moment after the deed was accepted."""
    return AT + timedelta(seconds=seconds)


def deed(**more: Any) -> Deed:
    """A deed that was just accepted."""
    given: dict[str, Any] = {
        field.name: () if str(field.type).startswith("tuple") else "" if field.type == "str" else None
        for field in fields(Deed)
    }
    given |= {name: 0 for name in given if name.endswith("_micros")} | {"attempts": 0, "timeline_dropped": 0}
    given |= {
        "intent_id": ID,
        "key": "k-1",
        "account": "main",
        "tool": "git/git_commit",
        "capability": "git.write",
        "requester": "agent-7",
        "state": State.PENDING,
        "overdue": False,
        "version": 1,
        "created_at": AT,
        "updated_at": AT,
        "expires_at": later(3600),
        "stages": (Stage("accepted", AT),),
    }
    return Deed(**(given | more))


def entry(event: str, topic: str = "ledger.intake", seq: int = 1, **more: Any) -> Entry:
    """A line of a timeline."""
    given: dict[str, Any] = {"event_id": f"{topic}/{seq}", "decided_at": AT, "actor": "deedbook/intake"}
    given |= {"code": "", "reason": "", "control_seq": 7}
    return Entry(position=Position(topic, 3, seq), event=event, **(given | more))


def finding(code: str, verdict: Verdict = Verdict.BLOCK, **more: str) -> Finding:
    """What a validator said."""
    given = {"validator": "compliance", "choke_point": "STEP_EXECUTION", "reason": "not allowed", "target": ""}
    return Finding(verdict=verdict, code=code, **(given | more))


def approval(**more: Any) -> Approval:
    """An open request."""
    given: dict[str, Any] = {
        "action_digest": DIGEST,
        "needed": 2,
        "approvers": ("ann",),
        "roles": ("approver", "lead"),
        "expires_at": later(600),
        "display": '{"message":"Pay","password":"[redacted]"}',
        "consent": None,
        "ballots": (),
    }
    return Approval(**(given | more))


def asking(**more: Any) -> Deed:
    """A deed that waits for people."""
    waiting = Waiting("approval by people", "approver, lead", later(600))
    return deed(**({"state": State.AWAITING_APPROVAL, "approval": approval(), "waiting": waiting} | more))
