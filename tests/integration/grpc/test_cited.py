"""Whose a cited event is, asked of a real projection, and of one that does not answer (flow.md decision 21)."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import pytest

from libs.contracts.events import FailureCategory
from libs.governance.identity import intent_id, submission_id
from libs.ledger.database import migrate
from services.status.adapters.cited import AWAY_MS, CitedEvents
from services.status.timeline import Entry
from services.status.view import IntentView, Rejection

pytestmark = [pytest.mark.integration, pytest.mark.requirement("B5")]

ONE, NONE, REFUSED = intent_id("acme", "one"), intent_id("acme", "none"), submission_id("intents", 0, 1)
EVENT, OTHER = b"e" * 16, b"o" * 16
VIEW = IntentView(
    tenant="acme", entries=(Entry(1, "ledger.intake", 1, EVENT, "IntentAccepted", "agent-1", "acme", "", "", 0),)
)
REJECTION = Rejection("acme", 1, EVENT, "EXPIRED", FailureCategory.PERMANENT, "too late", "again", "k")


async def test_an_event_is_its_tenants_and_what_is_not_there_nobodys(database: str) -> None:
    await migrate(database, ["status"])
    connection = await asyncpg.connect(database)
    views: list[tuple[bytes, Any]] = [(ONE, VIEW), (REFUSED, IntentView(rejection=REJECTION))]
    for key, view in views:
        await connection.execute(
            "INSERT INTO status.state (key, lane, state) VALUES ($1, 0, $2)",
            UUID(bytes=key), msgspec.msgpack.encode(view),
        )  # fmt: skip
    await connection.close()
    ask = CitedEvents(database)
    asked = [(ONE, EVENT), (ONE, OTHER), (NONE, EVENT), (REFUSED, EVENT)]
    assert await ask(asked) == {asked[0]: "acme", asked[1]: "", asked[2]: "", asked[3]: "acme"}
    assert ask._connection is not None
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        await ask._connection.execute("DELETE FROM status.state")
    await ask.close()


async def test_who_does_not_answer_is_left_alone_for_a_while(database: str) -> None:
    now_ms = 1_000
    ask = CitedEvents("postgresql://x@127.0.0.1:9/x", lambda: now_ms)
    assert await ask([(ONE, EVENT)]) == {}
    ask._url = database
    assert await ask([(ONE, EVENT)]) == {}, "it was asked again too soon"
    await migrate(database, ["status"])
    now_ms += AWAY_MS
    assert await ask([(ONE, EVENT)]) == {(ONE, EVENT): ""}
    await ask.close()


async def test_a_view_that_cannot_be_read_is_no_end_of_the_process(database: str) -> None:
    """Of a newer release, say. Whoever looks up must answer: a lane waits for it."""
    await migrate(database, ["status"])
    connection = await asyncpg.connect(database)
    await connection.execute(
        "INSERT INTO status.state (key, lane, state) VALUES ($1, 0, $2)", UUID(bytes=ONE), msgspec.msgpack.encode([1])
    )
    await connection.close()
    ask = CitedEvents(database)
    assert await ask([(ONE, EVENT)]) == {}
    await ask.close()


async def test_an_address_that_is_none_is_no_end_of_the_process() -> None:
    ask = CitedEvents("postgresql://x@127.0.0.1:nowhere/x")
    assert await ask([(ONE, EVENT)]) == {}
    await ask.close()
