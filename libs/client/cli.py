"""The command line `deed`. Each module below adds its commands; it is imported when the program starts, what it needs
for its work only when the command runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any

import typer
from typer._click.exceptions import UsageError  # typer gives it no public name
from typer.core import TyperGroup

from libs.client import ending, options

COMMANDS = tuple(
    f"libs.client.commands.{name}"
    for name in (
        *("proposing", "submissions", "asking", "deciding", "mending", "waiting"),
        *("switches", "tools", "servers", "budgets", "policies", "dead", "proving"),
        *("health", "beginning"),
        *("stack", "formats", "lanes"),
    )
)
PIPE_CLOSED = 128 + 13  # as a shell names the end by SIGPIPE; 0 would say that a check had passed
EXIT_CODES = "\n".join(("Exit codes:", *(f"{code.value}  {meaning}" for code, meaning in ending.MEANINGS.items())))


class Program(TyperGroup):
    """`deed` as a whole: it knows whether what goes wrong is said to a program, wrong use included."""

    def main(self, args: Sequence[str] | None = None, *more: Any, **given: Any) -> Any:
        words = sys.argv[1:] if args is None else list(args)
        ending.answer_for_a_program("--json" in words)
        return super().main(words, *more, **given)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except UsageError as error:
            if not ending.is_for_a_program():
                raise
            words = error.ctx.command_path if error.ctx else "deed"
            ending.say(ending.Failed("WRONG_USE", error.format_message(), f"`{words} --help` shows how it is used."))
            raise typer.Exit(ending.Exit.WRONG_USE) from None


def build() -> typer.Typer:
    """All commands."""
    app = typer.Typer(
        name="deed",
        cls=Program,
        help="AI agents propose; Deedbook decides, acts once, and proves it.",
        epilog=EXIT_CODES,
        no_args_is_help=True,
        add_completion=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_everywhere)
    for module in COMMANDS:
        import_module(module).register(app)
    return app


def main() -> None:
    """Entry point of `deed`."""
    try:
        build()(prog_name="deed")
    except SystemExit as ended:
        if isinstance(ended.__context__, BrokenPipeError):  # whoever reads has enough: `deed list | head -1`
            sys.exit(PIPE_CLOSED)
        raise
    except Exception as error:
        if os.environ.get("DEED_TRACE"):
            raise
        mend = "Please report it, with what `DEED_TRACE=1 deed ...` shows."
        ending.say(ending.Failed("BUG", f"{type(error).__name__}: {error}", mend))
        sys.exit(ending.Exit.REFUSED)


def _version(wanted: bool) -> None:
    if not wanted:
        return
    try:
        typer.echo(f"deed {version('deedbook')}")
    except PackageNotFoundError:  # it runs from a folder
        typer.echo("deed, not installed as a package")
    raise typer.Exit


def _everywhere(
    as_: Annotated[
        str,
        typer.Option(
            "--as", metavar="NAME", help="At a local system: who you are, since nobody decides on their own requests."
        ),
    ] = "",
    _: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_version, help="Show the version, and end.")
    ] = False,
) -> None:
    """AI agents propose; Deedbook decides, acts once, and proves it."""
    options.act_as(as_)


if __name__ == "__main__":
    main()
