"""Status over gRPC on a real PostgreSQL: pages by the index, watches that follow rows, codes when it is away (G4)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import grpc
import grpc.aio
import msgspec
import pytest
from prometheus_client import CollectorRegistry

from libs.contracts.proto.deedbook.status.v1 import status_pb2 as pb
from libs.contracts.proto.deedbook.status.v1 import status_pb2_grpc
from libs.governance.identity import intent_id
from libs.ledger.database import migrate
from libs.ledger.partition import lane_of
from libs.runtime import devkeys
from libs.runtime.authentication import Authenticator
from libs.runtime.keyset import KeySource
from libs.runtime.requests import show_id
from libs.runtime.settings import AuthSettings, DatabaseSettings, GrpcSettings, StartRefused, load
from libs.runtime.telemetry import Metrics
from services.status.adapters.postgres import LIST, PostgresStatus
from services.status.handler import make_server
from services.status.ports import Place
from services.status.settings import StatusSettings
from services.status.view import IntentView, Standing, State, index

pytestmark = [
    pytest.mark.integration,
    pytest.mark.requirement("G4"),
    pytest.mark.requirement("T11"),
    pytest.mark.requirement("T20"),
]
WAIT_S = 20.0
NOW = 1_800_000_000_000_000
AGENT = devkeys.Who("agent-1", "acme", "MACHINE", ("a1", "a2"))
STRANGER = devkeys.Who("agent-1", "rival", "MACHINE", ("a1", "a2"))
WRITE = """
    INSERT INTO status.state (key, lane, state, tenant, account, at, label) VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (key) DO UPDATE SET state = excluded.state, label = excluded.label
"""


class Rows:
    """Writes rows as the lane does."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    async def put(self, key: bytes, view: IntentView) -> None:
        listed = index(view) or {}
        columns = [listed.get(name) for name in ("tenant", "account", "at", "label")]
        state = msgspec.msgpack.encode(view)
        await self.connection.execute(WRITE, UUID(bytes=key), lane_of(key, 8), state, *columns)


def view(version: int = 1, at: int = NOW, **given: Any) -> IntentView:
    usual: dict[str, Any] = {
        "tenant": "acme",
        "account": "a1",
        "standing": Standing((10, 0, 0), State.PENDING),
        "accepted_at": at,
        "expires_at": at + 1,
        "version": version,
    }
    return IntentView(**(usual | given))


@pytest.fixture
async def rows(database: str) -> AsyncIterator[Rows]:
    await migrate(database, ["status"])
    connection = await asyncpg.connect(database)
    yield Rows(connection)
    await connection.close()


@pytest.fixture
async def store(rows: Rows, database: str) -> AsyncIterator[PostgresStatus]:
    made = await PostgresStatus.open(load(DatabaseSettings, database_url=database), load(StatusSettings))
    yield made
    await made.close()


@pytest.fixture
async def stub(store: PostgresStatus, issuer: Path) -> AsyncIterator[status_pb2_grpc.StatusServiceStub]:
    given = {name.removeprefix("DEED_").lower(): value for name, value in devkeys.variables(issuer).items()}
    keys = KeySource(load(AuthSettings, **given))
    await keys.start()
    settings = (load(GrpcSettings), load(StatusSettings))
    server = make_server(store, Authenticator(keys), settings, Metrics(CollectorRegistry()), 8)
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield status_pb2_grpc.StatusServiceStub(channel)
    await server.stop(0)
    await keys.stop()


def bearer(issuer: Path, who: devkeys.Who = AGENT) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {devkeys.mint(issuer, who)}"),)


async def test_get_gives_the_view_or_one_generic_answer(rows: Rows, stub: Any, issuer: Path) -> None:
    key = intent_id("acme", "one")
    await rows.put(key, view())
    found = await stub.Get(pb.GetRequest(intent_id=show_id(key)), metadata=bearer(issuer), timeout=WAIT_S)
    assert found.intent.state == pb.STATE_PENDING
    said = set()
    for who, asked in ((STRANGER, key), (AGENT, intent_id("acme", "none"))):
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await stub.Get(pb.GetRequest(intent_id=show_id(asked)), metadata=bearer(issuer, who), timeout=WAIT_S)
        said.add((error.value.code(), error.value.details()))
    assert said == {(grpc.StatusCode.NOT_FOUND, "not found")}
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await stub.List(pb.ListRequest(account="a9"), metadata=bearer(issuer), timeout=WAIT_S)
    assert error.value.code() == grpc.StatusCode.PERMISSION_DENIED
    no_tenant = devkeys.Who("agent-1", "", "MACHINE", ("a1",))
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await stub.Get(pb.GetRequest(intent_id=show_id(key)), metadata=bearer(issuer, no_tenant), timeout=WAIT_S)
    assert error.value.code() == grpc.StatusCode.UNAUTHENTICATED


