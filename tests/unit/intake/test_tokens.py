"""Whose submission it is: a token is believed or not, as of its arrival (A3)."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from libs.contracts.events import Actor, ActorKind
from libs.governance.dids import Grant, issuer_of
from libs.governance.tokens import Issuer, KeySet, TokenVerifier
from libs.ledger.codec import encode_message
from libs.ledger.service import NotYet
from libs.testkit.given import Desk
from libs.testkit.samples import (
    HOUR,
    NOW,
    SECOND,
    intent,
    standard_control,
)
from services.intake.decider import IntakeWorld
from services.table import TABLE
from tests.unit.intake.given import ISSUER, bearer, desk, record, rejected

DID = "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp"


@pytest.mark.parametrize(
    "header", [b"", b"Bearer x.y.z", bearer(aud="other"), bearer(tenant=""), bearer(at=NOW - HOUR), bearer(accounts=7)]
)
def test_a_token_that_is_not_believed_is_refused_alike(header: bytes) -> None:
    at = desk()
    at.arrive("intake", record(intent(), header=header))
    body = rejected(at, "AUTH_INVALID")
    assert body.reason == "the token is not accepted"
    assert body.idempotency_key == ""
    assert at.facts[0].envelope.tenant == ""


@pytest.mark.requirement("A3")
def test_a_token_under_a_new_key_waits_for_the_issuers_answer_and_not_longer() -> None:
    answers = iter([True, True, False])
    world = IntakeWorld(KeySet(2, {ISSUER: Issuer(ISSUER, "deedbook", "EdDSA", {})}), TokenVerifier())
    world = msgspec.structs.replace(world, look_again=lambda: next(answers))
    at = Desk([TABLE["intake"]], standard_control(), {"intake": world})
    for _ in range(2):
        with pytest.raises(NotYet):
            at.arrive("intake", record(intent()))
    assert at.facts == []
    at.arrive("intake", record(intent()))
    assert rejected(at, "AUTH_INVALID").reason == "the token is not accepted"


def test_a_token_counts_at_the_time_of_arrival() -> None:
    at = desk()
    at.at(NOW + 600 * SECOND).arrive("intake", record(intent(), header=bearer(at=NOW)))
    assert at.names() == ["IntentAccepted"]


def test_an_arrival_from_the_future_is_refused() -> None:
    at = desk()
    later = NOW + 120 * SECOND
    at.arrive("intake", record(intent(), header=bearer(at=later), at=later))
    rejected(at, "CLOCK_SKEW")


def test_a_header_without_a_value_is_no_token() -> None:
    at = desk()
    at.arrive("intake", record(intent(), header=b""))
    rejected(at, "AUTH_INVALID")


@pytest.mark.requirement("A3")
def test_what_a_did_has_signed_is_taken_and_nothing_else() -> None:
    issuer = issuer_of(DID, Grant("acme", ("main",), ("agent",)), "deedbook", 3600)
    sent, second = encode_message(intent()), NOW // SECOND
    claims = {"iss": DID, "sub": DID, "tenant": "acme", "aud": "deedbook", "iat": second, "exp": second + 60}
    claims |= {"payload_type": "intents", "payload_sha256": sha256(sent).hexdigest()}
    key = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))
    token = jwt.encode(claims, key, "EdDSA", {"kid": next(iter(issuer.keys))})
    by_name: dict[str, Any] = {}
    for value in (sent, encode_message(intent(tool="git/other"))):
        world = {"intake": IntakeWorld(KeySet(2, {DID: issuer}), TokenVerifier())}
        at = Desk([TABLE["intake"]], standard_control(), world)
        at.arrive("intake", record(value, header=b"Bearer " + token.encode()))
        by_name |= dict(zip(at.names(), at.facts, strict=True))
    assert by_name["IntentAccepted"].envelope.actor == Actor(DID, ActorKind.MACHINE)
    assert by_name["SubmissionRejected"].body.code == "AUTH_INVALID"
