"""PostgreSQL: settings that durability rests on, its clock, and the lanes: who works on them, which are halted."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any
from urllib.parse import urlsplit

import asyncpg

from libs.client.doctor.findings import Finding, bad, ok, warn
from libs.ledger.database import CONNECT_ERRORS
from libs.ledger.lanes import Lane, LanesRefused, Parked, parked
from libs.ledger.lanes import look as look_at_lanes

AREA = "PostgreSQL"
VERSION_MIN = 160_000
TIMEOUT_S = 10.0
CLOCK_WARN_S, CLOCK_BAD_S = 0.5, 5.0
DURABLE = ("fsync", "synchronous_commit", "full_page_writes")


async def look(dsn: str) -> list[Finding]:
    """One database."""
    where = urlsplit(dsn)
    name = where.path.strip("/")
    try:
        connection = await asyncpg.connect(dsn, timeout=TIMEOUT_S, command_timeout=TIMEOUT_S)
    except CONNECT_ERRORS as error:
        said = f"{where.hostname}:{where.port} does not answer: {type(error).__name__}: {error}"
        return [bad(AREA, name, said, "Start it (`deed up`), or correct DEED_DATABASE_URL.")]
    try:
        return [*await _server(connection, name), *await _lanes(dsn, name)]
    except (*CONNECT_ERRORS, LanesRefused) as error:
        return [bad(AREA, name, str(error), "Look again; see the server's log.")]
    finally:
        await connection.close(timeout=5)


async def _server(connection: Any, name: str) -> list[Finding]:
    version = int(await connection.fetchval("SHOW server_version_num"))
    found = []
    if version < VERSION_MIN:
        found.append(bad(AREA, name, f"version {version // 10_000}", "PostgreSQL 16 or newer is needed."))
    for setting in DURABLE:
        value = await connection.fetchval(f"SHOW {setting}")
        if value not in ("on", "remote_apply", "remote_write"):
            said = f"{setting} is {value}: what was decided can be lost"
            found.append(bad(AREA, name, said, f"Set {setting} = on."))
    found.append(
        clock(name, time.time(), float(await connection.fetchval("SELECT extract(epoch FROM clock_timestamp())")))
    )
    used = await connection.fetchval("SELECT count(*) FROM pg_stat_activity")
    most = int(await connection.fetchval("SHOW max_connections"))
    if used > most * 0.9:
        found.append(warn(AREA, name, f"{used} of {most} connections are in use", "Raise max_connections."))
    if all(finding.level == "ok" for finding in found):
        found.insert(0, ok(AREA, name, f"version {version // 10_000}, durable, {used} of {most} connections"))
    return found


def clock(name: str, ours: float, theirs: float) -> Finding:
    """How far two clocks are apart, in seconds since the epoch."""
    apart = abs(ours - theirs)
    said = f"{apart * 1000:.0f} ms apart from this machine's"
    if apart > CLOCK_BAD_S:
        return bad(AREA, f"clock of {name}", said, "Let all machines follow one time server: expiry depends on it.")
    if apart > CLOCK_WARN_S:
        return warn(AREA, f"clock of {name}", said, "Let all machines follow one time server.")
    return ok(AREA, f"clock of {name}", said)


async def _lanes(dsn: str, name: str) -> list[Finding]:
    return lanes_of(await look_at_lanes(dsn), await parked(dsn), name)


def lanes_of(lanes: list[Lane], set_aside: list[Parked], name: str) -> list[Finding]:
    """What is wrong with the lanes of one database; a line for each service of which nothing is."""
    found = []
    for service, total in sorted(Counter(lane.service for lane in lanes).items()):
        mine = [lane for lane in lanes if lane.service == service]
        halted = [lane for lane in mine if lane.phase == "HALTED"]
        free = [str(lane.lane) for lane in mine if lane.phase in ("FREE", "RUN_OUT")]
        keys = [key for key in set_aside if key.service == service]
        for lane in halted:
            mend = f"Mend what the reason names, then `deed lanes clear {lane.lane} --reason TEXT`."
            found.append(bad("lanes", f"{service} lane {lane.lane}", f"halted: {lane.halted}", mend))
        if free:
            mend = "Start a worker that hosts it; a lane that was lost is taken within seconds: look again."
            found.append(bad("lanes", service, f"nobody works on lanes {', '.join(free)}", mend))
        if keys:
            mend = "`deed stuck` names them; mend the cause in the process's log, then `deed unpark`."
            found.append(warn("lanes", service, f"{len(keys)} keys are parked", mend))
        if not (halted or free or keys):
            found.append(ok("lanes", service, f"{total} owned, in {name}"))
    return found
