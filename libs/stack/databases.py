"""Databases on the PostgreSQL server: one per service in the separate shape, one for all in the co-located shape."""

from __future__ import annotations

import asyncio
import re
import time
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from libs.stack.errors import StartFailed

READY_S = 20.0
NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


def with_database(dsn: str, name: str) -> str:
    """The same server and user, another database."""
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{name}"))


async def create_database(dsn: str, name: str) -> str:
    """Makes the database if it is missing. `dsn` may name any database of the server. Returns the DSN of this one."""
    if NAME.fullmatch(name) is None:
        raise ValueError(f"not a name for a database: {name}")
    connection = await _connected(dsn)
    try:
        if not await connection.fetchval("select exists (select from pg_database where datname = $1)", name):
            await connection.execute(f'create database "{name}"')
    except asyncpg.DuplicateDatabaseError:
        pass  # somebody else made it between the question and the command
    except asyncpg.InsufficientPrivilegeError:
        raise StartFailed(f"The PostgreSQL user may not create {name}: create it, or grant CREATEDB.") from None
    finally:
        await connection.close()
    return with_database(dsn, name)


async def drop_database(dsn: str, name: str) -> None:
    """Removes a database and ends its connections (tests)."""
    if NAME.fullmatch(name) is None:
        raise ValueError(f"not a name for a database: {name}")
    connection = await _connected(dsn)
    try:
        await connection.execute(f'drop database if exists "{name}" with (force)')
    finally:
        await connection.close()


async def _connected(dsn: str) -> asyncpg.Connection:
    deadline = time.monotonic() + READY_S
    while True:
        try:
            return await asyncpg.connect(dsn, timeout=5.0)
        except (OSError, TimeoutError, asyncpg.CannotConnectNowError) as error:
            if time.monotonic() > deadline:
                where = urlsplit(dsn)
                raise StartFailed(f"No PostgreSQL answers at {where.hostname}:{where.port} ({error}).") from None
            await asyncio.sleep(0.1)
