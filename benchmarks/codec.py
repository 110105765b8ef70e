"""Prints how long it takes to write and read two typical events: `python -m benchmarks.codec`."""

from __future__ import annotations

import json
import timeit
from collections.abc import Callable
from typing import Any

from benchmarks.report import say
from libs.contracts import events
from libs.ledger.codec import decode_event, encode_event, frame

ROUNDS, REPEATS = 5_000, 5
DIGEST, ID = bytes(range(32)), bytes(range(16))
NOW = 1_790_000_000_000_000

ENVELOPE = events.Envelope(
    seq=123_456,
    prev_hash=DIGEST,
    event_id=ID,
    intent_id=ID,
    tenant="acme",
    account="main",
    cause=events.Cause(topic="ledger.budget", position=123_455, id=ID),
    control_seq=42,
    occurred_at=NOW,
    trace_parent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    actor=events.Actor(id="agent-7", kind=events.ActorKind.MACHINE),
    producer="deedbook/0.1.0",
)
ACCEPTED = events.IntentAccepted(
    idempotency_key="run-17/step-3",
    tool="git/git_commit",
    capability="git.write",
    arguments=json.dumps({"repo_path": "/srv/repo", "message": "Correct the figures of October"}),
    expires_at=NOW + 60_000_000,
    principal=events.Principal("acme", "agent-7", events.ActorKind.MACHINE, ("main",), ("agent",)),
    content_digest=DIGEST,
    arrived_at=NOW,
    evidence=(events.Evidence(kind=events.EvidenceKind.SOURCE, type="ticket", id="T-1"),),
    data_sources=(events.DataSource(name="ledger", as_of_at=NOW),),
    snapshot_id="s-1",
    run_id="run-17",
)
DISPATCHED = events.ExecutionDispatched(
    attempt=1,
    tool="git/git_commit",
    tool_hash=DIGEST,
    server="git",
    action_digest=DIGEST,
    effect_class=events.EffectClass.OPAQUE,
    timeout_ms=30_000,
    reservation_id=ID,
    policy_hash=DIGEST,
)


def micros(call: Callable[[], Any]) -> float:
    """Microseconds of one call, the best of several rounds."""
    return min(timeit.repeat(call, number=ROUNDS, repeat=REPEATS)) / ROUNDS * 1e6


def main() -> None:
    say(f"{'event':<22}{'bytes':>7}{'encode us':>11}{'decode us':>11}{'frame us':>10}")
    for topic, body in (("ledger.intake", ACCEPTED), ("ledger.execution", DISPATCHED)):
        value = encode_event(ENVELOPE, body)
        assert decode_event(value, topic).body == body
        encode = micros(lambda body=body: encode_event(ENVELOPE, body))  # type: ignore[misc]
        decode = micros(lambda value=value, topic=topic: decode_event(value, topic))  # type: ignore[misc]
        head = micros(lambda value=value: frame(value))  # type: ignore[misc]
        say(f"{type(body).__name__:<22}{len(value):>7}{encode:>11.1f}{decode:>11.1f}{head:>10.2f}")


if __name__ == "__main__":
    main()