async def test_pages_are_whole_also_when_moments_are_equal(rows: Rows, store: PostgresStatus) -> None:
    wanted = []
    for number in range(60):
        key, account = intent_id("acme", f"n{number}"), ("", "a1", "a2", "a9")[number % 4]
        at = NOW + number // 10
        await rows.put(key, view(at=at, account=account))
        if account != "a9":
            wanted.append((-at, key))
    await rows.put(intent_id("rival", "x"), view(tenant="rival"))
    found: list[tuple[int, bytes]] = []
    after: Place | None = None
    while page := await store.page("acme", ("", "a1", "a2"), 7, after):
        found += [(-one.place.at, one.place.key) for one in page]
        after = page[-1].place
    assert found == sorted(wanted)


async def test_a_page_is_found_by_the_index(rows: Rows) -> None:
    await rows.connection.execute("SET enable_seqscan = off")
    arguments = ("acme", ["a1"], 50, NOW, UUID(int=0))
    plan = await rows.connection.fetch(f"EXPLAIN {LIST}", *arguments)
    assert "state_listed" in "\n".join(line[0] for line in plan)


async def test_a_watch_sees_each_change_soon_and_ends(rows: Rows, stub: Any, issuer: Path) -> None:
    key = intent_id("acme", "one")
    await rows.put(key, view())
    stream = stub.Watch(pb.WatchRequest(intent_id=show_id(key)), metadata=bearer(issuer), timeout=WAIT_S)
    assert (await stream.read()).intent.version == 1
    delays = []
    for version in range(2, 12):
        began = time.monotonic()
        await rows.put(key, view(version, standing=Standing((50, 1, 0), State.RUNNING)))
        assert (await stream.read()).intent.version == version
        delays.append(time.monotonic() - began)
    assert sorted(delays)[5] < 0.2
    await rows.put(key, view(12, standing=Standing((90, 0, 0), State.SUCCEEDED), ended_at=NOW))
    assert (await stream.read()).intent.state == pb.STATE_SUCCEEDED
    assert not isinstance(await stream.read(), pb.WatchResponse)


async def test_many_watch_at_once_and_only_the_changed_are_told(rows: Rows, store: PostgresStatus) -> None:
    keys = [intent_id("acme", f"n{number}") for number in range(100)]
    for key in keys:
        await rows.put(key, view())
    waiting = [asyncio.create_task(store.changed(key, 1, 1.5)) for key in keys for _ in range(2)]
    await asyncio.sleep(0.2)
    for key in keys[::2]:
        await rows.put(key, view(2))
    found = await asyncio.gather(*waiting)
    assert [one.version if one else None for one in found] == [2, 2, None, None] * 50


async def test_a_change_between_two_looks_is_not_missed(rows: Rows, store: PostgresStatus) -> None:
    key = intent_id("acme", "one")
    await rows.put(key, view())
    for version in range(1, 40):
        waiting = asyncio.create_task(store.changed(key, version, WAIT_S))
        await rows.put(key, view(version + 1))
        found = await asyncio.wait_for(waiting, WAIT_S)
        assert found is not None
        assert found.version == version + 1


async def test_the_front_cannot_write(store: PostgresStatus) -> None:
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        await store._pool.execute("DELETE FROM status.state")


async def test_a_projection_that_is_away_is_said(store: PostgresStatus, stub: Any, issuer: Path) -> None:
    await store.close()
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await stub.Get(
            pb.GetRequest(intent_id=show_id(intent_id("acme", "one"))), metadata=bearer(issuer), timeout=WAIT_S
        )
    assert error.value.code() == grpc.StatusCode.UNAVAILABLE


async def test_without_a_database_it_does_not_start() -> None:
    with pytest.raises(StartRefused, match="DEED_DATABASE_URL"):
        await PostgresStatus.open(
            load(DatabaseSettings, database_url="postgresql://x@127.0.0.1:9/x", database_timeout_ms=500),
            load(StatusSettings),
        )
