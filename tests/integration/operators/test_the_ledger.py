"""deed dead, audit and verify on a real system: what was refused comes back, and what was changed is found."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import asyncpg
import pytest

from libs.ledger.chain import ZERO
from libs.runtime import kafka
from libs.runtime.devkeys import Who, mint
from libs.stack.where import database_of
from tests.conftest import wait_for
from tests.integration.operators.conftest import Deed

pytestmark = pytest.mark.integration


async def put(deed: Deed, topic: str, partition: int, value: bytes) -> None:
    producer = kafka.producer(deed.log, "test")
    await kafka.start(producer, deed.log)
    try:
        token = mint(deed.folder.keys, Who("agent-1", "acme"))
        headers = [("authorization", f"Bearer {token}".encode())]
        await producer.send_and_wait(topic, value, partition=partition, headers=headers)
    finally:
        await kafka.stop(producer)


async def database(deed: Deed, statement: str) -> Any:
    connection = await asyncpg.connect(database_of(deed.folder, "budget"))
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


def letters(deed: Deed, code: str) -> list[Any]:
    found: list[Any] = deed.json("dead", "list", "--code", code)
    return found


async def until_buried(deed: Deed, code: str, wanted: int) -> list[Any]:
    async with asyncio.timeout(30):
        while len(found := await asyncio.to_thread(letters, deed, code)) < wanted:  # noqa: ASYNC110 - a program
            await asyncio.sleep(0.1)
    return found


@pytest.mark.requirement("A3")
def test_an_intent_with_a_bad_token_is_shown_with_its_reason_and_accepted_with_a_good_one(deed: Deed) -> None:
    deed.submit(901, token="forged")
    (row,) = wait_for(until_buried(deed, "AUTH_INVALID", 1))
    assert (row["service"], row["from"].split("/")[0]) == ("intake", "intents")
    shown = deed.json("dead", "show", row["id"])
    assert "key-901" in shown["content"]
    assert "forged" not in json.dumps(shown)
    assert row["id"] in deed("dead", "list")
    env = {"DEED_LOCAL_ACCOUNTS": '["account-0"]'}
    done = deed.json("--as", "agent-7", "dead", "replay", row["id"], **env)
    assert (done["topic"], done["became"]["event"], done["became"]["code"]) == ("intents", "IntentAccepted", "")
    assert not done["became"]["already"]
    twice = deed.json("--as", "agent-7", "dead", "replay", row["id"], **env)
    assert (twice["became"]["key"], twice["became"]["already"]) == (done["became"]["key"], "SUCCEEDED")
    again = deed.run("--as", "agent-8", "dead", "replay", row["id"], **env)
    assert (again.code, again.err.split(":")[0]) == (1, "KEY_REUSED")


def test_bytes_that_are_no_intent_are_refused_again_with_the_same_code(deed: Deed) -> None:
    wait_for(put(deed, "intents", 1, b"garbage"))
    (row,) = wait_for(until_buried(deed, "WRONG_MAGIC", 1))
    assert "67 61 72 62 61 67 65" in deed("dead", "show", row["id"])
    said = deed.run("dead", "replay", row["id"])
    assert (said.code, said.err.split(":")[0]) == (1, "WRONG_MAGIC")
    assert len(wait_for(until_buried(deed, "WRONG_MAGIC", 2))) == 2


@pytest.mark.parametrize("name", ["intake/0/9999", "intake/99/0", "nobody/0/0", "x"])
def test_a_letter_that_is_not_there_is_not_found(deed: Deed, name: str) -> None:
    assert deed.run("dead", "show", name).code == 3


@pytest.mark.requirement("C1")
def test_the_books_balance_and_a_changed_table_is_found(deed: Deed) -> None:
    deed.submit(*range(910, 920))
    books = deed.json("audit", "budgets")
    assert books["balanced"]
    scope = books["scopes"]["TENANT:acme:ALL:ONCE"]
    assert scope["ledger_spent_micros"] == scope["table_spent_micros"] >= 10_000
    spent = next(one for one in deed.json("budget", "show") if one["scope"] == "TENANT:acme:ALL:ONCE")
    assert spent["spent_micros"] == scope["table_spent_micros"]
    change = "UPDATE budget.scope SET posted_micros = posted_micros {} 1 WHERE scope = 'TENANT:acme:ALL:ONCE'"
    wait_for(database(deed, change.format("+")))
    try:
        said = deed.run("audit", "budgets")
        assert (said.code, "BOOKS_DIFFER" in said.err) == (1, True)
        assert "TENANT:acme:ALL:ONCE/" in said.out
    finally:
        wait_for(database(deed, change.format("-")))
    assert "every grant kept its caps" in deed("audit", "budgets")


@pytest.mark.requirement("H4")
def test_the_chains_are_proven_and_what_a_stranger_wrote_is_located(deed: Deed) -> None:
    deed.submit(930)
    report = deed.json("verify")
    assert report["intact"]
    assert {one["topic"] for one in report["partitions"]} >= {"ledger.intake", "ledger.control"}
    assert "every chain intact" in deed("verify", "--topic", "ledger.control")
    assert deed.run("verify", "--topic", "intents").code == 2
    # What a stranger writes halts the lane for good, so this is the last thing that happens to this system.
    part = next(one for one in report["partitions"] if one["topic"] == "ledger.outcome" and one["events"] > 1)
    wait_for(put(deed, "ledger.outcome", part["partition"], b"\x00\x00\x00\x00\x01" + ZERO))
    said = deed.run("verify", "--topic", "ledger.outcome")
    assert (said.code, "LEDGER_BROKEN" in said.err) == (1, True)
    assert f"ledger.outcome/{part['partition']}: offset {part['events']}" in said.out
