"""A hostile submitter among others: each of its submissions is refused by name, and nobody else notices it (A3, A6)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any

import grpc
import pytest
from confluent_kafka import Message, Producer

from libs.contracts.events import OutcomeStatus, SubmissionRejected
from libs.contracts.proto.deedbook.intake.v1 import intake_pb2
from libs.contracts.proto.deedbook.status.v1 import status_pb2
from libs.governance.identity import submission_id
from libs.governance.remedies import remedy
from libs.ledger.codec import CATALOGUE, CodecError
from libs.testkit import seeding
from libs.testkit.bad_submissions import Bad, Hostile
from services.intake.refusals import REFUSALS
from tests.endings.table import story
from tests.faults.front import CALL_S, Front, front, in_words_of_grpc
from tests.faults.rig import Rig, until

BAD, BAD_CALLS, GOOD = 540, 180, 12
SUCCESS = [
    "BudgetReserved", "BudgetSettled", "ExecutionDispatched", "ExecutionSucceeded", "IntentAccepted", "IntentAllowed",
    "OutcomeRecorded",
]  # fmt: skip
Place = tuple[int, int]  # partition and offset on `intents`

pytestmark = [
    pytest.mark.integration,
    pytest.mark.requirement("A3"),
    pytest.mark.requirement("A6"),
    pytest.mark.requirement("T25"),
]


async def test_a_hostile_submitter_is_refused_by_name_and_changes_nothing(rig: Rig) -> None:
    before = await _good(rig, "before")
    await rig.prove()
    hostile = Hostile(rig.system.folder.keys, rig.random.getrandbits(32), [intent for _, intent in before])
    bad = hostile.some(BAD)
    async with front(rig.system) as agent:
        seen = await _seen(rig, agent, [key for key, _ in before])
        during, placed, said = await asyncio.gather(
            _good(rig, "during"), asyncio.to_thread(_publish, rig, bad), _call(agent, hostile.some(BAD_CALLS))
        )
        await _all_are_refused_by_name(rig, bad, placed)
        after = await _good(rig, "after")
        await rig.prove()
        assert await _seen(rig, agent, [key for key, _ in before]) == seen, "a deed of others has changed"
    assert said.total() == BAD_CALLS
    outcomes = rig.witness.outcomes()
    for key, _ in (*during, *after):
        assert outcomes[key].status is OutcomeStatus.SUCCEEDED
        assert sorted(type(fact.body).__name__ for fact in story(rig.witness, key)) == SUCCESS


async def _good(rig: Rig, name: str) -> list[tuple[bytes, Any]]:
    """Deeds of a well-behaved agent of the same tenant."""
    intents = [seeding.intent(f"{name}-{rig.random.getrandbits(40)}-{n}") for n in range(GOOD)]
    return list(zip(await rig.submit(intents), intents, strict=True))


async def _seen(rig: Rig, agent: Front, keys: Sequence[bytes]) -> list[tuple[bytes, list[bytes]]]:
    """What the ledger and status say of intents, byte by byte."""
    shown = [(await agent.get(key)).SerializeToString(deterministic=True) for key in keys]
    await rig.witness.catch_up()
    return [(one, [fact.hash for fact in story(rig.witness, key)]) for one, key in zip(shown, keys, strict=True)]


# -- on Kafka


def _publish(rig: Rig, bad: Sequence[Bad]) -> list[Place]:
    """By another client library, with its own idea of partitions for most; where each was put."""
    producer = Producer({"bootstrap.servers": rig.system.ends.kafka_bootstrap, "acks": "all", "linger.ms": 2})
    placed: dict[int, Place] = {}

    def delivered(number: int, error: object, message: Message) -> None:
        assert error is None, error
        placed[number] = (message.partition() or 0, message.offset() or 0)

    for number, one in enumerate(bad):
        headers: list[tuple[str, str | bytes | None]] = [] if one.token is None else [
            ("Authorization", b"Bearer " + one.token)
        ]  # fmt: skip
        lane = number % rig.system.plan.lanes
        producer.produce(
            "intents", one.value, b"%d" % number, lane, headers=headers,
            on_delivery=partial(delivered, number),
        )  # fmt: skip
        producer.poll(0)
    assert producer.flush(30) == 0
    return [placed[number] for number in range(len(bad))]


async def _all_are_refused_by_name(rig: Rig, bad: Sequence[Bad], placed: Sequence[Place]) -> None:
    """Each has exactly one rejection with a code that was to be expected, and one dead letter with its bytes."""
    wanted = {submission_id("intents", *place): one for one, place in zip(bad, placed, strict=True)}

    async def rejected() -> dict[bytes, list[Any]]:
        await rig.witness.catch_up()
        found = rig.witness.bodies(SubmissionRejected, "ledger.intake")
        return {key: found[key] for key in wanted} if wanted.keys() <= found.keys() else {}

    found: dict[bytes, list[Any]] = await until(rejected, "not all bad submissions are rejected")
    told = [(wanted[key].family, [body.code for body in bodies]) for key, bodies in found.items()]
    strange = [(wanted[key].family, [b.code for b in found[key]], sorted(wanted[key].codes)) for key in wanted
               if len(found[key]) != 1 or found[key][0].code not in wanted[key].codes]  # fmt: skip
    assert strange == []
    assert {code for _, codes in told for code in codes} <= REFUSALS.keys()
    assert all(body.remedy for bodies in found.values() for body in bodies)
    await until(partial(_all_are_buried, rig, bad, placed), "not all bad submissions are in the dead letters")


async def _all_are_buried(rig: Rig, bad: Sequence[Bad], placed: Sequence[Place]) -> bool:
    buried: dict[Place, list[bytes]] = {}
    for _, letter in await rig.records("dead.intake"):
        assert not any(name.lower() == "authorization" for name in letter.headers), "a token is kept"
        place, value = (letter.partition, letter.offset), letter.value
        if letter.topic == "intake.home":  # it was looked at again in its home lane
            try:
                home = CATALOGUE.decode_message(value, letter.topic)
            except CodecError:
                continue  # another test's
            place, value = (home.origin_partition, home.origin_offset), home.intent
        buried.setdefault(place, []).append(value)
    if not set(placed) <= buried.keys():
        return False
    for one, place in zip(bad, placed, strict=True):
        assert buried[place] == [one.value[: len(buried[place][0])]], one.family
    return True


# -- over gRPC

SUBMIT = "/deedbook.intake.v1.IntakeService/Submit"
OF_GRPC = frozenset({"RESOURCE_EXHAUSTED"})  # what the library says by itself to what is too large


async def _call(agent: Front, bad: Sequence[Bad]) -> Counter[str]:
    """The same over gRPC, and bytes that are no request: how often each code was said."""
    said: Counter[str] = Counter()
    for one in bad:
        try:
            code = await _taken(agent, one)
        except grpc.aio.AioRpcError as error:
            metadata: Any = error.trailing_metadata() or ()
            code = str(dict(metadata).get("deedbook-code", error.code().name))
            assert code in OF_GRPC or remedy(code), f"{one.family}: {error!r}"
        said[code] += 1
    return said


async def _taken(agent: Front, one: Bad) -> str:
    """Only whether a key was used before is not known at once: then it is told of under the submission's id."""
    metadata = () if one.token is None else (("authorization", "Bearer " + one.token.decode()),)
    if one.intent is None:
        raw: Any = agent.gateway.unary_unary(SUBMIT, bytes, bytes)
        await raw(one.value, metadata=metadata, timeout=CALL_S)
        raise AssertionError(f"{one.family} was taken: {one.value!r}")
    request = intake_pb2.SubmitRequest(intent=in_words_of_grpc(one.intent))
    answer: Any = await agent.intake.Submit(request, metadata=metadata, timeout=CALL_S)
    assert one.family == "reused", f"{one.family} was taken: {one.intent}"
    told = await until(lambda: agent.submission(answer.submission_id), "a rejection is not told")
    assert told.state == status_pb2.SUBMISSION_STATE_REJECTED
    return str(told.code)
