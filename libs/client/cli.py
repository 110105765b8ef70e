"""The command line `deed`. Each module below adds its commands; it is imported when the program starts, what it needs
for its work only when the command runs."""

from __future__ import annotations

from importlib import import_module

import typer

COMMANDS = ("libs.client.commands.stack", "libs.client.commands.formats", "libs.client.commands.lanes")


def build() -> typer.Typer:
    """All commands."""
    app = typer.Typer(
        name="deed",
        help="AI agents propose; Deedbook decides, acts once, and proves it.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    app.callback()(_nothing)
    for module in COMMANDS:
        import_module(module).register(app)
    return app


def main() -> None:
    """Entry point of `deed`."""
    build()()


def _nothing() -> None:
    """AI agents propose; Deedbook decides, acts once, and proves it."""


if __name__ == "__main__":
    main()
