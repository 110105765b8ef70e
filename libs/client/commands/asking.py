"""deed get, list, watch, show, explain: where intents are, and why."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from libs.client.ending import Exit, Failed, told
from libs.client.options import PROPOSE, IntentId, Json, ask, examples, put_json

if TYPE_CHECKING:
    from libs.client.client import Client
    from libs.client.results import Deed, Entry

PAGE = 100
UNKNOWN_S = 5.0


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    one = "6f1f5c3e-9d0b-5a4f-8c27-d1e0b4a3962d"
    app.command(rich_help_panel=PROPOSE, epilog=examples(f"deed get {one}", f"deed get {one} --json | jq .state"))(get)
    app.command(
        "list",
        rich_help_panel=PROPOSE,
        epilog=examples("deed list --state IN_DOUBT", "deed list --account main --limit 20"),
    )(list_)
    app.command(rich_help_panel=PROPOSE, epilog=examples(f"deed watch {one}", f"deed watch {one} --json"))(watch)
    app.command(rich_help_panel=PROPOSE, epilog=examples(f"deed show {one}"))(show)
    app.command(rich_help_panel=PROPOSE, epilog=examples(f"deed explain {one}"))(explain)


def get(intent: IntentId, json: Json = False) -> None:
    """Where an intent is now, and why, in a few lines."""
    from libs.client.rendering.deeds import brief
    from libs.client.rendering.page import put

    deed = ask(lambda client: client.get(intent))
    put_json(deed) if json else put(brief(deed, datetime.now(UTC)))


def show(intent: IntentId, json: Json = False) -> None:
    """All that is known of an intent: each decision with its reason, the time in each stage, votes, calls and costs."""
    from libs.client.rendering.deeds import full
    from libs.client.rendering.page import put

    deed = ask(lambda client: client.get(intent))
    put_json(deed) if json else put(full(deed, datetime.now(UTC)))


def explain(intent: IntentId, json: Json = False) -> None:
    """Why an intent is where it is, what it waits for, who must act until when, and what to do next."""
    from libs.client.rendering import explaining
    from libs.client.rendering.page import put

    deed = ask(lambda client: client.get(intent))
    found = explaining.explain(deed)
    put_json(found) if json else put(explaining.explained(found, deed, datetime.now(UTC)))


def states(begun: str) -> list[str]:
    """The names of states, to complete one that was begun."""
    from libs.client.results import State

    return [name for name in State if name.startswith(begun)]


def list_(
    account: Annotated[str, typer.Option(help="One account; without: all of the token's, and intents without.")] = "",
    state: Annotated[
        list[str] | None, typer.Option(help="Only in this state; may be given again.", autocompletion=states)
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50,
    search: Annotated[int, typer.Option(min=1, help="How many of the newest are looked through at most.")] = 10_000,
    json: Json = False,
) -> None:
    """The intents of your accounts, newest first."""
    from libs.client.rendering.deeds import listed
    from libs.client.rendering.page import put

    with told():
        wanted = _states(state or [])
    deeds, complete = ask(lambda client: _listed(client, account, wanted, (limit, search)))
    if json:
        for deed in deeds:
            put_json(deed)
    elif deeds:
        put([listed(deeds)])
    else:
        typer.echo("There are none.", err=True)
    if not complete:
        typer.echo("There may be more: raise --limit or --search.", err=True)


def watch(intent: IntentId, json: Json = False) -> None:
    """Each decision about an intent as it is taken, until it has ended. The exit code says how. While it waits for a
    person, whose turn it is.

    One that nobody knows yet is waited for a few seconds: it may just have been submitted."""
    last = ask(lambda client: follow(_versions(client, intent), put_json if json else Teller()))
    raise typer.Exit(exit_of(last) if last else Exit.WAITING)


async def _versions(client: Client, intent: str) -> AsyncGenerator[Deed, None]:
    """The intent now and after each change. Raises NotFound when it is still unknown after a while."""
    from libs.client.calling import Pause
    from libs.client.errors import NotFound

    loop, pause = asyncio.get_running_loop(), Pause()
    until = loop.time() + UNKNOWN_S
    while True:
        try:
            await client.get(intent)
            break
        except NotFound:
            if loop.time() > until:
                raise
        await pause.take()
    async with aclosing(client.watch(intent)) as deeds:
        async for deed in deeds:
            yield deed


async def follow(
    deeds: AsyncGenerator[Deed, None],
    tell: Callable[[Deed], None],
    limit_s: float | None = None,
    until_human: bool = False,
) -> Deed | None:
    """Tell each version as it comes, until the end, the limit, or until a person must act; the last that was seen."""
    last: Deed | None = None
    try:
        async with asyncio.timeout(limit_s), aclosing(deeds) as versions:
            async for last in versions:
                tell(last)
                if until_human and last.waits_for_human:
                    return last
    except TimeoutError:
        return last
    return last


class Teller:
    """Prints what is new in each version, and at the end how it ended. When it is a person's turn, whose and what to
    type, once, where it is in nobody's way: a watch would else stand still without a word."""

    def __init__(self) -> None:
        self._seen: tuple[Entry, ...] = ()
        self._turn: list[str] = []

    def __call__(self, deed: Deed) -> None:
        from libs.client.rendering.deeds import ended, news
        from libs.client.rendering.explaining import turn
        from libs.client.rendering.page import put, visible

        put([*news(deed, self._seen), *(ended(deed) if deed.ended else ())])
        self._seen = deed.timeline
        told, self._turn = self._turn, turn(deed)
        for text in self._turn if self._turn != told else ():
            typer.echo(visible(text), err=True)


def exit_of(deed: Deed) -> Exit:
    """What a program is told about a deed: done, not done, nobody knows, or still on its way."""
    from libs.client.results import State

    if deed.state is State.SUCCEEDED:
        return Exit.DONE
    if deed.state is State.IN_DOUBT:
        return Exit.IN_DOUBT
    return Exit.REFUSED if deed.ended else Exit.WAITING


async def _listed(
    client: Client, account: str, wanted: frozenset[str], bounds: tuple[int, int]
) -> tuple[list[Deed], bool]:
    """The deeds, and whether all were looked at. `bounds`: how many to find, how many to look through."""
    (limit, search), looked = bounds, 0
    found: list[Deed] = []
    async with aclosing(client.list(account, min(PAGE, limit if not wanted else PAGE))) as deeds:
        async for deed in deeds:
            if looked == search or len(found) == limit:
                return found, False
            looked += 1
            if not wanted or deed.state in wanted:
                found.append(deed)
    return found, True


def _states(given: list[str]) -> frozenset[str]:
    from libs.client.results import State

    wanted = frozenset(name.upper() for name in given)
    if unknown := sorted(wanted - set(State)):
        reason = f"{', '.join(unknown)} is none of {', '.join(State)}"
        raise Failed("STATE_UNKNOWN", reason, exit_code=Exit.WRONG_USE)
    return wanted
