"""Dead letters: what could not be processed, with its reason and original bytes, and the way back onto the log."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jwt
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from libs.client.ending import Exit, Failed
from libs.client.errors import DeedbookError
from libs.client.operating import partitions
from libs.contracts.errors import CodecError
from libs.contracts.events import CommandRejected, DeadLetter, Intent, IntentAccepted, SubmissionRejected
from libs.governance.identity import intent_id
from libs.ledger.codec import decode_event, decode_message
from libs.runtime import kafka
from libs.runtime.clock import boottime_ms
from libs.runtime.requests import show_id
from libs.runtime.settings import KafkaSettings, StartRefused
from libs.stack.topics import TOPICS

if TYPE_CHECKING:
    from libs.client.client import Client

DEAD = "dead."
LEDGER = "ledger."
SERVICES = tuple(topic.name[len(DEAD) :] for topic in TOPICS if topic.name.startswith(DEAD))
NEWS_S = 10.0
POLL_MS = 200
_CUT = re.compile(r"\(the first \d+ of \d+ bytes; SHA-256 of all: [0-9a-f]{64}\)$")
_ID = re.compile(r"([a-z]+)/(\d+)/(\d+)")


@dataclass(frozen=True)
class Place:
    """Where a record stands."""

    topic: str
    partition: int
    offset: int


@dataclass(frozen=True)
class Buried:
    """A dead letter. `id`: service/partition/offset of the letter itself; `at`: microseconds, the broker's clock."""

    id: str
    at: int
    letter: DeadLetter

    @property
    def origin(self) -> Place:
        """Where the record stood that could not be processed."""
        return Place(self.letter.topic, self.letter.partition, self.letter.offset)

    @property
    def cut(self) -> bool:
        """Is a part of the original bytes missing?"""
        return _CUT.search(self.letter.reason) is not None


@dataclass(frozen=True)
class News:
    """What became of a record. `code` "" = it was taken; `already`: it was so before, and this is its state now."""

    event: str
    id: str
    code: str = ""
    reason: str = ""
    already: str = ""


@asynccontextmanager
async def reader(settings: KafkaSettings) -> AsyncIterator[Any]:
    """A client that reads; it belongs to no group and commits nothing."""
    client = kafka.consumer(settings, "deed", fetch_max_wait_ms=POLL_MS)
    await kafka.start(client, settings)
    try:
        yield client
    finally:
        await kafka.stop(client)


async def places(settings: KafkaSettings, topics: Sequence[str]) -> list[TopicPartition]:
    """Every partition of those of the topics that are there."""
    found = await partitions(settings, topics)
    return [TopicPartition(topic, number) for topic, count in sorted(found.items()) for number in range(count)]


async def read_all(settings: KafkaSettings, service: str = "") -> AsyncIterator[Buried]:
    """Every dead letter, up to the end that each partition has now. Raises StartRefused when the log says nothing
    more."""
    wanted = [DEAD + name for name in SERVICES if service in ("", name)]
    async with reader(settings) as client:
        found = await places(settings, wanted)
        client.assign(found)
        starts, ends = await client.beginning_offsets(found), await client.end_offsets(found)
        going = {place for place in found if starts[place] < ends[place]}
        for place, start in starts.items():
            client.seek(place, start)
        moved_ms = boottime_ms()
        while going:
            for place, records in (await client.getmany(*going, timeout_ms=POLL_MS)).items():
                moved_ms = boottime_ms()
                for record in records:
                    if record.offset < ends[place]:
                        yield _buried(record)
            going = {place for place in going if await client.position(place) < ends[place]}
            if boottime_ms() - moved_ms > settings.kafka_timeout_ms:
                raise StartRefused(f"Kafka does not go on; {len(going)} partitions of dead letters are not read.")


async def read_one(settings: KafkaSettings, letter_id: str) -> Buried:
    """One dead letter. Raises Failed: NO_SUCH_LETTER."""
    found = _ID.fullmatch(letter_id)
    missing = Failed(
        "NO_SUCH_LETTER", f"there is no dead letter {letter_id}", "`deed dead list` shows their ids.", Exit.NOT_FOUND
    )
    if found is None:
        raise missing
    place, offset = TopicPartition(DEAD + found[1], int(found[2])), int(found[3])
    async with reader(settings) as client:
        if place not in await places(settings, [place.topic]):
            raise missing
        client.assign([place])
        start, end = (await client.beginning_offsets([place]))[place], (await client.end_offsets([place]))[place]
        if not start <= offset < end:
            raise missing
        client.seek(place, offset)
        until_ms = boottime_ms() + settings.kafka_timeout_ms
        while boottime_ms() < until_ms:
            for record in (await client.getmany(place, timeout_ms=POLL_MS)).get(place, ()):
                if record.offset != offset:
                    raise missing
                return _buried(record)
        raise StartRefused(f"Kafka does not give the record {offset} of {place.topic}/{place.partition}.")


