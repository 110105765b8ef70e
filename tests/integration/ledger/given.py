"""What the tests of this folder are about: two services of one process, owners of their lanes, and events on a log."""

from __future__ import annotations

import asyncio
import secrets
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import msgspec
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from libs.contracts.events import KeyParked
from libs.ledger.chain import ZERO, event_hash
from libs.ledger.codec import CATALOGUE
from libs.ledger.columns import encode
from libs.ledger.hosted import Hosted
from libs.ledger.protocol import (
    Claim,
    Claimed,
    ClaimRefused,
    Commit,
    CommitRefused,
    Committed,
    CommitUnknown,
    LaneRow,
    OutRecord,
    Published,
    RowChange,
)
from libs.ledger.service import Service
from libs.ledger.store import Store, StoreOptions
from libs.runtime import kafka
from libs.runtime.clock import boottime_ms, wall_micros
from libs.runtime.settings import KafkaSettings, load
from libs.testkit.samples import envelope

Answer = Committed | CommitRefused | CommitUnknown
LANES = 4096  # each test takes lanes of its own
LEASE_MS = 60_000


class State(msgspec.Struct, frozen=True, array_like=True):
    """What both services know of a key."""

    n: int = 0


def service(name: str, **more: Any) -> Service:
    """A service that decides nothing by itself."""
    fields: dict[str, Any] = {
        "name": name,
        "writes": f"ledger.{name}",
        "reads": (),
        "commands": (),
        "initial": State(),
        "state_type": State,
        "decide": lambda item, state, world: (),
        "evolve": lambda state, fact: state,
    }
    return Service(**fields | more)


def hosted(*services: Service) -> Hosted:
    """Services of one process."""
    return Hosted.of(services, CATALOGUE.encode_event, lambda *_: b"", "test")


ALPHA = service("alpha", react=lambda state: None)
BETA = service("beta", lines=lambda fact: ())
PAIR = hosted(ALPHA, BETA)


class Owner:
    """A worker process as the database sees it."""

    def __init__(self, dsn: str, services: Hosted = PAIR, **options: Any) -> None:
        self.token = options.pop("token", None) or secrets.token_bytes(16)
        self.name = f"owner-{self.token.hex()[:8]}"
        given: dict[str, Any] = {"shape": "colocated", "lanes": LANES, "lease_ms": LEASE_MS, "lock_timeout_ms": 5_000}
        self.store = Store(
            services, dsn, boottime_ms, StoreOptions(token=self.token, name=self.name, **given | options)
        )
        self.lease_ms = self.store.options.lease_ms

    async def claim(self, lane: int, control_seq: int = 0) -> Claimed | ClaimRefused:
        """Ask for a lane."""
        return await self.store.claim(Claim(lane, 1, control_seq))

    async def own(self, lane: int, control_seq: int = 0) -> Mapping[str, LaneRow]:
        """Take a lane that must be free; its rows."""
        answer = await self.claim(lane, control_seq)
        assert isinstance(answer, Claimed), answer
        return answer.rows

    async def commit(self, *changes: RowChange, beta: Sequence[RowChange] = ()) -> Answer:
        """Write what a round decided for alpha, and for beta."""
        return await self.store.commit(Commit(1, {"alpha": list(changes), "beta": list(beta)}), wall_micros())


def chain(count: int, after: tuple[int, bytes] = (0, ZERO), key: bytes = bytes(16), size: int = 10) -> list[OutRecord]:
    """Events that follow each other."""
    seq, prev_hash = after
    records = []
    for _ in range(count):
        seq += 1
        body = KeyParked(
            service="alpha", code="TEST", error="x" * size, input_topic="intents", input_position=seq
        )  # fmt: skip
        value = CATALOGUE.encode_event(envelope(seq, prev_hash=prev_hash, intent_id=key), body)
        prev_hash = event_hash(value)
        records.append(OutRecord(seq, key, value, prev_hash))
    return records


def change(row: LaneRow, lane: int, records: Sequence[OutRecord] = (), **more: Any) -> RowChange:
    """What a commit writes for a row as a claim gave it."""
    last = records[-1] if records else OutRecord(row.out_seq, b"", b"", row.out_hash)
    fields: dict[str, Any] = {
        "lane": lane, "epoch": row.epoch, "seen_out_seq": row.out_seq, "out_seq": last.seq, "out_hash": last.hash,
        "published": row.published, "cursors": row.cursors, "control_seq": 0, "records": list(records),
    }  # fmt: skip
    return RowChange(**fields | more)


def published(record: OutRecord, offset: int) -> Published:
    """The frontier after the ack of a record."""
    return Published(offset, record.seq, record.hash)


# ---------------------------------------------------------------- the database, from outside


