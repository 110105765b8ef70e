"""A desk with all deciding services and status, and the ways to bring an intent onto it."""

from __future__ import annotations

import itertools
import random
from collections import defaultdict
from typing import Any

from libs.contracts import events as e
from libs.governance.control import ControlView
from libs.governance.identity import intent_id
from libs.governance.tokens import KeySet, TokenVerifier
from libs.ledger.codec import encode_message
from libs.ledger.service import Fact, Record, Service
from libs.testkit.given import Desk, replay
from libs.testkit.samples import AGENT, NOW, intent, standard_control
from services.intake.decider import IntakeWorld
from services.table import DECIDERS, TABLE

NO_KEYS = KeySet(1, {})
KEY = intent_id("acme", "key-1")
_numbers = itertools.count(1)


def desk(control: ControlView | None = None, **entry: Any) -> Desk:
    """All deciding services and status, in one lane. `entry`: how the tool git/commit differs."""
    services = [TABLE[name] for name in (*DECIDERS, "status")]
    owned = {"intake": IntakeWorld(NO_KEYS, TokenVerifier())}
    return Desk(services, control or standard_control(**entry), owned)


def submit(at: Desk, wanted: e.Intent | None = None, who: e.Principal = AGENT, offset: int = 0) -> bytes:
    """Put a verified submission into the home lane; gives the intent's id. Nothing is read on yet."""
    wanted = wanted or intent()
    home = e.HomeSubmission(encode_message(wanted), who, at.world.now_at, "grpc", 0, 0, False)
    record = Record("intake.home", at.world.lane, offset, at.world.now_at, None, encode_message(home))
    at.arrive("intake", record)
    return intent_id(who.tenant, wanted.idempotency_key)


def number() -> bytes:
    """A new command id."""
    return next(_numbers).to_bytes(16)


def head(who: e.Principal, key: bytes = KEY, reason: str = "because") -> dict[str, Any]:
    """What every command begins with."""
    return {"command_id": number(), "intent_id": key, "principal": who, "reason": reason, "issued_at": NOW}


def vote(at: Desk, who: e.Principal, choice: e.Vote = e.Vote.APPROVE, **more: Any) -> e.ApprovalVote:
    """A vote about what is asked."""
    digest = at.last(e.ApprovalRequested).action_digest
    return e.ApprovalVote(**head(who) | {"vote": choice, "action_digest": digest} | more)


def cancel(who: e.Principal = AGENT, **more: Any) -> e.Cancel:
    return e.Cancel(**head(who) | more)


def resolve(who: e.Principal, applied: bool, **more: Any) -> e.Resolve:
    return e.Resolve(**head(who) | {"applied": applied, "evidence": "looked at the repository"} | more)


def late(answer: e.ToolAnswer, who: e.Principal, attempt: int = 1, **more: Any) -> e.LateResult:
    return e.LateResult(**head(who) | {"attempt": attempt, "answer": answer} | more)


def rebuild_is_equal(at: Desk, seed: int) -> None:
    """Each service's state, folded from the ledger in another interleaving of its topics."""
    for service in at.services.values():
        live = at.state(service.name, KEY)
        for shuffle in range(3):
            assert replay(service, _merged(at, service, seed + shuffle)) == live, service.name


def _merged(at: Desk, service: Service, seed: int) -> list[Fact]:
    """The facts that a service folds, topic by topic in their order, the topics mixed at random."""
    topics: dict[str, list[Fact]] = defaultdict(list)
    for fact in at.of(KEY):
        if fact.topic in (*service.reads, service.writes):
            topics[fact.topic].append(fact)
    chance, found = random.Random(seed), []
    while topics:
        topic = chance.choice(sorted(topics))
        found.append(topics[topic].pop(0))
        if not topics[topic]:
            del topics[topic]
    return found
