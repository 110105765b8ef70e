"""Four small services with the shape of the real ones: accept -> reserve money -> execute -> outcome. They are right
for every path that the lane can lead them on, and count the facts that they fold: a replay shows a double one."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from libs.contracts import events as e
from libs.ledger.partition import lane_of
from libs.ledger.service import (
    Command,
    Dead,
    Decision,
    Event,
    Fact,
    Forward,
    Prepared,
    Record,
    ScopeRow,
    Service,
    World,
)

WHO = e.Principal(tenant="acme", subject="agent", kind=e.ActorKind.MACHINE, accounts=(), roles=("operator",))
HARD_MICROS = 1_000
RETRY_MS = 50


class Order(msgspec.Struct, frozen=True, array_like=True):
    """What is submitted on `intents`."""

    key: bytes
    amount: int
    effect_class: str
    expires_at: int
    content: str = ""
    forwarded: bool = False


class Killed(BaseException):
    """A decider that ends its process."""


@dataclass
class Poison:
    """Keys that a service cannot decide: `raises` until mended, `kills` the process until mended."""

    raises: dict[tuple[str, bytes], bool]
    kills: dict[tuple[str, bytes], bool]

    def check(self, service: str, key: bytes) -> None:
        """Raises if the key is poison to the service."""
        if self.kills.get((service, key)):
            raise Killed
        if self.raises.get((service, key)):
            raise RuntimeError("poison")


def poison(world: World) -> Poison:
    """What this simulation's deciders stumble over."""
    found: Poison = world.owned["poison"]
    return found


# ---------------------------------------------------------------- intake


class Accepted(msgspec.Struct, frozen=True):
    """intake's state of a key."""

    digest: bytes = b""
    folded: int = 0


def _prepare_order(record: Record, world: World) -> Prepared:
    try:
        order = msgspec.msgpack.decode(record.value, type=Order)
    except msgspec.DecodeError:
        order = None
    key = hashlib.md5(b"%s/%d/%d" % (record.topic.encode(), record.partition, record.offset)).digest()
    return Prepared(Command(order.key if order else key, order, record, key, patient=order is None))


def _decide_intake(item: Any, state: Accepted, world: World) -> Sequence[Decision]:
    if not isinstance(item, Command):
        return []
    if item.body is None:
        return [Dead("MALFORMED", "no order")]
    order: Order = item.body
    poison(world).check("intake", order.key)
    if (home := lane_of(order.key, world.lanes)) != world.lane:
        if order.forwarded:
            return [Dead("MISPLACED", "forwarded twice")]
        value = msgspec.msgpack.encode(msgspec.structs.replace(order, forwarded=True))
        return [Forward("intake.home", home, order.key, value)]
    digest = hashlib.sha256(order.content.encode()).digest()
    if state.digest == digest:
        return []
    if state.digest:
        body = e.SubmissionRejected(
            submission_id=item.id, code="KEY_REUSED", category=e.FailureCategory.PERMANENT, reason="", remedy="",
            origin_topic=item.record.topic, origin_partition=item.record.partition, origin_offset=item.record.offset,
            idempotency_key="",
        )  # fmt: skip
        return [Event(body, tenant="acme", key=item.id)]
    body_ = e.IntentAccepted(
        idempotency_key=order.key.hex(), tool=order.effect_class, capability="", arguments="",
        expires_at=order.expires_at, principal=WHO, content_digest=digest, arrived_at=item.record.timestamp_at,
        cost_cap_micros=order.amount,
    )  # fmt: skip
    return [Event(body_, tenant="acme")]


def _evolve_intake(state: Accepted, fact: Fact) -> Accepted:
    match fact.body:
        case e.IntentAccepted():
            return Accepted(fact.body.content_digest, state.folded + 1)
        case _:
            return state


# ---------------------------------------------------------------- budget


class Money(msgspec.Struct, frozen=True):
    """budget's state of a key. `end`: what execution said, perhaps before the reservation."""

    amount: int = -1
    held: int = 0
    denied: bool = False
    end: str = ""
    settled: bool = False
    folded: int = 0


def _scope_of(key: bytes) -> str:
    return f"scope/{key[8] % 2}"


def _line(row: ScopeRow, share: int, pending: int, posted: int) -> e.ScopeLine:
    return e.ScopeLine(
        scope=row.scope, stripe=row.stripe, version=row.version + 1, share_micros=share, pending_micros=pending,
        posted_micros=posted, hard_micros=HARD_MICROS, frozen=pending + posted > share, cap_seq=0,
    )  # fmt: skip


def _share(row: ScopeRow, stripes: int) -> int:
    return row.share_micros if row.version else HARD_MICROS // stripes


