"""One database and one broker for all tests of this folder; each test has lanes and topics of its own."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest

from libs.ledger.database import migrate
from libs.stack.databases import create_database, drop_database
from tests.conftest import wait_for
from tests.integration.ledger.given import Log, Outsider, Owner, operator, outsider
from tests.servers import Servers

_lanes = itertools.count()


@pytest.fixture(scope="package")
def rows(servers: Servers) -> Iterator[str]:
    """The DSN of a database with the schemas of both services."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    dsn = wait_for(create_database(servers.postgres_dsn, name))
    wait_for(migrate(dsn, ["alpha", "beta"]))
    yield dsn
    wait_for(drop_database(servers.postgres_dsn, name))


@pytest.fixture
def lane() -> int:
    """A lane that no other test uses."""
    return next(_lanes)


@pytest.fixture
def another() -> int:
    """And one more."""
    return next(_lanes)


@pytest.fixture
async def owner(rows: str) -> AsyncIterator[Callable[..., Owner]]:
    """Makes worker processes, as the database sees them."""
    made: list[Owner] = []

    def make(dsn: str = rows, **options: Any) -> Owner:
        made.append(Owner(dsn, **options))
        return made[-1]

    yield make
    for one in made:
        await one.store.close()


@pytest.fixture
async def db(rows: str) -> AsyncIterator[Outsider]:
    """The database as an operator sees it."""
    async with outsider(rows) as one:
        yield one


@pytest.fixture
async def meanwhile(rows: str) -> AsyncIterator[Outsider]:
    """Somebody else's connection, whose transactions take their time."""
    async with outsider(rows) as one:
        yield one


@pytest.fixture
async def in_the_way(rows: str) -> AsyncIterator[Callable[[str, int], Awaitable[Callable[[], Awaitable[None]]]]]:
    """Locks a lane row of a schema, as a transaction does that takes its time; gives back how to end it."""
    async with outsider(rows) as one:

        async def lock(schema: str, number: int) -> Callable[[], Awaitable[None]]:
            transaction = one.connection.transaction()
            await transaction.start()
            await one.connection.execute(f"SELECT FROM {schema}.lane WHERE lane = $1 FOR UPDATE", number)
            return transaction.commit

        yield lock


@pytest.fixture
async def log(servers: Servers) -> AsyncIterator[Log]:
    """The log as an operator sees it."""
    async with operator(servers.kafka_bootstrap) as one:
        yield one


@pytest.fixture
async def silent() -> AsyncIterator[str]:
    """A broker that accepts connections and never answers."""

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1024):
            pass
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()
