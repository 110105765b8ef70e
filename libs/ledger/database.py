"""Dedicated connections to PostgreSQL with a deadline on every call, and the schema of a lane service.

A call that fails or takes too long leaves nothing to trust: its connection is terminated, and the next call opens a new
one. Whether a statement took effect is then unknown, and the caller says so (lane_rules 5).
"""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import suppress
from importlib.resources import files
from typing import Any

import asyncpg

MIGRATE_S = 60.0
# InternalClientError: the server has said farewell and not hung up yet, and the driver is asked for something new.
LOST = (OSError, asyncpg.InterfaceError, asyncpg.InternalClientError, TimeoutError)
CONNECT_ERRORS = (*LOST, asyncpg.PostgresError)


class Unknown(Exception):
    """The answer did not come: the statement may or may not have taken effect."""


DATABASE_FAILED = (Unknown, asyncpg.PostgresError)  # what `Line.fetch` raises


class Line:
    """One connection, used by one call at a time; it is opened when needed and again after an error."""

    def __init__(self, dsn: str, name: str, timeout_ms: int, lock_timeout_ms: int = 0) -> None:
        self._dsn, self._name, self._timeout = dsn, name, timeout_ms / 1000
        self._settings = {"application_name": name, "idle_in_transaction_session_timeout": "10000"}
        if lock_timeout_ms:
            self._settings["lock_timeout"] = str(lock_timeout_ms)
        self._connection: asyncpg.Connection[Any] | None = None
        self._busy = asyncio.Lock()

    async def fetch(self, statement: str, *arguments: Any) -> list[asyncpg.Record]:
        """Run one statement, which is its own transaction. Raises PostgresError when the server refused it, Unknown
        when no answer came."""
        async with self._busy:
            connection = await self._open()
            try:
                async with asyncio.timeout(self._timeout):
                    return await connection.fetch(statement, *arguments)
            except (asyncpg.PostgresConnectionError, *LOST) as error:
                self._drop()
                raise Unknown(f"{self._name}: {type(error).__name__}: {error}") from error
            except asyncpg.PostgresError as error:
                if (error.sqlstate or "")[:2] in ("57", "58", "XX", "53", "08"):
                    self._drop()
                    raise Unknown(f"{self._name}: {type(error).__name__}: {error}") from error
                raise
            except BaseException:
                self._drop()  # cancelled in mid-statement: the connection is in no state to go on
                raise

    async def close(self) -> None:
        """End the connection politely, within the deadline."""
        if self._connection is not None:
            try:
                await self._connection.close(timeout=1)
            except CONNECT_ERRORS:
                self._drop()

    async def _open(self) -> asyncpg.Connection[Any]:
        if self._connection is None or self._connection.is_closed():
            try:
                async with asyncio.timeout(self._timeout):
                    connection = await asyncpg.connect(self._dsn, server_settings=self._settings)
                    await connection.set_type_codec(
                        "uuid", schema="pg_catalog", encoder=bytes, decoder=bytes, format="binary"
                    )
            except CONNECT_ERRORS as error:
                raise Unknown(f"{self._name}: cannot connect: {type(error).__name__}: {error}") from error
            self._connection = connection
        return self._connection

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None


async def migrate(dsn: str, schemas: list[str]) -> None:
    """Create or bring up to date the schemas of these services. Safe to run by several processes at once: an advisory
    lock makes them take turns. Numbered files run once each; `002_functions.sql` and later replace what is there."""
    connection = await asyncpg.connect(dsn, timeout=MIGRATE_S, command_timeout=MIGRATE_S)
    try:
        await connection.execute("SELECT pg_advisory_lock(hashtext('deedbook.migrate'))")
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS public.deedbook_migration (schema text, file text, digest text,"
            " applied_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (schema, file))"
        )
        for schema in schemas:
            await _migrate_schema(connection, schema)
    finally:
        with suppress(TimeoutError):  # a server that is gone never says good-bye, and must not keep us from starting
            await connection.close(timeout=5)


async def _migrate_schema(connection: asyncpg.Connection[Any], schema: str) -> None:
    for path in sorted(files("libs.ledger.sql").iterdir(), key=lambda p: p.name):
        if not path.name.endswith(".sql"):
            continue
        text = path.read_text().replace("{s}", schema)
        digest = hashlib.sha256(text.encode()).hexdigest()
        done = await connection.fetchval(
            "SELECT digest FROM public.deedbook_migration WHERE schema = $1 AND file = $2", schema, path.name
        )
        replaceable = "_functions" in path.name
        if done == digest or (done is not None and not replaceable):
            continue
        async with connection.transaction():
            await connection.execute(text)
            await connection.execute(
                "INSERT INTO public.deedbook_migration (schema, file, digest) VALUES ($1, $2, $3)"
                " ON CONFLICT (schema, file) DO UPDATE SET digest = excluded.digest, applied_at = now()",
                schema,
                path.name,
                digest,
            )
