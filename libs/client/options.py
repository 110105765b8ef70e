"""What commands of `deed` are told in the same way: options, and where they call as whom."""

from __future__ import annotations

from typing import Annotated

import click
import typer

from libs.client.connection import Connection, connect
from libs.client.settings import ClientSettings
from libs.runtime.settings import load

Json = Annotated[bool, typer.Option("--json", help="Machine-readable: one object, or one per line for streams.")]


def connection() -> Connection:
    """The connection of the settings; at a local system as the person whom `deed --as NAME` names. Raises
    SettingsError."""
    everywhere = click.get_current_context().find_root().params
    return connect(load(ClientSettings), who=str(everywhere.get("as_") or ""))


def examples(*lines: str) -> str:
    """The epilog of a command's help."""
    return "\n\n".join(("Examples:", *lines))
