"""deed cancel, resolve, unpark: call an intent off, end a doubt, let a parked intent go on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from libs.client.commands.deciding import ONE, say
from libs.client.ending import Exit, Failed
from libs.client.options import DECIDE, MICROS_MAX, IntentId, Json, Reason, ask, examples

if TYPE_CHECKING:
    from libs.client.answering import Answer
    from libs.client.client import Client

MustReason = Annotated[str, typer.Option("--reason", help="Why; kept on the ledger with your name.")]
RESOLVE = examples(
    f"deed resolve {ONE} --applied --evidence 'commit 3f2a is on main' --reason 'looked in git'",
    f"deed resolve {ONE} --not-applied --evidence 'no such commit after the quiet period' --reason 'looked in git'",
)


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command(rich_help_panel=DECIDE, epilog=examples(f"deed cancel {ONE} --reason 'the customer called'"))(cancel)
    app.command(rich_help_panel=DECIDE, epilog=RESOLVE)(resolve)
    app.command(rich_help_panel=DECIDE, epilog=examples(f"deed unpark {ONE} --reason 'mended in release 1.2'"))(unpark)


def cancel(intent: IntentId, reason: Reason = "", json: Json = False) -> None:
    """Stops an intent if its tool has not been called yet. What has started goes on and is recorded."""
    from libs.client.answering import answer_to

    async def question(client: Client) -> Answer:
        await client.get(intent)
        return await answer_to(client, intent, await client.cancel(intent, reason))

    say(ask(question), "The cancellation is noted.", json)


def resolve(
    intent: IntentId,
    applied: Annotated[bool, typer.Option("--applied/--not-applied", help="Did the action take effect?")],
    evidence: Annotated[str, typer.Option(help="How you know: what you saw, and where.")],
    reason: MustReason,
    cost_micros: Annotated[
        int | None,
        typer.Option(min=0, max=MICROS_MAX, help="What it really cost; without: the registry's price if applied."),
    ] = None,
    json: Json = False,
) -> None:
    """Says how a deed in doubt ended, on evidence. It ends the doubt for good, so look in the outside system first."""
    from libs.client.answering import answer_to, out_of_doubt
    from libs.client.results import State

    async def question(client: Client) -> Answer:
        await client.get(intent)
        command_id = await client.resolve(intent, applied, evidence, reason, cost_micros)
        return await out_of_doubt(client, await answer_to(client, intent, command_id))

    answer = ask(question)
    if json or answer.deed.state is not State.IN_DOUBT:
        say(answer, "The doubt is over.", json)
    else:
        typer.echo(f"It is recorded, and ends the doubt; its outcome follows: `deed watch {intent}`.")


def unpark(
    intent: IntentId,
    reason: MustReason,
    service: Annotated[
        str, typer.Option(help="The service that set it aside; without: the one that the timeline names.")
    ] = "",
    json: Json = False,
) -> None:
    """Lets an intent go on that a service had set aside, after the cause was mended."""
    from libs.client.answering import answer_to

    async def question(client: Client) -> Answer:
        name = service or await _parked_in(client, intent)
        return await answer_to(client, intent, await client.unpark(intent, name, reason))

    say(ask(question), "It goes on.", json)


async def _parked_in(client: Client, intent: str) -> str:
    """The one service that has set it aside. Raises Failed when there is none, or more than one."""
    from libs.client.rendering.explaining import parked_in

    found = parked_in(await client.get(intent))
    if not found:
        raise Failed("NOT_PARKED", "no service has set it aside", f"`deed explain {intent}` says what it waits for.")
    if len(found) > 1:
        raise Failed("SERVICE_MISSING", f"set aside in {', '.join(found)}", "Name one: --service.", Exit.WRONG_USE)
    return found[0]
