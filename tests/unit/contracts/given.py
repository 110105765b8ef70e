"""One event and one command with their bytes."""

from __future__ import annotations

from libs.contracts import events

ID, DIGEST, NOW = bytes(range(16)), bytes(range(32)), 1_790_000_000_000_000
ENVELOPE = events.Envelope(
    seq=300,
    prev_hash=DIGEST,
    event_id=ID,
    intent_id=ID,
    tenant="acme",
    account="",
    cause=events.Cause(topic="ledger.budget", position=7, id=ID),
    control_seq=42,
    occurred_at=NOW,
    trace_parent="",
    actor=events.Actor(id="execution", kind=events.ActorKind.SYSTEM),
    producer="deedbook/0.1.0",
)
FAILED = events.ExecutionFailed(
    attempt=1,
    code="TOOL_ERROR",
    category=events.FailureCategory.PERMANENT,
    reason="no such branch",
    duration_ms=12,
)
PRINCIPAL = events.Principal("acme", "alice", events.ActorKind.HUMAN, ("main",), ("approver",))
VOTE = events.ApprovalVote(
    command_id=ID,
    intent_id=ID,
    principal=PRINCIPAL,
    reason="looks right",
    issued_at=NOW,
    vote=events.Vote.APPROVE,
    action_digest=DIGEST,
)
CANCEL = events.Cancel(command_id=ID, intent_id=ID, principal=PRINCIPAL, reason="", issued_at=NOW)
