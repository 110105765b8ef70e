"""Fault X17: records that are not exactly one allowed thing. Where outsiders write, they end in the dead-letter topic
with their bytes and the reason, and the lane goes on."""

from __future__ import annotations

import gzip

import msgspec
import pytest
from aiokafka import AIOKafkaProducer

from libs.contracts.events import HomeSubmission
from libs.ledger.codec import CATALOGUE
from libs.ledger.partition import lane_of
from libs.testkit import seeding
from tests.faults.rig import Rig, double_intent
from tests.hostile import GZIP, batch, bomb, entry, send

DEAD = tuple(f"dead.{name}" for name in ("intake", "validation", "approval", "budget", "execution"))
DEEP = '{"a":' * 200 + "1" + "}" * 200

pytestmark = [pytest.mark.integration, pytest.mark.requirement("T5")]


def _poison() -> dict[str, tuple[str, bytes, str]]:
    """name: (topic, bytes, the code of the reason)."""
    good = CATALOGUE.encode_message(double_intent("poison", 0))
    home = CATALOGUE.encode_message(
        HomeSubmission(
            intent=b"no intent", principal=seeding.OPERATOR, arrived_at=seeding.now_at(), origin_topic="grpc",
            origin_partition=0, origin_offset=0, forwarded=False,
        )
    )  # fmt: skip
    deep = CATALOGUE.encode_message(msgspec.structs.replace(double_intent("deep", 0), arguments=DEEP))
    return {
        "nothing": ("intents", b"", "WRONG_MAGIC"),
        "no record of ours": ("intents", b'{"tool":"rm -rf"}', "WRONG_MAGIC"),
        "an unknown schema": ("intents", b"\0\x7f\xff\xff\xff" + good[5:], "UNKNOWN_SCHEMA"),
        "trailing bytes": ("intents", good + b"\0", "TRAILING_BYTES"),
        "cut off": ("intents", good[:-9], "TRUNCATED"),
        "too deep": ("intents", deep, "JSON_TOO_DEEP"),
        "an intent in no submission": ("intake.home", good, "UNKNOWN_SCHEMA"),
        "a submission of no intent": ("intake.home", home, "WRONG_MAGIC"),
        "no command": ("commands", b"\0\0\0\0\1junk", "UNKNOWN_SCHEMA"),
    }


async def test_poison_goes_to_the_dead_letters_and_the_lane_goes_on(rig: Rig) -> None:
    placed = {}
    token = rig.system.token()
    for n, (name, (topic, value, code)) in enumerate(_poison().items()):
        lane = n % rig.system.plan.lanes
        offset = await rig.publish(topic, lane, value, authorization=f"Bearer {token}")
        placed[name] = (topic, lane, offset, value, code)
    ids = await rig.load(24)
    assert {lane_of(key, rig.system.plan.lanes) for key in ids} == set(range(rig.system.plan.lanes))
    await rig.prove()
    found: dict[tuple[str, int, int], list[tuple[bytes, str]]] = {}
    for dead in DEAD:
        for _, letter in await rig.records(dead):
            place = (letter.topic, letter.partition, letter.offset)
            found.setdefault(place, []).append((letter.value, letter.code))
    wrong = {
        name: found.get((topic, lane, offset))
        for name, (topic, lane, offset, value, code) in placed.items()
        if found.get((topic, lane, offset)) != [(value, code)]
    }
    assert not wrong


async def test_what_no_client_library_would_send_ends_no_process_and_stops_no_lane(rig: Rig) -> None:
    """Header names that are no text, headers without a value, compression bombs, offsets of their own, and records of
    all sizes that the broker takes."""
    token = rig.system.token().encode()
    auth = (b"authorization", b"Bearer " + token)
    pids = {name: process.pid for name, process in rig.system.running.items()}
    raws = {
        "a name that is no text": (batch(entry(0, b"x", [(b"\xff\xfe", b"x"), auth])), "WRONG_MAGIC"),
        "no value in a header": (batch(entry(0, b"x", [(b"other", None), auth])), "WRONG_MAGIC"),
        "no value of the token": (batch(entry(0, b"x", [(b"authorization", None)])), "AUTH_INVALID"),
        "a bomb": (bomb(200, headers=[auth]), "UNREADABLE"),
        "a large one, packed": (batch(gzip.compress(entry(0, bytes(5 << 20), [auth])), 1, GZIP), "OVERSIZE"),
        "far away": (batch(entry(2**31 - 1, b"x", [auth])), "WRONG_MAGIC"),
        **{
            f"{size} bytes": (batch(entry(0, b"j" * size, [auth])), "OVERSIZE")
            for size in (899_000, 900_001, 950_000, 1_047_000)
        },
        "a large key": (batch(entry(0, b"x", [auth], key=b"k" * 1_000_000)), "WRONG_MAGIC"),
    }
    producer = AIOKafkaProducer(
        bootstrap_servers=rig.system.kafka.kafka_bootstrap, enable_idempotence=False, acks="all",
        max_request_size=2 << 20,
    )  # fmt: skip
    await producer.start()
    placed = {}
    for n, (name, (raw, code)) in enumerate(raws.items()):
        lane = n % rig.system.plan.lanes
        placed[name] = (lane, await send(producer, "intents", lane, raw), code)
    await producer.stop()
    await rig.load(24)
    await rig.prove()
    assert {name: process.pid for name, process in rig.system.running.items()} == pids
    letters = [letter for _, letter in await rig.records("dead.intake")]
    found = {
        name: [one.code for one in letters if (one.topic, one.partition, one.offset) == ("intents", lane, offset)]
        for name, (lane, offset, _) in placed.items()
    }
    assert found == {name: [code] for name, (_, _, code) in placed.items()}
    assert not [one for one in letters if token in one.value + b"".join(one.headers.values())]
