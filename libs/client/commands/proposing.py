"""deed submit, retry: propose an action, and propose again what definitely did not happen."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from libs.client.ending import Exit, Failed, told
from libs.client.options import MICROS_MAX, PROPOSE, Json, ask, examples, put_json, text_of

if TYPE_CHECKING:
    from libs.client.client import Client
    from libs.client.intents import Intent
    from libs.client.results import Deed, Submitted

Wait = Annotated[bool, typer.Option("--wait", help="Stay until it has ended, or a person must act; show each step.")]
TimeLimit = Annotated[float, typer.Option("--timeout", min=0.1, help="Of --wait, in seconds.")]
File = Annotated[str, typer.Argument(metavar="FILE", help="The intent as JSON; - reads it from the input.")]
Arguments = Annotated[
    list[str] | None, typer.Argument(metavar="NAME=VALUE", help="Arguments of the tool; values are JSON or text.")
]
SUBMIT = examples(
    'deed submit git/git_commit repo_path=/srv/books message="Pay invoice 4711" --evidence ticket:OPS-17 --wait',
    "deed submit intent.json --key invoice-4711-paid",
    "generate-intent | deed submit - --json",
    "A document names its fields as deedbook.Intent does: tool, arguments, key, account, capability, evidence, ...",
    "The same key with anything else in it is another intent, and refused: give expires_at when you repeat one.",
)


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command(rich_help_panel=PROPOSE, epilog=SUBMIT)(submit)
    app.command(
        rich_help_panel=PROPOSE, epilog=examples("deed retry 6f1f5c3e-9d0b-5a4f-8c27-d1e0b4a3962d intent.json --wait")
    )(retry)


def submit(  # noqa: PLR0913, PLR0917 - each is an option of the command
    what: Annotated[
        str, typer.Argument(metavar="TOOL|FILE", help="A tool, `server/tool`; or a JSON file; - reads from the input.")
    ],
    arguments: Arguments = None,
    key: Annotated[str, typer.Option(help="Idempotency key; without: a new one.")] = "",
    account: Annotated[str, typer.Option(help="The account that the action is for.")] = "",
    capability: Annotated[str, typer.Option(help="As the registry names it for this tool.")] = "",
    evidence: Annotated[list[str] | None, typer.Option(help="TYPE:ID that it rests on, or event:INTENT/ID.")] = None,
    source: Annotated[list[str] | None, typer.Option(help="Data that was used: NAME, or NAME=TIME.")] = None,
    expires: Annotated[str, typer.Option(help="30m, 2h, 7d or a moment; without: in an hour.")] = "",
    cost_cap_micros: Annotated[
        int | None, typer.Option(min=0, max=MICROS_MAX, help="The most that it may cost.")
    ] = None,
    edited_from: Annotated[str, typer.Option(help="A denied intent that this corrects.")] = "",
    wait: Wait = False,
    timeout: TimeLimit = 60.0,
    json: Json = False,
) -> None:
    """Proposes an action. With --wait the exit code says how it ended."""
    from libs.client import intent_text as text

    now = datetime.now(UTC)
    with told():
        options = {
            "key": key,
            "account": account,
            "capability": capability,
            "evidence": [text.evidence(one) for one in evidence or []],
            "data_sources": [text.source(one, now) for one in source or []],
            "expires_at": text.expiry(expires, now) if expires else "",
            "cost_cap_micros": cost_cap_micros,
            "edited_from": edited_from,
        }
        is_file = what == "-" or what.endswith(".json")
        document: dict[str, Any] = text.read_document(text_of(what)) if is_file else {"tool": what}
        intent = text.make(text.together(document, options, arguments or []))
    _propose(intent, (wait, timeout, json))


def retry(
    before: Annotated[str, typer.Argument(metavar="INTENT", help="The id of what definitely did not happen.")],
    file: File,
    wait: Wait = False,
    timeout: TimeLimit = 60.0,
    json: Json = False,
) -> None:
    """Proposes again what definitely did not happen, from its document (the ledger gives no arguments back).

    The new intent names the old one and has a key made of its id: asked twice with the same document it is still one
    new intent. Without an expires_at it has the old one's; one that is over is put off, the same for about an hour."""
    from libs.client import intent_text as text
    from libs.client.retrying import again, check_may_be_retried

    with told():
        given = text.read_document(text_of(file))
        intent = text.make(given)
    deed = ask(lambda client: client.get(before))
    with told():
        check_may_be_retried(deed)
    if "expires_at" not in given and deed.expires_at:  # an hour from now would be other content each time
        intent = replace(intent, expires_at=deed.expires_at)
    wanted = again(deed.intent_id, intent, datetime.now(UTC))  # by its id in the one form that makes one key
    _propose(wanted, (wait, timeout, json))


