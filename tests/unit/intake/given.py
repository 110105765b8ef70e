"""Submissions as a sender puts them on the topic, and an intake that decides on them."""

from __future__ import annotations

from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ed25519

from libs.contracts import events as e
from libs.governance.control import ControlView
from libs.governance.identity import intent_id
from libs.governance.limits import IntentLimits
from libs.governance.tokens import Issuer, KeySet, TokenVerifier
from libs.ledger.codec import encode_message
from libs.ledger.service import Record
from libs.testkit.given import Desk
from libs.testkit.samples import NOW, SECOND, standard_control
from services.intake.decider import IntakeWorld
from services.table import TABLE

KEY = intent_id("acme", "key-1")
PRIVATE = ed25519.Ed25519PrivateKey.from_private_bytes(b"k" * 32)
ISSUER = "https://id.acme.test"
KEYS = KeySet(1, {ISSUER: Issuer(ISSUER, "deedbook", "EdDSA", {"k1": PRIVATE.public_key()})})


def bearer(at: int = NOW, **claims: Any) -> bytes:
    second = at // SECOND
    content: dict[str, Any] = {
        "iss": ISSUER,
        "aud": "deedbook",
        "sub": "agent-1",
        "tenant": "acme",
        "accounts": ["main"],
    }
    content |= {"roles": ["agent"], "iat": second, "exp": second + 60} | claims
    return b"Bearer " + jwt.encode(content, PRIVATE, "EdDSA", headers={"kid": "k1"}).encode()


def desk(view: ControlView | None = None, lane: tuple[int, int] = (0, 1), **limits: Any) -> Desk:
    world = IntakeWorld(KEYS, TokenVerifier(), IntentLimits(**limits))
    return Desk([TABLE["intake"]], view or standard_control(), {"intake": world}, lane=lane)


def record(value: bytes | e.Intent, offset: int = 0, header: bytes | None = None, at: int = NOW) -> Record:
    raw = value if isinstance(value, bytes) else encode_message(value)
    headers = (("authorization", bearer() if header is None else header),)
    return Record("intents", 0, offset, at, None, raw, headers)


def rejected(at: Desk, code: str) -> e.SubmissionRejected:
    """Exactly one rejection, under its own id, with a dead letter."""
    assert at.names() == ["SubmissionRejected"]
    fact = at.facts[0]
    body: e.SubmissionRejected = fact.body
    assert body.code == code
    assert body.remedy
    assert fact.envelope.intent_id == body.submission_id
    assert [letter.code for _, letter in at.dead] == [code]
    assert at.states == {}
    return body