def _reserve(key: bytes, amount: int, scopes: Any) -> Event:
    """From the own stripe; if that is not enough, with what the other stripes have left."""
    scope, mine = _scope_of(key), scopes.own(_scope_of(key))
    share = _share(mine, scopes.stripes)
    missing = mine.pending_micros + mine.posted_micros + amount - share
    lines = []
    if missing > 0:
        for row in scopes.all(scope):
            theirs = _share(row, scopes.stripes)
            taken = min(missing, theirs - row.pending_micros - row.posted_micros)
            if row.stripe != scopes.stripe and taken > 0:
                lines.append(_line(row, theirs - taken, row.pending_micros, row.posted_micros))
                missing, share = missing - taken, share + taken
    if missing > 0:
        return Event(e.BudgetDenied(amount, scope, "NO_BUDGET", "", 0))
    mine = scopes.own(scope)
    lines.append(_line(mine, share, mine.pending_micros + amount, mine.posted_micros))
    return Event(e.BudgetReserved(amount, tuple(lines), (scope,)))


def _decide_budget(item: Any, state: Money, world: World) -> Sequence[Decision]:
    if not isinstance(item, Fact):
        return []
    key = item.envelope.intent_id
    poison(world).check("budget", key)
    if state.amount >= 0 and not state.held and not state.denied and not state.settled:
        return [_reserve(key, state.amount, world.scopes)]
    if state.held and state.end and not state.settled:
        row = world.scopes.own(_scope_of(key))
        share = _share(row, world.scopes.stripes)
        pending = row.pending_micros - state.held
        if state.end == "SUCCEEDED":
            line = _line(row, share, pending, row.posted_micros + state.held)
            return [Event(e.BudgetSettled(state.held, state.held, False, (line,)))]
        return [Event(e.BudgetReleased(state.held, state.end, (_line(row, share, pending, row.posted_micros),)))]
    return []


def _evolve_budget(state: Money, fact: Fact) -> Money:
    replace = msgspec.structs.replace
    state = replace(state, folded=state.folded + 1)
    match fact.body:
        case e.IntentAccepted():
            return replace(state, amount=fact.body.cost_cap_micros or 0)
        case e.BudgetReserved():
            return replace(state, held=fact.body.amount_micros)
        case e.BudgetDenied():
            return replace(state, denied=True)
        case e.BudgetSettled() | e.BudgetReleased():
            return replace(state, settled=True)
        case e.ExecutionSucceeded():
            return replace(state, end="SUCCEEDED")
        case e.ExecutionResolved():
            return replace(state, end="SUCCEEDED" if fact.body.applied else "FAILED")
        case e.ExecutionFailed() | e.ExecutionCancelled() | e.ExecutionExpired() | e.ExecutionRefused():
            return replace(state, end="FAILED")
        case _:
            return state


def _lines(fact: Fact) -> Sequence[Any]:
    return getattr(fact.body, "lines", ())


# ---------------------------------------------------------------- outcome


class Outcome(msgspec.Struct, frozen=True):
    """outcome's state of a key."""

    status: str = ""
    ended: str = ""
    folded: int = 0


def _decide_outcome(item: Any, state: Outcome, world: World) -> Sequence[Decision]:
    if not isinstance(item, Fact) or not state.ended or state.status:
        return []
    poison(world).check("outcome", item.envelope.intent_id)
    return [Event(e.OutcomeRecorded(
        status=e.OutcomeStatus(state.ended), code="", reason="", cost_micros=0, attempts=0,
        decided_by=item.envelope.event_id, tool="",
    ))]  # fmt: skip


ENDS: dict[Any, str] = {
    e.BudgetDenied: "DENIED", e.ExecutionSucceeded: "SUCCEEDED", e.ExecutionFailed: "FAILED",
    e.ExecutionCancelled: "CANCELLED", e.ExecutionExpired: "EXPIRED", e.ExecutionRefused: "REFUSED",
}  # fmt: skip


def _evolve_outcome(state: Outcome, fact: Fact) -> Outcome:
    replace = msgspec.structs.replace
    state = replace(state, folded=state.folded + 1)
    if isinstance(fact.body, e.OutcomeRecorded):
        return replace(state, status=fact.body.status.value)
    if isinstance(fact.body, e.ExecutionResolved):
        return replace(state, ended="SUCCEEDED" if fact.body.applied else "FAILED")
    end = ENDS.get(type(fact.body))
    return replace(state, ended=end) if end else state


def owner(state: Any) -> tuple[str, str, str]:
    """Everything belongs to one tenant here."""
    return ("acme", "", "")


INTAKE = Service(
    "intake", "ledger.intake", (), ("intents", "intake.home", "commands"), Accepted(), Accepted, _decide_intake,
    _evolve_intake, prepare=lambda r, w: Prepared(None) if r.topic == "commands" else _prepare_order(r, w), owner=owner,
)  # fmt: skip
BUDGET = Service(
    "budget", "ledger.budget", ("ledger.intake", "ledger.execution"), ("commands",), Money(), Money, _decide_budget,
    _evolve_budget, lines=_lines, owner=owner,
)  # fmt: skip
OUTCOME = Service(
    "outcome", "ledger.outcome", ("ledger.intake", "ledger.budget", "ledger.execution"), ("commands",), Outcome(),
    Outcome, _decide_outcome, _evolve_outcome, owner=owner,
)  # fmt: skip
