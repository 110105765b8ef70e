"""Is it well-formed, authentic and new? Accepts an intent once, under the id that tenant and idempotency key make.

What a submission says is read and checked in `reading.py`; here is decided what it means for the intent's state.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

import msgspec

from libs.contracts.events import HomeSubmission, Intent, IntentAccepted, Principal, SubmissionRejected
from libs.governance.commands import actor_of
from libs.governance.identity import written
from libs.governance.limits import LIMITS, SECOND, IntentLimits
from libs.governance.tokens import KeySet, TokenVerifier
from libs.ledger.codec import encode_message
from libs.ledger.partition import lane_of
from libs.ledger.service import Command, Dead, Decision, Event, Fact, Forward, Input, World
from services.intake.refusals import REFUSALS


class IntakeWorld(msgspec.Struct, frozen=True):
    """What intake finds in `world.owned["intake"]`: whom to believe, and how much to take."""

    keys: KeySet
    verifier: TokenVerifier
    limits: IntentLimits = LIMITS
    look_again: Callable[[], bool] = lambda: False  # asks for newer keys; True = they may be there in a moment


class Submission(msgspec.Struct, frozen=True):
    """A submission that is well-formed and authentic. `arguments` is canonical JSON text."""

    id: bytes
    home: HomeSubmission
    intent: Intent
    arguments: str
    content_digest: bytes


class Refused(msgspec.Struct, frozen=True):
    """A submission that is not. `told` is what the submitter hears, `reason` what operators read."""

    id: bytes
    code: str
    told: str
    reason: str
    origin: tuple[str, int, int]
    idempotency_key: str = ""
    principal: Principal | None = None


class IntakeState(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is kept of an accepted intent, for ever: enough to know a repeat from other content."""

    content_digest: bytes = b""


INITIAL = IntakeState()


def decide(item: Input, state: IntakeState, world: World) -> list[Decision]:
    """A submission becomes an intent, a refusal, or a forward to its home lane. A repeat gives nothing."""
    if not isinstance(item, Command):
        return []
    body: Submission | Refused = item.body
    match body:
        case Refused():
            return _reject(body)
        case Submission():
            return _submitted(item.key, body, state, world)
        case _:
            assert_never(body)


def evolve(state: IntakeState, fact: Fact) -> IntakeState:
    """Rejections leave no trace here: the intent of their key, if there is one, is not theirs."""
    if isinstance(fact.body, IntentAccepted):
        return IntakeState(fact.body.content_digest)
    return state


def _submitted(key: bytes, submission: Submission, state: IntakeState, world: World) -> list[Decision]:
    home, intent = submission.home, submission.intent
    lane = lane_of(key, world.lanes)
    if lane != world.lane:
        if home.forwarded:
            return _reject(refused(submission, "MISPLACED", "it was forwarded and is not at home here"))
        onward = msgspec.structs.replace(home, forwarded=True)
        return [Forward("intake.home", lane, key, encode_message(onward))]
    if state.content_digest == submission.content_digest:
        return []
    if state.content_digest:
        reason = f"the key stands for the intent {written(key)}, which has other content or is someone else's"
        return _reject(refused(submission, "KEY_REUSED", reason))
    if intent.expires_at <= max(world.now_at, home.arrived_at):
        return _reject(refused(submission, "EXPIRED", "it expired before it was looked at"))
    if home.arrived_at > world.now_at + world.owned["intake"].limits.skew_max_s * SECOND:
        return _reject(refused(submission, "CLOCK_SKEW", "it arrives from the future"))
    return [_accept(submission)]


def _accept(submission: Submission) -> Event:
    home, intent = submission.home, submission.intent
    content = {name: getattr(intent, name) for name in intent.__struct_fields__}
    content |= {"arguments": submission.arguments, "trace_parent": home.trace_parent}
    accepted = IntentAccepted(
        **content,
        principal=home.principal,
        content_digest=submission.content_digest,
        arrived_at=home.arrived_at,
    )
    who = home.principal
    return Event(
        accepted, actor=actor_of(who), tenant=who.tenant, account=intent.account, trace_parent=home.trace_parent
    )


def refused(submission: Submission, code: str, reason: str) -> Refused:
    """A submission that turned out to be refused after all."""
    home = submission.home
    origin = (home.origin_topic, home.origin_partition, home.origin_offset)
    key = submission.intent.idempotency_key
    return Refused(submission.id, code, reason, reason, origin, key, home.principal)


def _reject(body: Refused) -> list[Decision]:
    category, remedy = REFUSALS[body.code]
    topic, partition, offset = body.origin
    rejected = SubmissionRejected(
        submission_id=body.id,
        code=body.code,
        category=category,
        reason=body.told,
        remedy=remedy,
        origin_topic=topic,
        origin_partition=partition,
        origin_offset=offset,
        idempotency_key=body.idempotency_key,
    )
    who = body.principal
    actor, tenant = (actor_of(who), who.tenant) if who else (None, "")
    event = Event(rejected, actor=actor, tenant=tenant, account="", trace_parent="", key=body.id)
    return [event, Dead(body.code, body.reason)]
