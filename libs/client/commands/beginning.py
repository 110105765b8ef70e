"""deed init: a commented configuration to begin with; deed did: a name of one's own, proven by a key."""

from __future__ import annotations

from json import dumps
from pathlib import Path
from typing import Annotated

import typer

from libs.client.ending import Exit, Failed, told
from libs.client.options import OPERATE, Json, examples, put_json


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(rich_help_panel=OPERATE, epilog=examples("deed init", "deed init /etc/deedbook"))(init)
    app.command(rich_help_panel=OPERATE, epilog=examples("deed did agent.pem --tenant acme --account main"))(did)


def init(folder: Annotated[str, typer.Argument(help="Where the files are written.")] = ".", json: Json = False) -> None:
    """Writes deedbook.env, with every setting, its default and its meaning, and examples of servers.toml and dids.toml.

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


def did(
    file: Annotated[str, typer.Argument(metavar="FILE", help="The private key (PEM); made if it is not there.")],
    tenant: Annotated[str, typer.Option("--tenant", help="In which tenant it shall be granted something.")] = "acme",
    account: Annotated[list[str] | None, typer.Option("--account", help="May be given again.")] = None,
    json: Json = False,
) -> None:
    """The did:key of a private key, and what an operator adds to DEED_DIDS_FILE so that it may propose.

    Who sets DEED_DID_KEY_FILE and DEED_DID_TENANT signs each call with it and needs no token. For a did:web set
    DEED_DID too, and publish the key in its document."""
    from libs.client.signing import make_key, read_key
    from libs.governance.dids import did_of

    path = Path(file)
    with told():
        try:
            if made := not path.exists():
                make_key(path)
        except OSError as error:
            raise Failed("FILE_UNWRITABLE", f"{file}: {error.strerror}", "", Exit.WRONG_USE) from None
        name = did_of(read_key(path).public_key())
    said = {"tenant": tenant, "accounts": account or [], "roles": [], "kind": "MACHINE"}
    grant = f'["{name}"]\n' + "".join(f"{field} = {dumps(value)}\n" for field, value in said.items())  # TOML, too
    if json:
        put_json({"did": name, "key_file": file, "made": made, "grant": grant})
        return
    typer.echo(
        f"{'Made' if made else 'Read'} the key in {file}. An operator adds to the file DEED_DIDS_FILE, which is",
        err=True,
    )
    typer.echo("dids.toml in the data folder of a local system, and read again when it has changed:\n", err=True)
    typer.echo(grant, nl=False)