async def replay(settings: KafkaSettings, buried: Buried, token: str) -> tuple[Place, News | None, str]:
    """Put the original bytes back to where they came from, and wait for what becomes of them; None = nothing so far;
    the id of the intent that they are, "" = none. `token`: for intents, whose own is never kept. Raises Failed:
    LETTER_CUT, NOT_REPLAYABLE, NOT_PUBLISHED."""
    letter = buried.letter
    if letter.topic.startswith(LEDGER):
        mend = "What waits for a parked key goes on by itself after `deed unpark`."
        raise Failed("NOT_REPLAYABLE", f"nobody but its service writes to {letter.topic}", mend)
    if buried.cut:
        raise Failed(
            "LETTER_CUT", "the letter holds only the first part of the record", "Ask its sender to send it again."
        )
    async with reader(settings) as client:
        watched = await places(settings, [LEDGER + letter.service, DEAD + letter.service])
        client.assign(watched)
        for place, offset in (await client.end_offsets(watched)).items():
            client.seek(place, offset)
        replayed, intent = await _publish(settings, letter, token), _intent_of(letter, token)
        return replayed, await _news(client, replayed, intent), show_id(intent) if intent else ""


async def known_already(client: Client, intent: str) -> News | None:
    """Of a replayed intent about which nothing was said: what was accepted before is not decided again, so it may be
    there. None = it is not, or nobody can be asked."""
    try:
        return News("IntentAccepted", intent, already=(await client.get(intent)).state.value)
    except DeedbookError:
        return None


def news_of(at: tuple[str, int], value: bytes, replayed: Place, intent: bytes = b"") -> News | None:
    """Does this record of a ledger or of dead letters say what became of the replayed one? `at`: its topic and
    partition; `intent`: the id of the intent that was replayed, which may have been forwarded to another lane."""
    topic, lane = at
    try:
        if topic.startswith(DEAD):
            letter: DeadLetter = decode_message(value, topic)
            same = Place(letter.topic, letter.partition, letter.offset) == replayed
            return News("DeadLetter", "", letter.code, letter.reason) if same else None
        fact = decode_event(value, topic)
    except CodecError:
        return None
    body, cause, key = fact.body, fact.envelope.cause, show_id(fact.envelope.intent_id)
    if isinstance(body, SubmissionRejected):
        origin = Place(body.origin_topic, body.origin_partition, body.origin_offset)
        return News("SubmissionRejected", key, body.code, body.reason) if origin == replayed else None
    if isinstance(body, IntentAccepted) and intent:
        return News("IntentAccepted", key) if fact.envelope.intent_id == intent else None
    if Place(cause.topic, lane, cause.position) != replayed:
        return None
    if isinstance(body, CommandRejected):
        return News("CommandRejected", key, body.code, body.reason)
    return News(type(body).__name__, key)


def name_of(token: str) -> str:
    """Whom a token names, unverified: intake verifies it."""
    try:
        claims = jwt.decode(token, options={"verify_signature": False})
    except jwt.PyJWTError:
        return "nobody (it is no token)"
    return f"{claims.get('sub')} of {claims.get('tenant')}"


def _intent_of(letter: DeadLetter, token: str) -> bytes:
    """The id of the intent in a letter, for the tenant that the token names; b"" = there is none."""
    try:
        body = decode_message(letter.value, letter.topic)
        tenant = jwt.decode(token, options={"verify_signature": False}).get("tenant", "") if token else ""
    except (CodecError, jwt.PyJWTError):
        return b""
    return intent_id(tenant, body.idempotency_key) if isinstance(body, Intent) and tenant else b""


async def _news(client: Any, replayed: Place, intent: bytes) -> News | None:
    """The first word about it."""
    try:
        async with asyncio.timeout(NEWS_S):
            while True:
                for records in (await client.getmany(timeout_ms=POLL_MS)).values():
                    for record in records:
                        found = news_of((record.topic, record.partition), record.value or b"", replayed, intent)
                        if found is not None:
                            return found
    except TimeoutError:
        return None


async def _publish(settings: KafkaSettings, letter: DeadLetter, token: str) -> Place:
    headers = [(name, value) for name, value in letter.headers.items()]
    if letter.topic == "intents":
        headers.append(("authorization", f"Bearer {token}".encode()))
    producer = kafka.producer(settings, "deed", linger_ms=0)
    await kafka.start(producer, settings)
    try:
        sent = await producer.send(letter.topic, letter.value, letter.key, letter.partition, headers=headers)
        acked = await kafka.within(_awaited(sent), settings.kafka_timeout_ms / 1000)
        return Place(letter.topic, letter.partition, acked.offset)
    except (KafkaError, TimeoutError, AssertionError) as error:
        reason = f"{letter.topic} did not take it: {type(error).__name__}"
        raise Failed("NOT_PUBLISHED", reason, "It may be there all the same; `deed doctor`.", Exit.AWAY) from None
    finally:
        await kafka.stop(producer)


async def _awaited(sent: Any) -> Any:
    return await sent


def _buried(record: Any) -> Buried:
    letter: DeadLetter = decode_message(record.value or b"", record.topic)
    return Buried(
        f"{record.topic.removeprefix(DEAD)}/{record.partition}/{record.offset}", record.timestamp * 1000, letter
    )
