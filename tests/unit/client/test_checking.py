"""What can never be accepted is refused before it is sent, on Kafka as over gRPC, and nothing else is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest

from libs.client import checking
from libs.client.client import Client
from libs.client.connection import Connection
from libs.client.errors import InvalidRequest
from libs.client.intents import DataSource, Evidence, Intent, micros, to_event
from libs.contracts.events import ActorKind, Principal
from libs.governance.control import ControlView
from libs.governance.limits import IntentLimits
from libs.runtime.settings import KafkaSettings, load
from services.intake.reading import SubmissionRefused
from services.intake.reading import check as intake_check

AT = datetime(2026, 11, 21, 22, 0, tzinfo=UTC)
AGENT = Principal("acme", "agent-7", ActorKind.MACHINE, ("main",), ())
LATEST = AT + timedelta(days=31)
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"tool": ""}, "FIELD_INVALID"),
    ({"key": ""}, "FIELD_INVALID"),
    ({"key": "\u00e4" * 101}, "FIELD_INVALID"),
    ({"tool": "t" * 257}, "FIELD_INVALID"),
    ({"capability": "a\nb"}, "FIELD_INVALID"),
    ({"run_id": "r" * 257}, "FIELD_INVALID"),
    ({"evidence": (Evidence("t", "i"),) * 65}, "FIELD_INVALID"),
    ({"evidence": (Evidence("t" * 257, "i" * 256),)}, "FIELD_INVALID"),
    ({"data_sources": (DataSource("crm", AT),) * 33}, "FIELD_INVALID"),
    ({"data_sources": (DataSource("c" * 257, AT),)}, "FIELD_INVALID"),
    ({"cost_cap_micros": -1}, "FIELD_INVALID"),
    ({"expires_at": datetime(1969, 1, 1, tzinfo=UTC)}, "FIELD_INVALID"),
    ({"expires_at": LATEST + timedelta(microseconds=1)}, "EXPIRY_TOO_FAR"),
]
LARGEST: dict[str, Any] = {
    "key": "k" * 200, "tool": "t" * 256, "account": "main", "capability": "c" * 256, "run_id": "r" * 256,
    "evidence": (Evidence("t" * 256, "i" * 256),) * 64, "data_sources": (DataSource("c" * 256, AT),) * 32,
    "cost_cap_micros": 0, "expires_at": LATEST,
}  # fmt: skip


def event(given: dict[str, Any]) -> Any:
    return to_event(Intent(**{"tool": "a/b", "expires_at": AT + timedelta(hours=1), **given}))


def of_intake(given: dict[str, Any]) -> None:
    intake_check(event(given), AGENT, micros(AT, ""), IntentLimits(), ControlView())


@pytest.mark.parametrize(("given", "code"), WRONG)
def test_what_intake_refuses_is_refused_by_the_same_code(given: dict[str, Any], code: str) -> None:
    with pytest.raises(SubmissionRefused) as refused:
        of_intake(given)
    with pytest.raises(InvalidRequest) as raised:
        checking.check(event(given), micros(AT, ""))
    assert raised.value.code == refused.value.code == code
    assert raised.value.remedy


def test_what_intake_takes_is_taken() -> None:
    for given in (LARGEST, {}):
        of_intake(given)
        checking.check(event(given), micros(AT, ""))


def test_what_has_expired_may_have_been_done_and_is_asked_about_first() -> None:
    with pytest.raises(InvalidRequest) as raised:
        checking.check(event({"expires_at": AT}), micros(AT, ""))
    assert raised.value.code == "EXPIRED"
    assert "ask what became of it" in raised.value.remedy


@pytest.mark.parametrize("kafka", [True, False])
@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"tool": ""}, "FIELD_INVALID"),
        ({"expires_at": AT - timedelta(days=9999)}, "EXPIRED"),
        ({"expires_at": AT + timedelta(days=9999)}, "EXPIRY_TOO_FAR"),
        ({"key": 5}, "FIELD_INVALID"),
    ],
)
async def test_nothing_of_it_is_sent_on_either_way(given: dict[str, Any], code: str, kafka: bool) -> None:
    token = jwt.encode({"tenant": "acme", "sub": "agent-7"}, "s" * 32)
    nowhere = Connection("127.0.0.1:9", "127.0.0.1:9", lambda *_: token, timeout_s=0.2)
    log = load(KafkaSettings, kafka_bootstrap="127.0.0.1:9", kafka_timeout_ms=200) if kafka else None
    async with Client(nowhere, log) as client:
        with pytest.raises(InvalidRequest) as raised:
            await client.submit(Intent(**{"tool": "a/b", **given}))
    assert raised.value.code == code


def test_a_record_is_as_large_as_intake_takes_it_at_most() -> None:
    checking.check_size(b"x" * IntentLimits().record_bytes_max)
    with pytest.raises(InvalidRequest) as raised:
        checking.check_size(b"x" * (IntentLimits().record_bytes_max + 1))
    assert raised.value.code == "OVERSIZE"
