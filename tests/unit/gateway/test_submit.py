"""An intent over gRPC is looked at like any other, and lands in its home lane with who sent it (A1, A3, A6)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from libs.contracts import events
from libs.contracts.proto.deedbook.intake.v1 import intake_pb2 as pb
from libs.governance.control import ControlView, Tool
from libs.governance.digests import content_digest
from libs.governance.identity import intent_id, submission_id
from libs.governance.limits import IntentLimits
from libs.ledger.codec import decode_message
from libs.ledger.partition import lane_of
from libs.runtime.clock import wall_micros
from libs.runtime.requests import read_id
from libs.runtime.rpc import AccountDenied, Away, BadRequest, enter
from services.intake.handler import IntakeHandler
from tests.unit.gateway.fakes import AGENT, FakeLog

pytestmark = [pytest.mark.requirement("A1"), pytest.mark.requirement("A3"), pytest.mark.requirement("A6")]

OTHER_TRACE = "00-" + "b" * 32 + "-" + "c" * 16 + "-01"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
OTHER = "6f1f5c3e-9d0b-5a4f-8c27-d1e0b4a3962d"


@dataclass
class InForce:
    """What is in force in a test."""

    view: ControlView = field(default_factory=ControlView)


def soon(seconds: int = 600) -> Timestamp:
    return Timestamp(seconds=wall_micros() // 1_000_000 + seconds)


def asked(**given: Any) -> pb.SubmitRequest:
    usual: dict[str, Any] = {
        "idempotency_key": "k1",
        "account": "a1",
        "tool": "git/git_log",
        "capability": "code.read",
        "arguments": '{"repo": "/r"}',
        "expire_time": soon(),
    }
    return pb.SubmitRequest(intent=pb.Intent(**(usual | given)))


def handler(log: FakeLog, view: ControlView | None = None) -> IntakeHandler:
    return IntakeHandler(log, 8, InForce(view or ControlView()), IntentLimits())


async def test_a_submission_is_durable_in_its_home_lane_before_the_answer() -> None:
    log = FakeLog()
    enter(AGENT, TRACE)
    request = asked(
        cost_class=pb.COST_CLASS_CHEAP,
        cost_cap_micros=0,
        evidence=[pb.Evidence(kind=pb.EVIDENCE_KIND_SOURCE, type="mail", id="m-1")],
        data_sources=[pb.DataSource(name="crm", as_of_time=soon(-60))],
        retry_of=OTHER,
        run_id="r",
    )
    answer = await handler(log).Submit(request, None)
    (record,) = log.sent
    key = intent_id("acme", "k1")
    assert read_id(answer.intent_id, "intent_id") == key == record.key
    assert (record.topic, record.partition) == ("intake.home", lane_of(key, 8)) == (answer.topic, answer.partition)
    assert read_id(answer.submission_id, "id") == submission_id("intake.home", answer.partition, answer.offset)
    home = decode_message(record.value, "intake.home")
    assert (home.principal, home.forwarded, home.origin_topic, home.trace_parent) == (AGENT, False, "grpc", TRACE)
    intent = decode_message(home.intent, "intents")
    assert intent.evidence == (events.Evidence(events.EvidenceKind.SOURCE, "mail", "m-1"),)
    assert (intent.cost_class, intent.cost_cap_micros) == (events.CostClass.CHEAP, 0)
    assert (intent.retry_of, intent.edited_from) == (read_id(OTHER, "id"), None)
    assert intent.expires_at % 1_000_000 == 0
    assert answer.content_digest == content_digest(intent, '{"repo":"/r"}', AGENT.subject).hex()


async def test_the_same_key_is_the_same_intent_for_one_tenant_only() -> None:
    log = FakeLog()
    enter(AGENT)
    first = await handler(log).Submit(asked(), None)
    again = await handler(log).Submit(asked(arguments='{"repo": "/other"}'), None)
    enter(events.Principal("other", "x", events.ActorKind.MACHINE, ("a1",), ()))
    foreign = await handler(log).Submit(asked(), None)
    assert first.intent_id == again.intent_id != foreign.intent_id


@pytest.mark.requirement("A2")
@pytest.mark.parametrize("said", ["", "nonsense", OTHER_TRACE])
async def test_an_intent_without_a_trace_of_its_own_has_that_of_its_call(said: str) -> None:
    log = FakeLog()
    enter(AGENT, TRACE)
    await handler(log).Submit(asked(trace_parent=said), None)
    home = decode_message(log.sent[0].value, "intake.home")
    assert home.trace_parent == (OTHER_TRACE if said == OTHER_TRACE else TRACE)


async def test_the_largest_submission_is_no_larger_than_one_by_kafka() -> None:
    """What is not checked because it does not count must not take room on the log either."""
    log = FakeLog()
    enter(AGENT)
    evidence = [pb.Evidence(kind="EVIDENCE_KIND_SOURCE", type="t" * 256, id="i" * 256)] * 64
    arguments = '{"a": "' + "x" * 65_000 + '"}'
    await handler(log).Submit(asked(trace_parent="0" * 800_000, evidence=evidence, arguments=arguments), None)
    assert len(log.sent[0].value) < IntentLimits().record_bytes_max


async def test_an_account_outside_the_token_is_denied() -> None:
    log = FakeLog()
    enter(AGENT)
    with pytest.raises(AccountDenied):
        await handler(log).Submit(asked(account="a3"), None)
    assert log.sent == []


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"idempotency_key": ""}, "FIELD_INVALID"),
        ({"idempotency_key": "x" * 201}, "FIELD_INVALID"),
        ({"tool": ""}, "FIELD_INVALID"),
        ({"tool": "git/\x1blog"}, "FIELD_INVALID"),
        ({"arguments": ""}, "JSON_SYNTAX"),
        ({"arguments": "[]"}, "JSON_NOT_AN_OBJECT"),
        ({"arguments": '{"a": 1, "a": 2}'}, "JSON_DUPLICATE_KEY"),
        ({"arguments": '{"a": NaN}'}, "JSON_NUMBER"),
        ({"arguments": '{"a": 9007199254740993}'}, "JSON_NUMBER"),
        ({"arguments": '{"a": "' + "x" * 70_000 + '"}'}, "JSON_TOO_LARGE"),
        ({"cost_cap_micros": -1}, "FIELD_INVALID"),
        ({"expire_time": soon(-1)}, "EXPIRED"),
        ({"expire_time": soon(10 * 366 * 86_400)}, "EXPIRY_TOO_FAR"),
        ({"expire_time": Timestamp()}, "FIELD_INVALID"),
        ({"expire_time": Timestamp(seconds=-5)}, "BAD_REQUEST"),
        ({"retry_of": "x"}, "BAD_REQUEST"),
        ({"evidence": [pb.Evidence(type="mail", id="1")]}, "BAD_REQUEST"),
        ({"cost_class": 77}, "BAD_REQUEST"),
    ],
)
async def test_what_intake_would_reject_is_refused_at_once(given: dict[str, Any], code: str) -> None:
    log = FakeLog()
    enter(AGENT)
    with pytest.raises(BadRequest) as error:
        await handler(log).Submit(asked(**given), None)
    assert error.value.code == code
    assert log.sent == []


async def test_a_literal_secret_does_not_reach_the_log() -> None:
    entry = events.ToolEntry(
        server="mail",
        definition="{}",
        definition_hash=bytes(32),
        capability="mail.send",
        effect=events.EffectKind.WRITE,
        effect_class=events.EffectClass.OPAQUE,
        cost_class=events.CostClass.CHEAP,
        price_micros=1,
        timeout_ms=1000,
        secret_fields=("login.password",),
    )
    view = ControlView(tools={"mail/send": Tool("mail/send", entry, 1)})
    log = FakeLog()
    enter(AGENT)
    with pytest.raises(BadRequest) as error:
        await handler(log, view).Submit(asked(tool="mail/send", arguments='{"login": {"password": "canary"}}'), None)
    assert error.value.code == "SECRET_LITERAL"
    assert "canary" not in error.value.text
    await handler(log, view).Submit(asked(tool="mail/send", arguments='{"login": {"password": "secret://m/p"}}'), None)
    assert len(log.sent) == 1


async def test_a_submission_that_may_be_lost_is_not_answered_as_taken() -> None:
    enter(AGENT)
    with pytest.raises(Away):
        await handler(FakeLog(refusal=Away())).Submit(asked(), None)
