"""The yardstick: the same deed as one would write it by hand, with one transaction per step and no log. It is as quick
as it can be, so that the comparison is fair: each step is a single statement (one round trip), prepared, on a
connection that its task never gives back.

What it lacks: events, a chain, fencing, recovery, approval, policy, tokens.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path
from uuid import uuid4

import asyncpg
import msgspec
import uvloop

from benchmarks.intents import ARGUMENTS, TOOL

PRICE = 1_000
SCHEMA = """
    CREATE TABLE intent (id uuid PRIMARY KEY, tenant text NOT NULL, account text NOT NULL, tool text NOT NULL,
        arguments text NOT NULL, state text NOT NULL, at timestamptz NOT NULL DEFAULT now()) WITH (fillfactor = 80);
    CREATE TABLE budget (id int PRIMARY KEY, hard bigint NOT NULL, pending bigint NOT NULL, posted bigint NOT NULL)
        WITH (fillfactor = 10);
    CREATE TABLE reservation (intent_id uuid PRIMARY KEY, amount bigint NOT NULL, state text NOT NULL)
        WITH (fillfactor = 80);
    CREATE TABLE outcome (intent_id uuid PRIMARY KEY, status text NOT NULL, cost bigint NOT NULL,
        at timestamptz NOT NULL DEFAULT now());
    INSERT INTO budget VALUES (1, 1000000000000000, 0, 0);
"""
INTENT = "INSERT INTO intent VALUES ($1, 'acme', $2, $3, $4, 'ACCEPTED') ON CONFLICT DO NOTHING RETURNING id"
RESERVE = """
    WITH room AS (UPDATE budget SET pending = pending + $2 WHERE id = 1 AND pending + posted + $2 <= hard RETURNING 1)
    INSERT INTO reservation SELECT $1, $2, 'PENDING' FROM room RETURNING 1
"""
DISPATCH = "UPDATE intent SET state = 'DISPATCHED' WHERE id = $1 AND state = 'ACCEPTED' RETURNING 1"
SETTLE = """
    WITH spent AS (UPDATE reservation SET state = 'POSTED' WHERE intent_id = $1 AND state = 'PENDING' RETURNING amount)
    UPDATE budget SET pending = pending - spent.amount, posted = posted + $2 FROM spent WHERE id = 1 RETURNING 1
"""
OUTCOME = "INSERT INTO outcome VALUES ($1, 'SUCCEEDED', $2) ON CONFLICT DO NOTHING RETURNING 1"


class Task(msgspec.Struct, frozen=True):
    """What one process does."""

    dsn: str
    journal: str
    concurrency: int
    warm_s: float
    seconds: float


async def work(task: Task) -> list[int]:
    """Deeds one after the other in each of `concurrency` tasks. Gives [all deeds, those within the steady part]."""
    journal = os.open(Path(task.journal), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    begin = time.monotonic() + task.warm_s
    end = begin + task.seconds
    done = [0, 0]

    async def deeds(number: int) -> None:
        connection = await asyncpg.connect(task.dsn, timeout=10)
        try:
            intent, reserve, dispatch, settle, outcome = [
                await connection.prepare(statement) for statement in (INTENT, RESERVE, DISPATCH, SETTLE, OUTCOME)
            ]
            while time.monotonic() < end:
                key = uuid4()
                assert await intent.fetchval(key, f"account-{number % 16}", TOOL, ARGUMENTS)
                assert await reserve.fetchval(key, PRICE)
                assert await dispatch.fetchval(key)
                os.write(journal, b"%b 1\n" % key.hex.encode())
                assert await settle.fetchval(key, PRICE)
                assert await outcome.fetchval(key, PRICE)
                done[0] += 1
                done[1] += begin <= time.monotonic() < end
        finally:
            await connection.close()

    async with asyncio.timeout(task.warm_s + task.seconds + 30):
        await asyncio.gather(*(deeds(number) for number in range(task.concurrency)))
    os.close(journal)
    return done


if __name__ == "__main__":
    given = msgspec.json.decode(sys.stdin.buffer.readline(), type=Task)
    sys.stdout.write(msgspec.json.encode(uvloop.run(work(given))).decode() + "\n")