class Outsider:
    """An operator's look at the database, and another transaction that is in the way."""

    def __init__(self, connection: asyncpg.Connection[Any]) -> None:
        self.connection = connection

    async def row(self, schema: str, lane: int) -> dict[str, Any] | None:
        """A lane row, or None."""
        found = await self.connection.fetchrow(f"SELECT * FROM {schema}.lane WHERE lane = $1", lane)
        return dict(found) if found else None

    async def count(self, table: str, lane: int) -> int:
        """Rows of a lane in a table."""
        found = await self.connection.fetchval(f"SELECT count(*) FROM {table} WHERE lane = $1", lane)
        return int(found)

    async def set(self, schema: str, lane: int, what: str) -> None:
        """Change a lane row by hand."""
        await self.connection.execute(f"UPDATE {schema}.lane SET {what} WHERE lane = $1", lane)

    async def expire(self, lane: int) -> None:
        """The leases of a lane run out."""
        for schema in ("alpha", "beta"):
            await self.set(schema, lane, "lease_until = now() - interval '1 s'")

    async def lasting(self, lane: int) -> dict[str, Any]:
        """Everything that is stored for a lane, to see that nothing changed (leases left out)."""
        found: dict[str, Any] = {}
        for schema in ("alpha", "beta"):
            row = await self.row(schema, lane) or {}
            found[schema] = {name: value for name, value in row.items() if name != "lease_until"}
            for table in ("state", "work", "outbox", "side", "parked"):
                rows = await self.connection.fetch(f"SELECT t::text FROM {schema}.{table} t WHERE lane = $1", lane)
                found[f"{schema}.{table}"] = sorted(r[0] for r in rows)
        return found

    async def waits(self, name: str) -> None:
        """Until a connection of this application waits for a lock."""

        async def blocked() -> bool:
            statement = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND wait_event_type = 'Lock'"
            return bool(await self.connection.fetchval(statement, name))

        await until(blocked)


@asynccontextmanager
async def outsider(dsn: str) -> AsyncIterator[Outsider]:
    """A connection that belongs to no owner."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.set_type_codec("uuid", schema="pg_catalog", encoder=bytes, decoder=bytes, format="binary")
        yield Outsider(connection)
    finally:
        await connection.close()


async def until(holds: Callable[[], Awaitable[bool]], seconds: float = 10.0) -> None:
    """Until it is true; a test that waits for ever says nothing."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not await holds():
        assert loop.time() < deadline, f"not so after {seconds} s"
        await asyncio.sleep(0.01)


# ---------------------------------------------------------------- the log, from outside

LOG_LANES = 8
LEDGER = {
    "cleanup.policy": "delete",
    "retention.ms": "-1",
    "retention.bytes": "-1",
    "max.message.bytes": "1048576",
    "message.timestamp.type": "LogAppendTime",
}


def a_topic(kind: str = "ledger") -> str:
    """A name that no other test uses."""
    return f"{kind}.{uuid.uuid4().hex[:10]}"


def log_settings(bootstrap: str, timeout_ms: int = 10_000) -> KafkaSettings:
    """How to reach the log."""
    return load(KafkaSettings, kafka_bootstrap=bootstrap, kafka_timeout_ms=timeout_ms)


class Log:
    """Kafka as an operator sees it."""

    def __init__(self, bootstrap: str, admin: AIOKafkaAdminClient) -> None:
        self.settings, self.admin = log_settings(bootstrap), admin

    async def make(self, *topics: str, **settings: str) -> None:
        """Create topics fit for a ledger, but for these settings; back when each partition has a leader."""
        configs = LEDGER | {name.replace("_", "."): value for name, value in settings.items()}
        await self.admin.create_topics([NewTopic(topic, LOG_LANES, 1, topic_configs=configs) for topic in topics])

        async def led() -> bool:
            found = await self.admin.describe_topics(list(topics))
            return all(t["error_code"] == 0 and all(p["leader"] >= 0 for p in t["partitions"]) for t in found)

        await until(led)

    async def unmake(self, topic: str) -> None:
        """Delete a topic; back when it is gone."""
        await self.admin.delete_topics([topic])

        async def gone() -> bool:
            return bool((await self.admin.describe_topics([topic]))[0]["error_code"])

        await until(gone)

    async def append(self, topic: str, partition: int, *values: bytes) -> None:
        """Records by somebody who keeps no rules."""
        client = kafka.producer(self.settings, "outsider")
        await kafka.start(client, self.settings)
        try:
            for value in values:
                await client.send_and_wait(topic, value, partition=partition)
        finally:
            await kafka.stop(client)

    async def read(self, topic: str, partition: int, start: int = 0) -> list[Any]:
        """All records of a partition from an offset on."""
        client = kafka.consumer(self.settings, "outsider", fetch_max_wait_ms=50)
        await kafka.start(client, self.settings)
        try:
            place = TopicPartition(topic, partition)
            client.assign([place])
            end = (await client.end_offsets([place]))[place]
            client.seek(place, start)
            found: list[Any] = []
            while start + len(found) < end:
                found += (await client.getmany(place, timeout_ms=100)).get(place, [])
            return found
        finally:
            await kafka.stop(client)


@asynccontextmanager
async def operator(bootstrap: str) -> AsyncIterator[Log]:
    """An admin client of the log."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        yield Log(bootstrap, admin)
    finally:
        await admin.close()


async def outbox_row(at: Outsider, lane: int, records: Sequence[OutRecord], age_s: float) -> None:
    """An outbox row of alpha that was written so long ago."""
    await at.connection.execute(
        "INSERT INTO alpha.outbox VALUES ($1, $2, $3, $4, now() - $5 * interval '1 s')",
        lane, records[0].seq, records[-1].seq, encode(list(records)), age_s,
    )  # fmt: skip
