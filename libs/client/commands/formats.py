"""deed format show, raise: which state format a service writes, and from when on the next one (lane_rules 25)."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Annotated, Any

import typer

from libs.client.ending import Exit, Failed, told
from libs.client.options import OPERATE, Json, examples, put_json
from libs.client.rendering.page import show_table
from libs.stack.errors import NoSuchService
from libs.stack.folders import Folder, home
from libs.stack.where import database_of

if TYPE_CHECKING:
    from libs.ledger.formats import Floor

Service = Annotated[
    str, typer.Argument(help="intake, validation, approval, budget, execution, outcome, control, status.")
]
HELP = """Which format the states of a service are written in.

The database is that of the local system, or the one that DEED_DATABASE_URL names."""


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    group = typer.Typer(help=HELP, no_args_is_help=True)
    group.command("show", epilog=examples("deed format show budget"))(show)
    group.command("raise", epilog=examples("deed format raise budget 2"))(raise_)
    app.add_typer(group, name="format", rich_help_panel=OPERATE)


def show(service: Service, json: Json = False) -> None:
    """Shows the format that is written, and what each running worker of the service writes."""
    from libs.ledger.formats import look

    _print(_asked(service, lambda dsn: look(dsn, service)), json)


def raise_(
    service: Service,
    to: Annotated[
        int, typer.Argument(metavar="FORMAT", min=1, help="As the waiting workers of the new release name it.")
    ],
    json: Json = False,
) -> None:
    """Lets the new release write its format. There is no way back.

    Start the workers of the new release: they wait. Stop those of the old one, then raise. Refused while a running
    worker does not understand the format, and when none does."""
    from libs.ledger.formats import raise_floor

    _print(_asked(service, lambda dsn: raise_floor(dsn, service, to)), json)


def _asked(service: str, question: Callable[[str], Coroutine[Any, Any, Floor]]) -> Floor:
    from libs.ledger.formats import FormatRefused

    with told():
        try:
            dsn = os.environ.get("DEED_DATABASE_URL") or database_of(Folder(home()), service)
            return asyncio.run(question(dsn))
        except (FormatRefused, NoSuchService) as error:
            exit_code = Exit.NOT_FOUND if error.code == NoSuchService.code else Exit.REFUSED
            raise Failed(error.code, str(error), exit_code=exit_code) from None


def _print(found: Floor, json: bool) -> None:
    if json:
        put_json(found)
        return
    typer.echo(f"{found.service} writes state format {found.floor}.")
    if found.workers:
        show_table(("WORKER", "FORMAT"), [(worker.name, str(worker.state_format)) for worker in found.workers])
