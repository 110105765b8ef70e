"""deed lanes, deed lanes clear: who works on what, and the way back for a lane that was halted (lane_rules 9)."""

from __future__ import annotations

import asyncio
import getpass
import socket
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, TypeVar

import typer

from libs.client.ending import Exit, Failed, told
from libs.client.options import OPERATE, Json, examples, put_json
from libs.client.rendering.page import show_table

T = TypeVar("T")
HELP = """Shows the lanes of every service: who works on them, or why nobody does.

The databases are those of the local system, or the ones that DEED_DATABASE_URL names, with spaces between."""


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    group = typer.Typer(help=HELP, invoke_without_command=True, epilog=examples("deed lanes", "deed lanes --json"))
    group.callback()(lanes)
    group.command("clear", epilog=examples("deed lanes clear 3 --reason 'the topic was restored'"))(clear)
    app.add_typer(group, name="lanes", rich_help_panel=OPERATE)


def lanes(context: typer.Context, json: Json = False) -> None:
    """Shows the lanes of every service."""
    if context.invoked_subcommand is not None:
        return
    from libs.ledger.lanes import look

    found = _asked(look)
    if json:
        put_json(found)
        return
    headings = ("SERVICE", "LANE", "PHASE", "OWNER", "EPOCH", "UN-ACKED", "HALTED")
    show_table(
        headings,
        [
            (one.service, str(one.lane), one.phase, one.owner, str(one.epoch), str(one.unacked), one.halted)
            for one in found
        ],
    )
    if any(one.halted for one in found):
        typer.echo("When its cause is mended: `deed lanes clear LANE --reason TEXT`.", err=True)


def clear(
    lane: Annotated[int, typer.Argument(min=0, help="As `deed lanes` shows it.")],
    reason: Annotated[str, typer.Option("--reason", help="What was found and done; kept with your name.")],
    json: Json = False,
) -> None:
    """Lets a halted lane go on, in every service that halted it.

    Look first at what its topics and rows say, and mend that: whoever claims the lane checks everything again, and
    halts it again if it is still so. Who cleared it and why is kept in the table halt_cleared of each service."""
    from libs.ledger.lanes import clear as ask

    by = f"{getpass.getuser()}@{socket.gethostname()}"
    found = _asked(lambda dsn: ask(dsn, lane, by, reason))
    if json:
        put_json(found)
    for one in () if json else found:
        typer.echo(f"{one.service}: lane {one.lane} may be claimed again. It was halted: {one.halted}")
    if not found:
        typer.echo(f"NOT_HALTED: Lane {lane} is halted nowhere: `deed lanes` shows what is.", err=True)
        raise typer.Exit(1)


def _asked(question: Callable[[str], Coroutine[Any, Any, list[T]]]) -> list[T]:
    """The answers of all databases."""
    from libs.client.operating import databases
    from libs.ledger.lanes import AWAY, LanesRefused

    async def ask() -> list[T]:
        return [one for dsn in databases() for one in await question(dsn)]

    with told():
        try:
            return asyncio.run(ask())
        except LanesRefused as error:
            exit_code = Exit.AWAY if error.code == AWAY else Exit.REFUSED
            raise Failed(error.code, str(error), exit_code=exit_code) from None
