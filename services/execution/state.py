"""What execution knows of an intent, what that waits for, and what it asks for.

    gathering --all there--> READY --> DISPATCHED --> ENDED
                               ^            |----> RETRY (READY again, later)
                               +------------+----> IN_DOUBT --> RESOLVED
    IN_DOUBT, of a QUERYABLE tool: asking --not there yet, no answer--> waiting to ask --time--> asking

    gathering --decided elsewhere: blocked, denied, cancelled, expired--> CLOSED

READY is not stored: it is what is there.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from libs.contracts.events import CostClass, EffectClass, EffectKind
from libs.governance.commands import CancelMark, Marks, that_counts
from libs.governance.subject import Subject
from libs.ledger.service import Effect, Waiting, WaitKind

QUERY_FROM = 1_000  # questions are numbered from here on: they are no attempts, of which there are 20 at most
FOREVER = 2**62
COMMAND_WAIT = 30_000_000  # microseconds that a cancellation waits for an intent that is not known yet
EARLY_MAX = 32  # cancellations that wait for one intent
EARLY_OF_TENANT_MAX = 4  # of them from one tenant, so that no stranger leaves no room for the owner's


class Phase(StrEnum):
    """Where the deed is, by execution's own events, or CLOSED when it was decided elsewhere."""

    OPEN = "OPEN"
    DISPATCHED = "DISPATCHED"
    RETRY = "RETRY"
    IN_DOUBT = "IN_DOUBT"
    RESOLVED = "RESOLVED"
    ENDED = "ENDED"
    CLOSED = "CLOSED"


class Terms(msgspec.Struct, frozen=True):
    """What validation allowed."""

    action_digest: bytes
    tool_hash: bytes
    target: str
    policy_hash: bytes
    price_micros: int
    cost_class: CostClass
    effect: EffectKind
    human_required: bool
    approvals_needed: int = 0
    approver_roles: tuple[str, ...] = ()


class Consent(msgspec.Struct, frozen=True):
    """The approval that people gave, and who took it back, if somebody did."""

    id: bytes
    action_digest: bytes
    expires_at: int
    withdrawn_by: str = ""
    withdrawn_why: str = ""


class Call(msgspec.Struct, frozen=True, omit_defaults=True):
    """The last dispatch. `control_seq`: of the view that the first one was decided under; `last_seq`: that of this."""

    server: str
    effect_class: EffectClass
    timeout_ms: int
    control_seq: int = 0
    last_seq: int = 0


class ExecutionState(msgspec.Struct, frozen=True, omit_defaults=True):
    """One deed. `attempt`: the last that was dispatched. `applied`, `cost_micros`: how it ended, by the last word.
    `cancels`: before the intent is known, whoever may turn out to be its owner; then the one that counts.
    `call_until_at`: set when an earlier call may have been applied; its key is honoured until then.
    `query`: how many times the tool was asked in this doubt, `asked_at` when last, `ask_at` when next."""

    phase: Phase = Phase.OPEN
    tenant: str = ""
    account: str = ""
    trace_parent: str = ""
    subject: Subject | None = None
    terms: Terms | None = None
    consent: Consent | None = None
    reservation_id: bytes | None = None
    cancels: Marks = ()
    call: Call | None = None
    attempt: int = 0
    retry_at: int = 0
    first_started_at: int | None = None
    call_until_at: int | None = None
    quiet_until_at: int = 0
    query: int = 0
    asked_at: int = 0
    ask_at: int | None = None
    price_micros: int = 0
    applied: bool = False
    cost_micros: int = 0
    seen: tuple[bytes, ...] = ()

    @property
    def known(self) -> bool:
        """Has the intent been accepted, as far as we have read?"""
        return bool(self.tenant)

    @property
    def open(self) -> bool:
        """May there still be something to carry out? Only then its content is kept."""
        return self.phase in (Phase.OPEN, Phase.DISPATCHED, Phase.RETRY)

    @property
    def unsure(self) -> bool:
        """May an earlier attempt have been applied? Then only a success or a doubt can follow."""
        return self.call_until_at is not None

    @property
    def asking(self) -> bool:
        """Is the tool being asked at this moment whether its call was applied?"""
        return self.phase is Phase.IN_DOUBT and self.query > 0 and self.ask_at is None

    @property
    def place(self) -> int:
        """The number under which the lane knows what is under way: of the attempt, or of the question."""
        return QUERY_FROM + self.query if self.asking else self.attempt

    @property
    def ended(self) -> bool:
        """Is it over, as far as execution knows?"""
        return self.phase in (Phase.ENDED, Phase.RESOLVED, Phase.CLOSED)

    @property
    def ready(self) -> bool:
        """Is everything there that a dispatch needs?"""
        if self.phase not in (Phase.OPEN, Phase.RETRY) or self.terms is None:
            return False
        agreed = self.consent is not None or not self.terms.human_required
        return agreed and self.subject is not None and self.reservation_id is not None

    @property
    def cancelled_by(self) -> CancelMark | None:
        """The cancellation that counts."""
        if not self.cancels or self.subject is None:
            return None
        return that_counts(self.cancels, self.tenant, self.account, self.subject.actor)

    @property
    def deadline_at(self) -> int:
        """The moment after which nothing may start."""
        assert self.subject is not None
        consent = self.consent
        return min(self.subject.expires_at, consent.expires_at) if consent else self.subject.expires_at


