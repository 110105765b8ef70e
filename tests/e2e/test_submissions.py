"""An intent is what its content and key make it, wherever it arrives and however often."""

from __future__ import annotations

import msgspec
import pytest
from confluent_kafka import Message, Producer

from libs.contracts.events import Intent, IntentAccepted, SubmissionRejected
from libs.governance.identity import intent_id
from libs.ledger.codec import CATALOGUE
from libs.ledger.partition import lane_of
from libs.testkit import seeding
from tests.faults.rig import Rig, double_intent

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
