"""Whose submission it is: a token is believed or not, as of its arrival (A3)."""

from __future__ import annotations

import msgspec
import pytest

from libs.governance.tokens import Issuer, KeySet, TokenVerifier
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