def _propose(intent: Intent, how: tuple[bool, float, bool]) -> None:
    """`how`: wait for its end, for how many seconds, and for a program."""
    wait, timeout_s, json = how
    if not wait:
        _say(ask(lambda client: _submitted_anew(client, intent)), json)
        return
    from libs.client.commands.asking import exit_of

    deed = ask(lambda client: _waited(client, intent, timeout_s, json))
    if json:
        put_json(deed)
    elif not deed.ended and not deed.waits_for_human:  # else that was told
        typer.echo(f"It is {deed.state.value}; `deed explain {deed.intent_id}` says whose turn it is.", err=True)
    raise typer.Exit(exit_of(deed))


async def _submitted(client: Client, intent: Intent) -> Submitted:
    """What was proposed. Raises Failed when it is not known whether it was: the same words typed again would be another
    intent, with a key, an expiry and times of its own."""
    from libs.client.errors import ServerError, Unavailable
    from libs.client.intent_text import document

    try:
        return await client.submit(intent)
    except (Unavailable, ServerError) as error:
        told_ = "It may be on the log all the same. Type exactly this, which does it once at most:"
        again = f"deed submit - <<'END'\n{document(intent)}\nEND"
        raise Failed(error.code, error.reason, f"{told_}\n{again}", Exit.AWAY) from None


async def _submitted_anew(client: Client, intent: Intent) -> Submitted:
    """The same. Of a retry also waits a while until it is accepted: whoever has retried before, with other content,
    must hear of it here. Raises SubmissionRejected then."""
    from libs.client.commands.asking import UNKNOWN_S
    from libs.client.retrying import is_retry

    submitted = await _submitted(client, intent)
    if is_retry(intent):
        with suppress(TimeoutError):
            async with asyncio.timeout(UNKNOWN_S), aclosing(client.watch(submitted)) as deeds:
                await anext(deeds)
    return submitted


async def _waited(client: Client, intent: Intent, timeout_s: float, json: bool) -> Deed:
    """The last that was seen within the time. Raises Failed when it was not even accepted."""
    from libs.client.commands.asking import Teller, follow

    submitted = await _submitted(client, intent)
    if not json:
        typer.echo(submitted.intent_id)
    tell = (lambda deed: None) if json else Teller()
    last = await follow(client.watch(submitted), tell, timeout_s, until_human=True)
    if last is None:
        remedy = f"`deed get {submitted.intent_id}` finds it once it is; `deed doctor` says what is slow."
        raise Failed("NOT_ACCEPTED", f"it is on the log and not accepted after {timeout_s:g} s", remedy, Exit.AWAY)
    return last


def _say(submitted: Submitted, json: bool) -> None:
    if json:
        put_json(submitted)
        return
    typer.echo(submitted.intent_id)
    asked = f"deed submission {submitted.submission_id} --intent {submitted.intent_id}"
    asked += f" --digest {submitted.content_digest}"
    typer.echo(f"It is on the log. `{asked}` says whether it is accepted,", err=True)
    typer.echo(f"`deed watch {submitted.intent_id}` what becomes of it.", err=True)