INITIAL = ExecutionState()


# -- what the lane asks


def owner(state: ExecutionState) -> tuple[str, str, str]:
    """Tenant, account and trace of the intent."""
    return state.tenant, state.account, state.trace_parent


def waits(state: ExecutionState) -> Waiting | None:
    """What the deed waits for, and until when."""
    if state.phase is Phase.DISPATCHED:
        return Waiting(WaitKind.DISPATCHED, state.attempt, why="the tool's answer")
    if state.asking:
        return Waiting(WaitKind.DISPATCHED, state.place, why="the tool's word on what it did", owner="resolver")
    if state.phase is Phase.IN_DOUBT and state.ask_at is not None:
        return Waiting(WaitKind.TIMER, state.attempt, state.ask_at, "to ask the tool what it did", "resolver")
    if state.phase is Phase.IN_DOUBT:
        return Waiting(WaitKind.TIMER, state.attempt, why="a person to find out what happened", owner="resolver")
    if state.ready:
        if state.phase is Phase.RETRY:
            return Waiting(WaitKind.READY, state.attempt, state.retry_at, why="the next attempt")
        return Waiting(WaitKind.READY, state.attempt, state.deadline_at, why="its turn")
    if state.cancels and not state.known:
        due_at = min(mark.noted_at for mark in state.cancels) + COMMAND_WAIT
        return Waiting(WaitKind.TIMER, due_at=due_at, why="the intent to cancel")
    return None


def react(state: ExecutionState) -> Effect | None:
    """The call that a dispatched deed asks for. A cancellation or withdrawal that came since stops it at the gate.
    In doubt, the question to the tool: it passes the same gate, and is not the deed's call."""
    subject, call = state.subject, state.call
    if not (state.phase is Phase.DISPATCHED or state.asking) or subject is None or call is None:
        return None
    stop_code, stop_reason = "", ""
    if mark := state.cancelled_by:
        stop_code, stop_reason = "CANCELLED", mark.reason
    elif state.consent is not None and state.consent.withdrawn_by:
        stop_code, stop_reason = "APPROVAL_WITHDRAWN", state.consent.withdrawn_why
    return Effect(
        key=subject.intent_id,
        attempt=state.place,
        tool=subject.tool,
        server=call.server,
        arguments=subject.arguments,
        effect_class=EffectClass.READ_ONLY if state.asking else call.effect_class,
        timeout_ms=call.timeout_ms,
        expires_at=_start_until(state),
        tenant=state.tenant,
        account=state.account,
        capability=subject.capability,
        trace_parent=state.trace_parent,
        stop_code=stop_code,
        stop_reason=stop_reason,
        query=state.asking,
        control_seq=0 if state.asking else call.last_seq,
    )


def _start_until(state: ExecutionState) -> int:
    """The moment at and after which the gate starts nothing. To ask is never too late."""
    if state.asking:
        return FOREVER
    until_at = state.call_until_at
    return state.deadline_at if until_at is None else min(state.deadline_at, until_at)
