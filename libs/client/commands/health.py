"""deed doctor, top: what is wrong and how to mend it, and what goes on just now."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from libs.client.ending import Exit, told
from libs.client.options import OPERATE, Json, examples, put_json

if TYPE_CHECKING:
    from libs.client.doctor.findings import Finding

STYLES = {"ok": "green", "warn": "yellow", "bad": "bold red"}
HELP = """Looks at everything that the system stands on, and says how to mend what is wrong.

Java, Kafka with its topics, their settings and rights, the records' schemas, PostgreSQL with its settings and clock, lanes without an owner, halted lanes, parked keys, each process with its lag, the age of its view of the switches and its tool servers. Ends with 1 when something is bad."""  # noqa: E501 - a terminal breaks it


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command(
        rich_help_panel=OPERATE,
        help=HELP,
        epilog=examples("deed doctor", "deed doctor --json | jq '.[] | select(.level != \"ok\")'"),
    )(doctor)
    app.command(rich_help_panel=OPERATE, epilog=examples("deed top", "deed top --once"))(top)


def doctor(
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only what is not ok.")] = False, json: Json = False
) -> None:
    from libs.client.rendering.page import Grid, Words, put

    with told():
        found = asyncio.run(_look())
    shown = [finding for finding in found if not quiet or finding.level != "ok"]
    if json:
        put_json(shown)
    else:
        rows = [(Words(one.level.value, STYLES[one.level.value]), one.area, one.about, one.said) for one in shown]
        if rows:
            put([Grid(("", "AREA", "ABOUT", "FOUND"), tuple(rows))])
        for one in shown:
            if one.mend:
                typer.echo(f"{one.about}: {one.mend}")
        worst = [one for one in found if one.level != "ok"]
        typer.echo(f"{len(found)} looked at, {len(worst)} to mend." if worst else f"{len(found)} looked at, all well.")
    if any(one.level == "bad" for one in found):
        raise typer.Exit(Exit.REFUSED)


async def _look() -> list[Finding]:
    from libs.client.doctor import log, machine, rows, work
    from libs.client.doctor.findings import bad
    from libs.client.operating import databases, log_settings
    from libs.client.processes import known
    from libs.runtime.settings import SettingsError

    found = machine.look()
    try:
        found += await log.look(log_settings())
    except SettingsError as error:
        found.append(bad("Kafka", "brokers", str(error), "`deed up`, or set DEED_KAFKA_BOOTSTRAP."))
    try:
        for dsn in databases():
            found += await rows.look(dsn)
    except SettingsError as error:
        found.append(bad("PostgreSQL", "databases", str(error), "`deed up`, or set DEED_DATABASE_URL."))
    return found + await work.look(known())


def top(
    once: Annotated[bool, typer.Option("--once", help="One look, plain; also when piped.")] = False,
    every_s: Annotated[float, typer.Option(min=0.2, max=60, help="Time between two looks, in seconds.")] = 1.0,
    json: Json = False,
) -> None:
    """Shows what goes on: events and calls a second, what waits for what, how far behind each process is."""
    import sys

    from libs.client import watching

    with told():
        if json:
            put_json(asyncio.run(watching.sample(every_s)))
        elif once or not sys.stdout.isatty():
            watching.put(asyncio.run(watching.sample(every_s)))
        else:
            asyncio.run(watching.live(every_s))
