"""Facts of one intent: sound ones by hand, and any that the schemas allow, made from the types themselves."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

import msgspec
from hypothesis import strategies as st

from libs.contracts import events as e
from libs.ledger.codec import allowed_types
from libs.ledger.service import Fact
from services.status.timeline import TOPICS
from services.status.view import IntentView
from services.table import TABLE

STATUS = TABLE["status"]
KEY = bytes(15) + b"\x07"
AGENT = e.Principal("acme", "agent-1", e.ActorKind.MACHINE, ("a1",), ())
HASH = b"\xab" * 32
ID = b"\xcd" * 16


def fact_of(topic: str, seq: int, body: Any, at: int, tenant: str = "acme", actor: str = "someone") -> Fact:
    envelope = e.Envelope(
        seq=seq, prev_hash=bytes(32), event_id=seq.to_bytes(16), intent_id=KEY, tenant=tenant, account="a1",
        cause=e.Cause("timer/TIMER", 0, bytes(16)), control_seq=3, occurred_at=at, trace_parent="",
        actor=e.Actor(actor, e.ActorKind.SYSTEM), producer="test",
    )  # fmt: skip
    return Fact(topic, envelope, body, bytes(32))


def fold(facts: Iterable[Fact], view: IntentView = STATUS.initial) -> IntentView:
    for fact in facts:
        view = STATUS.evolve(view, fact)
    return view


class Ledger:
    """The facts of one intent as its services wrote them; each call is one microsecond later, unless told otherwise."""

    def __init__(self) -> None:
        self.facts: list[Fact] = []
        self.now_at = 1_000

    def say(self, topic: str, *bodies: Any, tenant: str = "acme", actor: str = "someone") -> Ledger:
        """Decided in one batch, so at one moment."""
        self.now_at += 1
        for body in bodies:
            seq = 1 + sum(fact.topic == f"ledger.{topic}" for fact in self.facts)
            self.facts.append(fact_of(f"ledger.{topic}", seq, body, self.now_at, tenant, actor))
        return self

    @property
    def view(self) -> IntentView:
        return fold(self.facts)


def result(verdict: e.Verdict = e.Verdict.ALLOW, code: str = "", reason: str = "") -> e.ValidatorResult:
    return e.ValidatorResult("freshness", e.ChokePoint.STEP_EXECUTION, verdict, code, reason, "crm", HASH)


ACCEPTED = e.IntentAccepted(
    idempotency_key="k-1", tool="git/git_commit", capability="git.write", arguments="{}", expires_at=9_000,
    principal=AGENT, content_digest=HASH, arrived_at=900, account="a1",
)  # fmt: skip
ALLOWED = e.IntentAllowed(
    verdict=e.Verdict.ALLOW, results=(result(),), human_required=False, approvals_needed=0, approver_roles=(),
    action_digest=HASH, policy_hash=HASH, tool="git/git_commit", tool_hash=HASH, server="git", price_micros=100,
    cost_class=e.CostClass.CHEAP, effect_class=e.EffectClass.OPAQUE, effect=e.EffectKind.WRITE, target="repo",
    display='{"message":"hi"}', expires_at=9_000, requester="agent-1",
)  # fmt: skip
ASKING = msgspec.structs.replace(ALLOWED, human_required=True, approvals_needed=2, approver_roles=("lead",))
REQUESTED = e.ApprovalRequested(
    action_digest=HASH, needed=2, roles=("lead",), expires_at=5_000, display='{"message":"hi"}', tool="git/git_commit",
    requester="agent-1",
)  # fmt: skip
GRANTED = e.ApprovalGranted(HASH, ("alice", "bob"), 5_000)
RESERVED = e.BudgetReserved(100, (), ("tenant:acme",))
SUCCEEDED = e.ExecutionSucceeded(
    attempt=1, cost_micros=60, object_refs=(e.ObjectRef("commit", "c0ffee"),), response_bytes=10, summary="committed",
    started_at=1_500, duration_ms=4, response_digest=HASH, artifact="sha256/ab",
)  # fmt: skip
DOUBTFUL = e.ExecutionInDoubt(1, "NO_ANSWER", "the connection was lost", 7_000, "resolver")


def dispatched(attempt: int = 1) -> e.ExecutionDispatched:
    return e.ExecutionDispatched(
        attempt=attempt, tool="git/git_commit", tool_hash=HASH, server="git", action_digest=HASH,
        effect_class=e.EffectClass.OPAQUE, timeout_ms=100, reservation_id=ID, policy_hash=HASH, rechecks=(result(),),
    )  # fmt: skip


def outcome(status: e.OutcomeStatus = e.OutcomeStatus.SUCCEEDED, code: str = "", reason: str = "") -> e.OutcomeRecorded:
    refs = SUCCEEDED.object_refs if status is e.OutcomeStatus.SUCCEEDED else ()
    return e.OutcomeRecorded(status, code, reason, 60, 1, ID, "git/git_commit", refs)


def running() -> Ledger:
    """A deed whose tool is being called."""
    return Ledger().say("intake", ACCEPTED).say("validation", ALLOWED).say("budget", RESERVED).say(
        "execution", dispatched()
    )  # fmt: skip


# -- anything that the schemas allow


def any_body(kind: type[Any]) -> st.SearchStrategy[Any]:
    hints = typing.get_type_hints(kind)
    return st.builds(kind, **{name: _any(hints[name]) for name in kind.__struct_fields__})


def _any(hint: Any) -> st.SearchStrategy[Any]:
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return st.one_of([_any(one) for one in inner])
    if origin is tuple:
        return st.lists(_any(inner[0]), max_size=2).map(tuple)
    if origin is not None and issubclass(origin, Mapping):
        return st.just({})
    if hint is types.NoneType:
        return st.none()
    if issubclass(hint, StrEnum):
        return st.sampled_from(hint)
    if issubclass(hint, msgspec.Struct):
        return any_body(hint)
    return {str: st.sampled_from(["", "budget", "line\n\x1bbreak", "x" * 400]), int: st.integers(0, 3),
            bool: st.booleans(), bytes: st.sampled_from([ID, KEY])}[hint]  # fmt: skip


_BODIES = {
    topic: st.one_of([any_body(kind) for kind in sorted(allowed_types(topic), key=lambda one: one.__name__)])
    for topic in TOPICS
}


@st.composite
def any_topics(draw: st.DrawFn) -> list[list[Fact]]:
    """For each topic its facts in order. Tenants may differ, times may stand still or go back."""
    found = []
    for topic in TOPICS:
        bodies = draw(st.lists(_BODIES[topic], max_size=6))
        if topic == "ledger.intake" and draw(st.booleans()):
            bodies.insert(0, ACCEPTED)
        found.append(
            [
                fact_of(topic, seq, body, draw(st.integers(1_000, 1_004)), _tenant(draw, body))
                for seq, body in enumerate(bodies, 1)
            ]
        )
    return found


def _tenant(draw: st.DrawFn, body: Any) -> str:
    return "acme" if isinstance(body, e.IntentAccepted) else draw(st.sampled_from(["acme", "", "evil", "other"]))


def mixed(topics: list[list[Fact]], random: Any) -> list[Fact]:
    """The topics mixed, each in its own order."""
    rest, found = [list(facts) for facts in topics if facts], []
    while rest:
        chosen = random.choice(rest)
        found.append(chosen.pop(0))
        rest = [facts for facts in rest if facts]
    return found
