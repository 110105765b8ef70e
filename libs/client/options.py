"""What commands of `deed` have in common: options, where they call as whom, and answers for programs."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import msgspec
import typer

from libs.client.ending import Exit, Failed, told
from libs.client.settings import ClientSettings
from libs.runtime.settings import KafkaSettings, SettingsError, load

if TYPE_CHECKING:
    from libs.client.client import Client
    from libs.client.connection import Connection

T = TypeVar("T")
MICROS_MAX = 2**53 - 1  # what every reader of JSON can hold
PROPOSE, DECIDE, OPERATE = (
    "Propose and follow",
    "Decide and mend",
    "Operate and audit",
)  # the groups of commands in `deed --help`
NAMES = {
    "tenant": ("the tenant's name", "acme"),
    "account": ("the account's name", "acme/main"),
    "tool": ("the tool's id", "git/git_commit"),
    "capability": ("the capability's name", "git.write"),
}  # what a switch or a cap is for, what it is called, and such a one
_WHO: ContextVar[str] = ContextVar("who", default="")
Json = Annotated[bool, typer.Option("--json", help="Machine-readable: one object, or one per line for streams.")]
IntentId = Annotated[str, typer.Argument(metavar="INTENT", help="The intent's id, a UUID.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; kept on the ledger with your name.")]


def connection() -> Connection:
    """The connection of the settings; at a local system as the person whom `deed --as NAME` names. Raises
    SettingsError."""
    from libs.client.connection import connect

    settings, who = load(ClientSettings), _WHO.get()
    given = {"DID_KEY_FILE": settings.did_key_file, "TOKEN_FILE": settings.token_file, "TOKEN": settings.token}
    variable = next((name for name, value in given.items() if value), "")
    if who and variable:
        raise SettingsError(f"DEED_{variable} says who you are, so --as {who} cannot: leave one of them out.")
    return connect(settings, who=who)


def act_as(name: str) -> None:
    """From here on, this program's calls to a local system are this person's; "" = the one who is logged in."""
    _WHO.set(name)


def ask(question: Callable[[Client], Awaitable[T]]) -> T:
    """The answer to a question that needs a client. What goes wrong is told, and ends the program."""
    from libs.client.client import Client

    async def run(client: Client) -> T:
        async with client:
            return await question(client)

    with told():
        kafka = load(KafkaSettings) if load(ClientSettings).kafka_bootstrap else None
        return asyncio.run(run(Client(connection(), kafka)))


def check_named(kind: str, name: str) -> None:
    """Raises Failed when the name is left out of what a switch or a cap is for."""
    if not name and kind in NAMES:
        called, shape = NAMES[kind]
        raise Failed(
            "WRONG_USE", f"{called} is missing", f"Name it after the word {kind}, such as {shape}.", Exit.WRONG_USE
        )


def text_of(file: str) -> str:
    """What is in a file of text; -: what comes from the input. Raises Failed: FILE_UNREADABLE."""
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        mend = "Name a file of UTF-8 text that is there and that you may read, or - for the input."
        raise Failed("FILE_UNREADABLE", f"{file}: {error}", mend, Exit.WRONG_USE) from None


def put_json(answer: Any) -> None:
    """One object on one line."""
    sys.stdout.write(msgspec.json.encode(answer).decode() + "\n")
    sys.stdout.flush()


def examples(*lines: str) -> str:
    """The epilog of a command's help."""
    return "\n".join(("Examples:", *lines))
