"""deed mcp list, add, remove: which tool servers there are. How each is started stands in the operator's file alone."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from typing import Annotated, Any

import typer

from libs.client.ending import told
from libs.client.options import OPERATE, Json, Reason, examples, put_json
from libs.client.rendering.page import show_table

HELP = """Which tool servers there are.

A server's command line or address stands in the operator's file (DEED_SERVERS_FILE) on the machines of the workers and
nowhere else; here it has a name, and says whose tenants may use it."""
Server = Annotated[str, typer.Argument(metavar="SERVER", help="Its name: the first part of its tools' ids.")]


class Transport(StrEnum):
    """How a server is reached."""

    STDIO = "stdio"
    HTTP = "http"
    BUILTIN = "builtin"


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    group = typer.Typer(help=HELP, no_args_is_help=True)
    group.command("list", epilog=examples("deed mcp list"))(list_)
    group.command(epilog=examples("deed mcp add git --tenant acme --reason 'agents work on the repository'"))(add)
    group.command(epilog=examples("deed mcp remove git --reason 'moved to another one'"))(remove)
    app.add_typer(group, name="mcp", rich_help_panel=OPERATE)


def list_(json: Json = False) -> None:
    """Lists the servers that your tenant may use, and how each is: PENDING (no worker needed it yet), ACTIVE, DEGRADED
    (it was lost or did not answer) or OFFLINE (it failed again and again), by the worker where it is worst off."""
    from libs.client.control import operate
    from libs.client.registry import short
    from libs.contracts.proto.deedbook.control.v1 import registry_pb2 as reg

    servers = operate(lambda control: control.config()).servers
    states = _states() if servers else {}
    found: list[dict[str, Any]] = [
        {
            "server": one.server,
            "transport": short(one.transport, reg.Transport),
            "state": "" if one.transport == reg.TRANSPORT_BUILTIN else states.get(one.profile, ""),
            "profile": one.profile,
            "tenants": list(one.tenants),
        }
        for one in servers
    ]
    if json:
        put_json(found)
    elif found:
        keys = ("server", "transport", "state", "profile")
        rows = [[*(str(one[key]) or "-" for key in keys), ", ".join(one["tenants"]) or "all"] for one in found]
        show_table(("SERVER", "TRANSPORT", "STATE", "PROFILE", "TENANTS"), rows)
    else:
        typer.echo("No server is registered: `deed mcp add SERVER`.")


def _states() -> dict[str, str]:
    """How the servers are, by profile; those of which no process says anything are left out."""
    from libs.client.commands.switches import watched
    from libs.client.processes import listen
    from libs.client.tool_servers import worst

    with told():
        return worst(asyncio.run(listen(watched())))


def add(
    server: Server,
    reason: Reason,
    profile: Annotated[str, typer.Option(help="Its entry in the operator's file; without: the server's name.")] = "",
    transport: Annotated[Transport, typer.Option(help="How it is reached.")] = Transport.STDIO,
    tenant: Annotated[list[str] | None, typer.Option(help="May use it; again for more; none = all.")] = None,
    json: Json = False,
) -> None:
    """Registers a server, or replaces what is known about it. Its tools come with `deed tool add --from-mcp`."""
    from libs.client.control import operate
    from libs.client.discovery import missing_from_file
    from libs.contracts.proto.deedbook.control.v1 import control_pb2 as pb

    entry = pb.Server(
        server=server, transport=f"TRANSPORT_{transport.name}", profile=profile or server, tenants=tenant or ()
    )
    request = pb.RegisterServerRequest(server=entry, reason=reason)
    done = operate(lambda control: control.change("RegisterServer", request))
    if json:
        put_json({"command_id": done.command_id, "control_seq": done.control_seq})
    else:
        typer.echo(f"{server} is registered: control event {done.control_seq}.")
        if transport is not Transport.BUILTIN:  # built-in tools are no program that could be asked
            typer.echo(f"Next: `deed tool add --from-mcp {server} --reason TEXT`.")
    if transport is not Transport.BUILTIN and (file := missing_from_file(profile or server)):
        typer.echo(f"{file} does not say yet how {profile or server} is reached: no worker here can.", err=True)


def remove(server: Server, reason: Reason, json: Json = False) -> None:
    """Takes a server away; its tools cannot be used any more."""
    from libs.client.control import operate
    from libs.contracts.proto.deedbook.control.v1 import control_pb2 as pb

    request = pb.RemoveServerRequest(server=server, reason=reason)
    done = operate(lambda control: control.change("RemoveServer", request))
    if json:
        put_json({"command_id": done.command_id, "control_seq": done.control_seq})
    else:
        typer.echo(f"{server} is gone: control event {done.control_seq}.")
