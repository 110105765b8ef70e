"""Where the command that runs calls, and as whom."""

from __future__ import annotations

import click

from libs.client.connection import Connection, connect
from libs.client.settings import ClientSettings
from libs.runtime.settings import load


def connection() -> Connection:
    """The connection of the settings; at a local system as the person whom `deed --as NAME` names. Raises
    SettingsError."""
    everywhere = click.get_current_context().find_root().params
    return connect(load(ClientSettings), who=str(everywhere.get("as_") or ""))
