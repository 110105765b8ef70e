"""What a fault test believes: the ledger as anyone can read it, the tables, and the journal that the tool keeps on its
own disk in its own process. Nothing that a worker says about itself."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from libs.contracts.events import ExecutionInDoubt, ExecutionResolved, OutcomeRecorded
from libs.ledger.codec import CATALOGUE
from libs.ledger.service import Fact, Service
from libs.ledger.verify import LEDGER_TOPICS, ChainReader
from libs.runtime import kafka
from libs.runtime.settings import KafkaSettings
from libs.stack.databases import with_database
from libs.testkit.system import System
from services.table import DECIDERS

Place = tuple[str, int]


@dataclass
class Witness:
    """Reads the whole ledger, each record once; `catch_up` goes on where it was."""

    settings: KafkaSettings
    facts: dict[Place, list[Fact]] = field(default_factory=dict)
    readers: dict[Place, ChainReader] = field(default_factory=dict)
    _next: dict[Place, int] = field(default_factory=dict)
    _client: Any = None
    _kept: bool = False

    @asynccontextmanager
    async def at_hand(self) -> AsyncIterator[None]:
        """Meanwhile one client reads, instead of a new one for each look."""
        self._kept = True
        try:
            yield
        finally:
            self._kept = False
            await self._let_go()

    async def catch_up(self) -> None:
        """Read up to the end that each partition has now."""
        used = self._client is not None
        try:
            await self._read_on()
        except (KafkaError, OSError, TimeoutError):
            if not used:
                raise
            await self._read_on()  # its broker was away meanwhile: a fresh one knows nothing of that
        if not self._kept:
            await self._let_go()

    async def _read_on(self) -> None:
        try:
            if self._client is None:
                self._client = kafka.consumer(self.settings, "faults/witness", fetch_max_wait_ms=50)
                await kafka.start(self._client, self.settings)
            await self._read(self._client)
        except BaseException:
            await self._let_go()
            raise

    async def _let_go(self) -> None:
        if self._client is not None:
            client, self._client = self._client, None
            await kafka.stop(client)

    async def _read(self, client: Any) -> None:
        places = [TopicPartition(t, n) for t in LEDGER_TOPICS for n in range(_partitions(t, self.settings.lanes))]
        ends = await client.end_offsets(places)
        behind = {p for p in places if self._next.get((p.topic, p.partition), 0) < ends[p]}
        client.assign(list(behind))
        for place in behind:
            client.seek(place, self._next.get((place.topic, place.partition), 0))
        while behind:
            for place, records in (await client.getmany(timeout_ms=1_000)).items():
                for record in records:
                    self._take(place, record)
                if records[-1].offset + 1 >= ends[place]:
                    behind.discard(place)

    def _take(self, place: TopicPartition, record: Any) -> None:
        key = (place.topic, place.partition)
        self._next[key] = record.offset + 1
        reader = self.readers.setdefault(key, ChainReader(*key))
        if reader.take(record.offset, record.value or b"") is not None:
            self.facts.setdefault(key, []).append(CATALOGUE.decode_event(record.value, place.topic))

    @property
    def broken(self) -> list[str]:
        """Chains that do not fit."""
        found = {place: reader.report.broken or reader.missing for place, reader in self.readers.items()}
        return [f"{topic}/{n}: {text}" for (topic, n), text in found.items() if text]

    @property
    def repeats(self) -> int:
        """Identical repeats: legal, and a sign that an answer was really lost."""
        return sum(reader.report.repeats for reader in self.readers.values())

    def ends(self) -> dict[Place, int]:
        """The last seq of each partition."""
        return {place: reader.report.last_seq for place, reader in self.readers.items()}

    def of(self, topic: str) -> Iterator[Fact]:
        """The facts of one topic, partition by partition."""
        for (name, _), facts in self.facts.items():
            if name == topic:
                yield from facts

    def bodies(self, kind: type, topic: str) -> dict[bytes, list[Any]]:
        """Events of one kind by intent."""
        found: dict[bytes, list[Any]] = {}
        for fact in self.of(topic):
            if isinstance(fact.body, kind):
                found.setdefault(fact.envelope.intent_id, []).append(fact.body)
        return found

    def outcomes(self) -> dict[bytes, Any]:
        """The first outcome of each intent."""
        return {key: bodies[0] for key, bodies in self.bodies(OutcomeRecorded, "ledger.outcome").items()}

    def in_doubt(self) -> set[bytes]:
        """Intents that wait for a person."""
        doubted = self.bodies(ExecutionInDoubt, "ledger.execution")
        return doubted.keys() - self.bodies(ExecutionResolved, "ledger.execution").keys()

    def unended(self, wanted: Collection[bytes]) -> list[bytes]:
        """Intents among these that are neither terminal nor in doubt."""
        done = self.outcomes().keys() | self.in_doubt()
        return [key for key in wanted if key not in done]


def _partitions(topic: str, lanes: int) -> int:
    return 1 if topic == "ledger.control" else lanes


# -- tables


class LaneSeen(NamedTuple):
    """One lane row."""

    lane: int
    out_seq: int
    halted: str
    token: bytes | None
    epoch: int
    sides: int


class Tables(NamedTuple):
    """One service's tables."""

    states: Mapping[bytes, bytes]
    lanes: tuple[LaneSeen, ...]
    scopes: tuple[tuple[Any, ...], ...]
    parked: frozenset[bytes]


