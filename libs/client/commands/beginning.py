"""deed init: a commented configuration to begin with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from libs.client.ending import Exit, Failed, told
from libs.client.options import OPERATE, Json, examples, put_json


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(rich_help_panel=OPERATE, epilog=examples("deed init", "deed init /etc/deedbook"))(init)


def init(folder: Annotated[str, typer.Argument(help="Where the files are written.")] = ".", json: Json = False) -> None:
    """Writes deedbook.env, with every setting, its default and its meaning, and an example of servers.toml.

    Files that are there are never overwritten. A local system (`deed up`) needs none of this."""
    from libs.client.configuration import files

    with told():
        wanted = {Path(folder) / name: text for name, text in files().items()}
        there = [str(path) for path in wanted if path.exists()]
        if there:
            mend = "Name another folder, or move them away: nothing is overwritten."
            raise Failed("FILE_EXISTS", f"there is already {' and '.join(there)}", mend, Exit.WRONG_USE)
        try:
            for path, text in wanted.items():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch(mode=0o600)  # secrets go into it
                path.write_text(text)
        except OSError as error:
            raise Failed("FILE_UNWRITABLE", f"{folder}: {error.strerror}", "", Exit.WRONG_USE) from None
    if json:
        put_json({"files": [str(path) for path in wanted]})
        return
    for path in wanted:
        typer.echo(f"Wrote {path}.")
    typer.echo("Set what is required in deedbook.env; a process that lacks one says which when it starts.")
