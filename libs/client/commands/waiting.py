"""deed stuck: everything that waits, whose turn it is, and until when."""

from __future__ import annotations

import asyncio
import os
from contextlib import aclosing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from libs.client.ending import Exit
from libs.client.options import DECIDE, Json, ask, examples, put_json
from libs.runtime.settings import SettingsError

if TYPE_CHECKING:
    from libs.client.client import Client
    from libs.client.rendering.waiting import Stuck
    from libs.ledger.lanes import Lane, Parked

PAGE = 100


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(
        rich_help_panel=DECIDE, epilog=examples("deed stuck", "deed stuck --human", "deed stuck --json | jq .who")
    )(stuck)


def stuck(
    human: Annotated[bool, typer.Option("--human", help="Only what waits for a person.")] = False,
    search: Annotated[int, typer.Option(min=1, help="How many of the newest are looked through at most.")] = 10_000,
    json: Json = False,
) -> None:
    """Everything of your tenant that waits, whose turn it is and until when; the longest wait first.

    Where the rows are at hand (a local system, or DEED_DATABASE_URL) also lanes that were halted, and keys that a
    service has set aside, of any tenant."""
    from libs.client.rendering.page import put
    from libs.client.rendering.waiting import page

    waiting, complete = ask(lambda client: _waiting(client, search))
    waiting = [one for one in waiting if one.who or not human]
    halted, parked, away = _at_hand()
    if json:
        for answer in (*waiting, *halted, *parked):
            put_json(answer)
    elif waiting or halted or parked:
        put(page(waiting, halted, parked, datetime.now(UTC)))
    elif not away:
        typer.echo("Nothing waits.", err=True)
    if not complete:
        typer.echo("There may be more: raise --search.", err=True)
    if away:
        typer.echo(f"{away} Halted lanes and keys that were set aside could not be looked for.", err=True)
        raise typer.Exit(Exit.AWAY)


async def _waiting(client: Client, search: int) -> tuple[list[Stuck], bool]:
    """What has not ended, the oldest first, and whether all was looked through."""
    from libs.client.rendering.waiting import of_deed

    found: list[Stuck] = []
    looked = 0
    async with aclosing(client.list("", min(PAGE, search))) as deeds:
        async for deed in deeds:
            if looked == search:
                return found[::-1], False
            looked += 1
            if not deed.ended:
                found.append(of_deed(deed))
    return found[::-1], True


def _at_hand() -> tuple[list[Lane], list[Parked], str]:
    """Halted lanes and parked keys, where the rows are at hand, and why they could not be read, "" = they could."""
    from libs.client.operating import databases
    from libs.ledger import lanes

    async def look(dsns: list[str]) -> tuple[list[Lane], list[Parked]]:
        rows = [lane for dsn in dsns for lane in await lanes.look(dsn) if lane.halted]
        return rows, [key for dsn in dsns for key in await lanes.parked(dsn)]

    if os.environ.get("DEED_STATUS") and not os.environ.get("DEED_DATABASE_URL"):
        return [], [], ""  # the deployment is another one than the local system
    try:
        dsns = databases()
    except SettingsError:
        return [], [], ""
    try:
        return (*asyncio.run(look(dsns)), "")
    except lanes.LanesRefused as error:
        return [], [], f"{error.code}: {error}"