def database_of(system: System, service: str) -> str:
    """The database that holds a service's schema in this shape."""
    by_name = {row.name: row.database for row in system.plan.rows}
    return with_database(system.ends.postgres_dsn, by_name.get(service) or by_name["w1"])


async def read_tables(system: System, service: Service) -> Tables:
    """The tables of a service, as of one moment."""
    name = service.name
    connection = await asyncpg.connect(database_of(system, name), timeout=10)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            states = await connection.fetch(f"SELECT key, state FROM {name}.state")
            lanes = await _lanes(connection, name)
            scopes = await connection.fetch(
                f"SELECT scope, stripe, version, share_micros, pending_micros, posted_micros FROM {name}.scope"
            )
            parked = await connection.fetch(f"SELECT DISTINCT key FROM {name}.parked")
    finally:
        await connection.close()
    return Tables(
        {row[0].bytes: row[1] for row in states},
        lanes,
        tuple(tuple(row) for row in scopes),
        frozenset(row[0].bytes for row in parked),
    )  # fmt: skip


async def read_lanes(system: System, service: str) -> tuple[LaneSeen, ...]:
    """The lane rows of a service."""
    connection = await asyncpg.connect(database_of(system, service), timeout=10)
    try:
        return await _lanes(connection, service)
    finally:
        await connection.close()


async def lanes_of(system: System, service: str, pid: int) -> tuple[LaneSeen, ...]:
    """The lanes of a process of ours. It announces itself in the schema of its first service."""
    schema = DECIDERS[0] if system.plan.shape == "colocated" and service in DECIDERS else service
    connection = await asyncpg.connect(database_of(system, service), timeout=10)
    try:
        token = await connection.fetchval(f"SELECT token FROM {schema}.worker WHERE name LIKE $1", f"%-{pid}")
        return tuple(row for row in await _lanes(connection, service) if token and row.token == token.bytes)
    finally:
        await connection.close()


async def _lanes(connection: asyncpg.Connection[Any], service: str) -> tuple[LaneSeen, ...]:
    rows = await connection.fetch(
        f"SELECT lane, out_seq, coalesce(halted_reason, ''), token, epoch,"
        f" (SELECT count(*) FROM {service}.side s WHERE s.lane = l.lane) FROM {service}.lane l ORDER BY lane"
    )
    return tuple(
        LaneSeen(n, seq, why, token.bytes if token else None, epoch, sides) for n, seq, why, token, epoch, sides in rows
    )


# -- the tool's own journal


class Call(NamedTuple):
    """One call as the tool saw it. `answered_at` 0 = never. `server`: the process id of the tool server."""

    key: bytes
    server: int
    received_at: int
    applied: int
    answered_at: int

    def in_flight(self, at: int) -> bool:
        """Had it arrived, and was it not yet answered, at that moment?"""
        return self.received_at < at and (self.answered_at == 0 or self.answered_at > at)


def calls(journal: Path) -> list[Call]:
    """Every call in the journal of libs/testkit/tool_double.py."""
    found: dict[str, Call] = {}
    if not journal.exists():
        return []
    for line in journal.read_text().splitlines():
        what, key, call, at = line.split(" ")
        if what == "looked":
            continue
        known = found.get(call) or Call(bytes.fromhex(key), int(call.partition(".")[0]), int(at), 0, 0)
        if what == "applied":
            known = known._replace(applied=known.applied + 1)
        elif what == "answered":
            known = known._replace(answered_at=int(at))
        found[call] = known
    return list(found.values())
