"""deed dead list, show, replay: what could not be processed, why, and the way back onto the log."""

from __future__ import annotations

import asyncio
import base64
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from libs.client.ending import Exit, Failed, told
from libs.client.options import OPERATE, Json, connection, examples, put_json
from libs.client.rendering.page import show_table

if TYPE_CHECKING:
    from libs.client.letters import Buried, News, Place

PREVIEW_BYTES = 256
HELP = """What could not be processed, with its reason and original bytes.

Read from the log itself: of the local system, or of the brokers that DEED_KAFKA_BOOTSTRAP names."""
REPLAY_HELP = """Puts the original bytes back to where they came from, and says what became of them.

An intent needs a token, since its own is never kept: that of DEED_TOKEN or DEED_TOKEN_FILE or, at a local system, one of the person that `--as` names. It is then proposed in that name, so look at it first: `deed dead show`. Anything else stays in the name of whoever gave it."""  # noqa: E501 - a terminal breaks it
Letter = Annotated[str, typer.Argument(metavar="LETTER", help="Its id, service/partition/offset.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    group = typer.Typer(help=HELP, no_args_is_help=True)
    group.command("list", epilog=examples("deed dead list", "deed dead list --service intake --code AUTH_INVALID"))(
        list_
    )
    group.command(epilog=examples("deed dead show intake/3/17", "deed dead show intake/3/17 --raw > record.bin"))(show)
    group.command(help=REPLAY_HELP, epilog=examples("deed --as agent-7 dead replay intake/3/17"))(replay)
    app.add_typer(group, name="dead", rich_help_panel=OPERATE)


def list_(
    service: Annotated[str, typer.Option(help="Only what this service refused.")] = "",
    code: Annotated[str, typer.Option(help="Only with this reason.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many, the newest.")] = 50,
    json: Json = False,
) -> None:
    """Lists dead letters, the newest last."""
    from libs.client.letters import SERVICES, read_all
    from libs.client.operating import log_settings

    async def read() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        async for one in read_all(log_settings(), service):
            if code in ("", one.letter.code):
                found.append(_summary(one))
            if len(found) > 2 * limit:
                found = _newest(found, limit)
        return _newest(found, limit)

    with told():
        if service not in ("", *SERVICES):
            raise Failed("SERVICE_UNKNOWN", f"{service} is none of {', '.join(SERVICES)}", "", Exit.WRONG_USE)
        rows = asyncio.run(read())
    if json:
        put_json(rows)
    elif rows:
        keys = ("id", "at", "code", "from", "bytes", "reason")
        show_table([key.upper() for key in keys], [[str(row[key]) for key in keys] for row in rows])
    else:
        typer.echo("There is no dead letter.")


def show(
    letter: Letter,
    raw: Annotated[bool, typer.Option("--raw", help="Nothing but the original bytes.")] = False,
    json: Json = False,
) -> None:
    """Shows a dead letter: why, from where, headers (credentials are never kept) and the original bytes."""
    from libs.client.letters import read_one
    from libs.client.operating import log_settings

    with told():
        found = asyncio.run(read_one(log_settings(), letter))
    if raw:
        sys.stdout.buffer.write(found.letter.value)
        return
    row = _summary(found) | _content(found)
    if json:
        put_json(row | {"value": base64.b64encode(found.letter.value).decode()})
        return
    show_table(("FIELD", "VALUE"), [(name, str(value)) for name, value in row.items() if value not in ("", None)])


def replay(letter: Letter, json: Json = False) -> None:
    from libs.client.client import Client
    from libs.client.letters import known_already, name_of, read_one
    from libs.client.letters import replay as put_back
    from libs.client.operating import log_settings
    from libs.client.rendering.page import visible

    async def work() -> tuple[Place, News | None]:
        found = await read_one(log_settings(), letter)
        token = connection().token_for("intents", found.letter.value) if found.letter.topic == "intents" else ""
        if token and not json:
            typer.echo(f"It is proposed in the name of {visible(name_of(token))}, as your token says.")
        place, news, intent = await put_back(log_settings(), found, token)
        if news is None and intent:
            async with Client(connection()) as client:
                news = await known_already(client, intent)
        return place, news

    with told():
        place, news = asyncio.run(work())
        if not json:
            typer.echo(f"It is on the log again: {place.topic}/{place.partition}/{place.offset}.")
        taken = _taken(news, place)
    if json:
        said = {"event": taken.event, "key": taken.id, "code": taken.code, "already": taken.already}
        put_json({"topic": place.topic, "partition": place.partition, "offset": place.offset, "became": said})
    elif taken.already:
        typer.echo(f"It is the intent {taken.id} already, which is {taken.already}; it is not accepted twice.")
    else:
        typer.echo(f"It was taken: {taken.event} for {taken.id}.")


def _taken(news: News | None, place: Place) -> News:
    """Raises Failed when it was refused again, or nothing is known."""
    if news is None:
        reason = f"nothing was said about {place.topic}/{place.partition}/{place.offset} so far"
        raise Failed("NO_ANSWER", reason, "`deed list` shows what there is; `deed dead list` if it is back.", Exit.AWAY)
    if news.code:
        raise Failed(news.code, news.reason, "It was refused again: mend what the reason names first.")
    return news


def _newest(rows: list[dict[str, Any]], limit: int) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: str(row["at"]))[-limit:]


def _summary(one: Buried) -> dict[str, Any]:
    origin = one.origin
    return {
        "id": one.id,
        "at": datetime.fromtimestamp(one.at / 1_000_000, UTC).isoformat(timespec="milliseconds"),
        "service": one.letter.service,
        "code": one.letter.code,
        "reason": one.letter.reason,
        "from": f"{origin.topic}/{origin.partition}/{origin.offset}",
        "bytes": len(one.letter.value),
    }


def _content(one: Buried) -> dict[str, Any]:
    """What can be read of the record."""
    from libs.contracts.errors import CodecError
    from libs.ledger.codec import decode_message

    letter = one.letter
    shown: dict[str, Any] = {"key": letter.key.hex() if letter.key is not None else ""}
    shown |= {f"header {name}": value.decode(errors="replace") for name, value in letter.headers.items()}
    try:
        shown["content"] = repr(decode_message(letter.value, letter.topic))
    except CodecError as error:
        shown["content"] = f"not readable ({error.code}): {letter.value[:PREVIEW_BYTES].hex(' ')}"
    return shown
