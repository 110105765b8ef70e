"""deed audit budgets, deed verify: what can be proven from the ledger alone, and whether the tables agree."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from libs.client.ending import Exit, told
from libs.client.options import OPERATE, Json, examples, put_json
from libs.client.rendering.page import show_table

if TYPE_CHECKING:
    from libs.client.books import Books
    from libs.ledger.verify import LedgerReport, PartitionReport

VERIFY_HELP = """Proves the chain of every partition of the ledger, from its first event to its last.

Finds and locates what was changed, dropped, swapped, inserted or repeated otherwise. What was cut off at the end is found by the services, which remember how far they were. Reads about 50,000 events a second."""  # noqa: E501 - a terminal breaks it
BUDGETS_HELP = """Proves from the ledger alone that every grant kept its caps, and that the tables of the budget service say the same.

Ends with 1 when anything differs."""  # noqa: E501


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    auditing = examples("deed audit budgets", "deed audit budgets --json")
    group = typer.Typer(help="Does what is kept agree with the ledger?", no_args_is_help=True)
    group.callback()(_only_a_group)
    group.command("budgets", help=BUDGETS_HELP, epilog=auditing)(budgets)
    app.add_typer(group, name="audit", rich_help_panel=OPERATE)
    app.command(
        rich_help_panel=OPERATE, help=VERIFY_HELP, epilog=examples("deed verify", "deed verify --topic ledger.budget")
    )(verify)


def verify(
    topic: Annotated[list[str] | None, typer.Option(help="Only this topic; again for more.")] = None,
    json: Json = False,
) -> None:
    from libs.client.operating import log_settings, with_lanes
    from libs.ledger.verify import LEDGER_TOPICS, verify_ledger

    unknown = [name for name in topic or () if name not in LEDGER_TOPICS]
    if unknown:
        raise typer.BadParameter(f"{unknown[0]} is none of {', '.join(LEDGER_TOPICS)}", param_hint="--topic")

    async def work() -> LedgerReport:
        settings = await with_lanes(log_settings())
        return await verify_ledger(settings, settings.lanes, topics=topic or LEDGER_TOPICS, done=_progress(json))

    with told():
        report = asyncio.run(work())
    if json:
        put_json(_report(report))
    else:
        _show(report)
    if report.broken:
        typer.echo("LEDGER_BROKEN: the ledger is not what its services wrote.", err=True)
        typer.echo("Let nothing more be granted until somebody has found out why: `deed kill global`.", err=True)
        raise typer.Exit(Exit.REFUSED)


def budgets(json: Json = False) -> None:
    from libs.client.books import compare
    from libs.client.operating import databases, log_settings

    with told():
        found = asyncio.run(compare(log_settings(), databases()))
    if json:
        put_json(_books(found))
    else:
        _show_books(found)
    if found.problems:
        typer.echo("BOOKS_DIFFER: the books do not balance.", err=True)
        typer.echo(
            "Let nothing be granted until somebody has found out why: `deed kill global`, then `deed verify`.", err=True
        )
        raise typer.Exit(Exit.REFUSED)


def _only_a_group() -> None:
    """Does what is kept agree with the ledger?"""


def _progress(json: bool) -> Any:
    """On a terminal each partition is said as it is done."""
    if json or not sys.stderr.isatty():
        return None

    def say(done: PartitionReport) -> None:
        sys.stderr.write(f"\r\033[K{done.topic}/{done.partition}: {done.events:,} events")
        sys.stderr.flush()

    return say


def _show(report: LedgerReport) -> None:
    if sys.stderr.isatty():
        sys.stderr.write("\r\033[K")
    topics: dict[str, list[PartitionReport]] = {}
    for one in report.partitions:
        topics.setdefault(one.topic, []).append(one)
    rows = [
        (
            topic,
            str(len(parts)),
            f"{sum(one.events for one in parts):,}",
            f"{sum(one.repeats for one in parts):,}",
            "broken" if any(one.broken for one in parts) else "intact",
        )
        for topic, parts in topics.items()
    ]
    show_table(("TOPIC", "PARTITIONS", "EVENTS", "REPEATS", "CHAIN"), rows)
    for problem in report.broken:
        typer.echo(problem)
    if not report.broken:
        typer.echo(f"{report.events:,} events, every chain intact.")


def _report(report: LedgerReport) -> dict[str, Any]:
    partitions = [
        {
            "topic": one.topic,
            "partition": one.partition,
            "events": one.events,
            "repeats": one.repeats,
            "last_seq": one.last_seq,
            "last_hash": one.last_hash.hex(),
            "broken": one.broken,
        }
        for one in report.partitions
    ]
    return {"events": report.events, "intact": not report.broken, "partitions": partitions}


def _books(found: Books) -> dict[str, Any]:
    scopes = {scope: msgspec.to_builtins(totals) for scope, totals in found.scopes.items()}
    return {"balanced": not found.problems, "scopes": scopes, "problems": list(found.problems)}


def _show_books(found: Books) -> None:
    rows = [
        (
            scope,
            f"{one.ledger_reserved_micros:,}",
            f"{one.table_reserved_micros:,}",
            f"{one.ledger_spent_micros:,}",
            f"{one.table_spent_micros:,}",
            str(one.grants),
        )
        for scope, one in found.scopes.items()
    ]
    if rows:
        headings = ("SCOPE", "RESERVED (LEDGER)", "(TABLES)", "SPENT (LEDGER)", "(TABLES)", "GRANTS")
        show_table(headings, rows)
    for problem in found.problems:
        typer.echo(problem)
    if not found.problems:
        typer.echo(f"{len(rows)} scopes: every grant kept its caps, and the tables agree.")
