"""deed budget set, remove, show: caps, and what is reserved and spent under each."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from libs.client.ending import Failed, told
from libs.client.options import MICROS_MAX, OPERATE, Json, Reason, check_named, examples, put_json
from libs.client.rendering.page import show_table

if TYPE_CHECKING:
    from libs.client.scopes import Sums

SET = examples(
    "deed budget set tenant acme --period day --hard-micros 5000000 --reason 'as agreed'",
    "deed budget set account acme/main --period month --hard-micros 900000 --soft-micros 700000 --reason 'pilot'",
)
SHOW_HELP = """Shows caps and what is reserved and spent under each, now; and money that is held where no cap is.

The sums come from the tables of the budget service (of the local system, or of the database that DEED_DATABASE_URL
names); `deed audit budgets` proves that the ledger says the same."""


class Kind(StrEnum):
    """What a cap is for."""

    GLOBAL = "global"
    TENANT = "tenant"
    ACCOUNT = "account"
    TOOL = "tool"


class Period(StrEnum):
    """How long the sums run, in UTC."""

    ONCE = "once"
    DAY = "day"
    MONTH = "month"


class CostClass(StrEnum):
    """Which deeds count."""

    CHEAP = "cheap"
    MEDIUM = "medium"
    EXPENSIVE = "expensive"


KindOf = Annotated[Kind, typer.Argument(help="What it is for.")]
Name = Annotated[str, typer.Argument(metavar="[NAME]", help="The tenant, tenant/account or tool.")]
PeriodOf = Annotated[Period, typer.Option(help="How long the sums run before they start again at zero (UTC).")]
Class = Annotated[CostClass | None, typer.Option(help="Only deeds of this class count; without: all.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    group = typer.Typer(help="Caps, and what is reserved and spent under each.", no_args_is_help=True)
    group.command("set", epilog=SET)(set_)
    group.command(epilog=examples("deed budget remove tenant acme --period day --reason 'no cap any more'"))(remove)
    group.command(help=SHOW_HELP, epilog=examples("deed budget show", "deed budget show --json"))(show)
    app.add_typer(group, name="budget", rich_help_panel=OPERATE)


def set_(  # noqa: PLR0913 - each is an option of its own
    kind: KindOf,
    name: Name = "",
    *,
    hard_micros: Annotated[
        int, typer.Option(min=0, max=MICROS_MAX, help="Never exceeded by a grant; millionths of the currency.")
    ],
    reason: Reason,
    period: PeriodOf = Period.DAY,
    cost_class: Class = None,
    soft_micros: Annotated[
        int | None, typer.Option(min=0, max=MICROS_MAX, help="Above it grants carry a warning.")
    ] = None,
    json: Json = False,
) -> None:
    """Sets a cap, or changes it."""
    from libs.contracts.proto.deedbook.control.v1 import control_pb2 as pb

    budget = pb.Budget(**_scope(kind, name, period, cost_class), hard_micros=hard_micros, soft_micros=soft_micros)
    _change("DefineBudget", pb.DefineBudgetRequest(budget=budget, reason=reason), "The cap is in force", json)


def remove(
    kind: KindOf, reason: Reason, name: Name = "", period: PeriodOf = Period.DAY, cost_class: Class = None,
    json: Json = False,
) -> None:  # fmt: skip
    """Takes a cap away: nothing limits what it limited."""
    from libs.contracts.proto.deedbook.control.v1 import control_pb2 as pb

    request = pb.RemoveBudgetRequest(**_scope(kind, name, period, cost_class), reason=reason)
    _change("RemoveBudget", request, "The cap is gone", json)


def show(json: Json = False) -> None:
    from libs.client.control import operate
    from libs.client.operating import databases, is_elsewhere
    from libs.client.scopes import MEANINGS, read_rows, standing, sums
    from libs.runtime.clock import wall_micros
    from libs.runtime.settings import SettingsError

    budgets = list(operate(lambda control: control.config()).budgets)
    found: Mapping[str, Sums] | None = None
    why = ""
    with told():
        try:
            if is_elsewhere() and not os.environ.get("DEED_DATABASE_URL"):
                raise SettingsError("the tables are elsewhere: name their database in DEED_DATABASE_URL.")
            found = sums(asyncio.run(read_rows(databases())))
        except (Failed, SettingsError) as error:
            why = str(error)
    rows = standing(budgets, found, wall_micros())
    if json:
        put_json(rows)
    elif rows:
        keys = ("kind", "id", "class", "window", "hard_micros", "soft_micros", "reserved_micros", "spent_micros")
        cells = [[_cell(row[key]) for key in (*keys, "left_micros", "mark")] for row in rows]
        show_table([key.removesuffix("_micros").upper() for key in (*keys, "left_micros", "mark")], cells)
        typer.echo("Millionths of the currency.")
        for mark in dict.fromkeys(row["mark"] for row in rows if row["mark"]):
            typer.echo(f"{mark}: {MEANINGS[mark]}.")
    if not budgets and not json:
        typer.echo("No cap is set, so nothing is granted: `deed budget set`.")
    if why:
        typer.echo(f"Sums are not shown: {why}", err=True)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _scope(kind: Kind, name: str, period: Period, cost_class: CostClass | None) -> dict[str, Any]:
    with told():
        check_named(kind.value, name)
    return {
        "kind": f"BUDGET_KIND_{kind.name}",
        "id": name,
        "period": f"BUDGET_PERIOD_{period.name}",
        "cost_class": f"COST_CLASS_{cost_class.name}" if cost_class else None,
    }


def _change(method: str, request: Any, what: str, json: bool) -> None:
    from libs.client.control import operate

    done = operate(lambda control: control.change(method, request))
    if json:
        put_json({"command_id": done.command_id, "control_seq": done.control_seq})
    else:
        typer.echo(f"{what}: control event {done.control_seq}.")
