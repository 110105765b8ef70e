"""Moves the tables of the deciding services from one shape's databases to the other's (flow.md, decision 15).

co-located: one database, a schema per service        separate: a database per service

1. In the source every lane is halted, in one transaction: nobody may claim any more. Refused unless all is drained.
2. Each schema is copied as it is, into the target in one transaction, and its lanes are free there.

Whatever fails in between, at most one of the two shapes may decide; running it once more goes on where it was.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from urllib.parse import unquote, urlsplit

import asyncpg

from libs.stack.databases import create_database, with_database
from libs.stack.errors import StackError, StartFailed
from libs.stack.postgres import programs
from libs.stack.shapes import SHAPES, Plan
from libs.stack.topics import DECIDERS

MARK = "moved to the shape "
NOT_DRAINED = """
    SELECT format('lane %s of {s} has unpublished events or an owner', lane) FROM {s}.lane l
    WHERE out_seq > published_seq OR token IS NOT NULL AND lease_until > clock_timestamp()
        OR EXISTS (SELECT 1 FROM {s}.side d WHERE d.lane = l.lane)
    UNION ALL SELECT format('lane %s of {s} is halted: %s', lane, halted_reason) FROM {s}.lane
    WHERE halted_reason NOT LIKE $1 || '%' LIMIT 1
"""
MIGRATIONS = """
    CREATE TABLE IF NOT EXISTS public.deedbook_migration (schema text, file text, digest text,
        applied_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (schema, file))
"""


async def move(dsn: str, target: str) -> list[str]:
    """Brings to the shape `target` what was last at work in the other one; nothing if that is where it is already.
    `dsn`: any database of the server. Returns the schemas that were moved. Raises StartFailed, with nothing changed,
    when something still waits to be published or somebody still works."""
    source = next(shape for shape in SHAPES if shape != target)
    places = [(name, _place(source, name), _place(target, name)) for name in DECIDERS]
    ahead = [place for place in places if await _is_ahead(dsn, *place)]
    for database in dict.fromkeys(old for _, old, _ in ahead):
        await _close(with_database(dsn, database), [name for name, old, _ in ahead if old == database], target)
    for name, old, new in ahead:
        await create_database(dsn, new)
        await _copy(dsn, name, old, new)
    return [name for name, _, _ in ahead]


def _place(shape: str, service: str) -> str:
    rows = {row.name: row.database for row in Plan(shape).rows}
    return rows.get(service) or rows["w1"]


async def _is_ahead(dsn: str, schema: str, old: str, new: str) -> bool:
    """Each claim makes a lane's epoch one higher, so the higher one was at work last."""
    before, after = [await _epochs(dsn, database, schema) for database in (old, new)]
    return any(epoch > after.get(lane, 0) for lane, epoch in before.items())


async def _epochs(dsn: str, database: str, schema: str) -> dict[int, int]:
    try:
        connection = await asyncpg.connect(with_database(dsn, database), timeout=10)
    except asyncpg.InvalidCatalogNameError:
        return {}
    try:
        if not await connection.fetchval("SELECT to_regclass($1) IS NOT NULL", f"{schema}.lane"):
            return {}
        return {row["lane"]: row["epoch"] for row in await connection.fetch(f"SELECT lane, epoch FROM {schema}.lane")}
    finally:
        await connection.close(timeout=5)


async def _close(dsn: str, schemas: Sequence[str], target: str) -> None:
    """Nobody claims here any more; the locks of the rows make this and a claim take turns."""
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        async with connection.transaction():
            for schema in schemas:
                await connection.execute(f"SELECT 1 FROM {schema}.lane ORDER BY lane FOR UPDATE")
                problem = await connection.fetchval(NOT_DRAINED.replace("{s}", schema), MARK)
                if problem:
                    raise StartFailed(f"{problem}; start the old shape once more and stop it with `deed down`.")
                await connection.execute(f"UPDATE {schema}.lane SET halted_reason = $1", MARK + target)
    finally:
        await connection.close(timeout=5)


async def _copy(dsn: str, schema: str, old: str, new: str) -> None:
    """One transaction in the target: the schema as it is in the source, its migrations, and its lanes free."""
    dump = await _run("pg_dump", dsn, old, ["--schema", schema, "--no-owner"], b"")
    done = await _migrations(with_database(dsn, old), schema)
    rows = ", ".join(f"('{schema}', '{file}', '{digest}')" for file, digest in done)
    script = (
        f"BEGIN;\nDROP SCHEMA IF EXISTS {schema} CASCADE;\n".encode()
        + dump
        + f"\n{MIGRATIONS};\nDELETE FROM public.deedbook_migration WHERE schema = '{schema}';\n"
        f"INSERT INTO public.deedbook_migration (schema, file, digest) VALUES {rows};\n"
        f"UPDATE {schema}.lane SET halted_reason = NULL WHERE halted_reason LIKE '{MARK}%';\nCOMMIT;\n".encode()
    )
    await _run("psql", dsn, new, ["--quiet", "--no-psqlrc", "--set", "ON_ERROR_STOP=1", "--output", os.devnull], script)


async def _migrations(dsn: str, schema: str) -> list[tuple[str, str]]:
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        rows = await connection.fetch("SELECT file, digest FROM public.deedbook_migration WHERE schema = $1", schema)
    finally:
        await connection.close(timeout=5)
    return [(row["file"], row["digest"]) for row in rows]


async def _run(program: str, dsn: str, database: str, options: Sequence[str], text: bytes) -> bytes:
    """One of PostgreSQL's own programs. The password goes by the environment: command lines can be read by all."""
    where = urlsplit(dsn)
    env = {
        "PGHOST": where.hostname or "",
        "PGPORT": str(where.port or 5432),
        "PGUSER": unquote(where.username or ""),
        "PGPASSWORD": unquote(where.password or ""),
        "PGDATABASE": database,
    }
    process = await asyncio.create_subprocess_exec(
        str(programs() / program), *options, env=os.environ | env,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, errors = await process.communicate(text)
    if process.returncode != 0:
        raise StartFailed(f"{program} failed on the database {database}: {errors.decode(errors='replace')[-500:]}")
    return out


def main(arguments: list[str]) -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m libs.stack.moving", description="Moves tables between shapes.")
    parser.add_argument("--to", choices=SHAPES, required=True, help="the shape that is to go on")
    target = parser.parse_args(arguments).to
    dsn = os.environ.get("DEED_POSTGRES_DSN", "")
    if not dsn:
        sys.stderr.write("DEED_POSTGRES_DSN is not set.\n")
        return os.EX_CONFIG
    try:
        moved = asyncio.run(move(dsn, target))
    except StackError as error:
        sys.stderr.write(f"{error}\n")
        return os.EX_UNAVAILABLE
    sys.stdout.write(f"moved to {target}: {', '.join(moved) or 'nothing, it is there already'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
