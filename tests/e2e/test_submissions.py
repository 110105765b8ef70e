"""An intent is what its content and key make it, wherever it arrives and however often."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import Message, Producer

from libs.contracts.events import Intent, IntentAccepted, SubmissionRejected
from libs.contracts.proto.deedbook.intake.v1 import intake_pb2
from libs.contracts.proto.deedbook.status.v1 import status_pb2
from libs.governance.identity import intent_id, submission_id
from libs.governance.remedies import remedy
from libs.ledger.codec import CATALOGUE
from libs.ledger.partition import lane_of
from libs.runtime import devkeys
from libs.runtime.requests import read_id, show_id
from libs.testkit import seeding
from tests.faults.front import Front, front
from tests.faults.rig import Rig, double_intent, until

DEEDS = 16

pytestmark = [pytest.mark.integration, pytest.mark.requirement("F16")]


async def test_an_intent_on_a_foreign_partition_becomes_one_deed_in_its_home_lane(rig: Rig) -> None:
    intents = [double_intent(f"foreign-{n}", 20) for n in range(DEEDS)]
    placed = _publish_as_another_client(rig, intents)
    keys = [intent_id(seeding.TENANT, one.idempotency_key) for one in intents]
    homes = [lane_of(key, rig.system.plan.lanes) for key in keys]
    away = [key for key, home, partition in zip(keys, homes, placed, strict=True) if home != partition]
    assert away, "the other client's partitioner happens to agree with ours"
    rig.wanted.update(keys)
    await rig.prove()
    for key, home in zip(keys, homes, strict=True):
        places = [
            place
            for place, facts in rig.witness.facts.items()
            for fact in facts
            if isinstance(fact.body, IntentAccepted) and fact.envelope.intent_id == key
        ]
        assert places == [("ledger.intake", home)]


async def test_the_same_intent_twice_is_one_deed_and_other_content_is_refused(rig: Rig) -> None:
    lane_count = rig.system.plan.lanes
    intents = [double_intent(f"twice-{n}", 20) for n in range(DEEDS)]
    changed = [msgspec.structs.replace(one, arguments='{"delay_ms":21}') for one in intents]
    ids = await rig.submit([*intents, *intents])
    _publish_as_another_client(rig, intents)  # the same once more, most of them on foreign partitions
    await rig.prove()
    await rig.system.submit(intents)  # and after the end
    refused = await rig.system.submit(changed)
    assert set(refused) == set(ids)

    await rig.load(4)  # what was submitted before these is decided before these end
    await rig.prove()
    rejections = [
        fact.body
        for fact in rig.witness.of("ledger.intake")
        if isinstance(fact.body, SubmissionRejected) and fact.body.idempotency_key.startswith("key-double-twice-")
    ]
    assert sorted(body.idempotency_key for body in rejections) == sorted(one.idempotency_key for one in changed)
    assert {body.code for body in rejections} == {"KEY_REUSED"}
    assert all(0 <= body.origin_partition < lane_count for body in rejections)
    await _rejections_are_told(rig, rejections)


@pytest.mark.requirement("A1")
@pytest.mark.requirement("A6")
@pytest.mark.requirement("G4")
async def test_what_became_of_a_submission_is_told_to_its_tenant(rig: Rig) -> None:
    one = double_intent("told", 20)
    changed = msgspec.structs.replace(one, arguments='{"delay_ms":21}')
    async with front(rig.system) as agent:
        answers = [await agent.submit(intent) for intent in (one, one, changed)]
        key = read_id(answers[0].intent_id, "intent_id")
        rig.wanted.add(key)
        states = [
            (await until(partial(_told, agent, answer), "a submission is not decided")).state for answer in answers
        ]
        assert [status_pb2.SubmissionState.Name(state).removeprefix("SUBMISSION_STATE_") for state in states] == [
            "ACCEPTED", "REPEATED", "REJECTED",
        ]  # fmt: skip
        rejected = await agent.submission(answers[2].submission_id)
    assert rejected is not None
    assert (rejected.code, rejected.remedy) == ("KEY_REUSED", remedy("KEY_REUSED"))
    await rig.prove()


@pytest.mark.requirement("A3")
async def test_a_token_under_a_new_signing_key_is_believed_at_once(rig: Rig, tmp_path: Path) -> None:
    """On both paths: no submission is refused because the key set was read before the issuer had the key."""
    keys = rig.system.folder.keys
    new = json.loads(devkeys.ensure(tmp_path).read_text())["keys"]
    old = json.loads((keys / devkeys.JWKS_FILE).read_text())["keys"]
    (keys / devkeys.JWKS_FILE).write_text(json.dumps({"keys": [*old, *new]}))
    token = devkeys.mint(tmp_path, devkeys.Who("agent-2", seeding.TENANT, "MACHINE", ("account-0",)))
    intents = [double_intent(f"rotated-{n}", 0) for n in range(DEEDS)]
    rig.wanted.update(await rig.system.submit(intents, token))
    async with front(rig.system, token=token) as agent:
        one = double_intent("rotated-by-grpc", 0)
        rig.wanted.add(read_id((await agent.submit(one)).intent_id, "intent_id"))
    await rig.prove()


async def _told(agent: Front, answer: intake_pb2.SubmitResponse) -> status_pb2.Submission | None:
    """What is known of a submission, once that is more than that it is under way."""
    found = await agent.submission(
        answer.submission_id, intent_id=answer.intent_id, content_digest=answer.content_digest
    )
    return found if found and found.state != status_pb2.SUBMISSION_STATE_PENDING else None


async def _rejections_are_told(rig: Rig, rejections: list[SubmissionRejected]) -> None:
    """By the id that anybody can compute who knows where a submission was put."""
    async with front(rig.system) as agent, front(rig.system, "rival") as stranger:
        for body in rejections:
            named = submission_id(body.origin_topic, body.origin_partition, body.origin_offset)
            told = await until(partial(agent.submission, show_id(named)), "a rejection is not told")
            assert (told.code, told.idempotency_key) == (body.code, body.idempotency_key)
            assert await stranger.submission(show_id(named)) is None


def _publish_as_another_client(rig: Rig, intents: list[Intent]) -> list[int]:
    """librdkafka, with its own partitioner and the idempotency key as the record's key. Gives the partitions."""
    producer = Producer({"bootstrap.servers": rig.system.ends.kafka_bootstrap, "acks": "all"})
    headers: list[tuple[str, str | bytes | None]] = [("authorization", f"Bearer {rig.system.token()}".encode())]
    placed: dict[bytes, int] = {}

    def delivered(error: object, message: Message) -> None:
        assert error is None, error
        placed[bytes(message.key() or b"")] = message.partition() or 0

    for one in intents:
        key, value = one.idempotency_key.encode(), CATALOGUE.encode_message(one)
        producer.produce("intents", value, key, headers=headers, on_delivery=delivered)
    assert producer.flush(10) == 0
    return [placed[one.idempotency_key.encode()] for one in intents]
