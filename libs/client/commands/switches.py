"""deed kill, unkill, switches: stop something at once, let it go on, and see what is stopped, by whom and why."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from libs.client.ending import Exit, told
from libs.client.options import OPERATE, Json, Reason, check_named, examples, put_json
from libs.client.rendering.page import show_table

if TYPE_CHECKING:
    from libs.client.control import Control, Done
    from libs.client.processes import Confirmed, Process

PATIENCE_S = 5.0
KILL = examples(
    "deed kill tenant acme --reason 'incident 42'",
    "deed kill tool git/git_commit --reason 'it deletes branches'",
    "deed kill global --reason drill",
)
UNKILL = examples("deed unkill tenant acme --reason 'incident 42 is over'")


class Kind(StrEnum):
    """What a switch stops."""

    GLOBAL = "global"
    TENANT = "tenant"
    ACCOUNT = "account"
    TOOL = "tool"
    CAPABILITY = "capability"


KindOf = Annotated[Kind, typer.Argument(help="What is stopped.")]
Name = Annotated[
    str, typer.Argument(metavar="[NAME]", help="The tenant (yours when left out), tenant/account, tool or capability.")
]
Wait = Annotated[
    float, typer.Option("--wait-s", min=0, help="How long to wait until every process has confirmed it, in seconds.")
]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command(rich_help_panel=OPERATE, epilog=KILL)(kill)
    app.command(rich_help_panel=OPERATE, epilog=UNKILL)(unkill)
    app.command(rich_help_panel=OPERATE, epilog=examples("deed switches", "deed switches --json"))(switches)


def kill(kind: KindOf, reason: Reason, name: Name = "", wait_s: Wait = PATIENCE_S, json: Json = False) -> None:
    """Stops everything, a tenant, an account, a tool or a capability, and shows when each process had confirmed it.

    Whatever has not started is cancelled; what has started goes on and is recorded."""
    _flip(kind, name, True, reason, (wait_s, json))


def unkill(kind: KindOf, reason: Reason, name: Name = "", wait_s: Wait = PATIENCE_S, json: Json = False) -> None:
    """Opens a kill switch again, and shows when each process had confirmed it. What was cancelled stays so."""
    _flip(kind, name, False, reason, (wait_s, json))


def switches(json: Json = False) -> None:
    """Shows which kill switches are set, since when, by whom and why."""
    from libs.client.control import operate
    from libs.contracts.proto.deedbook.control.v1 import control_pb2 as pb

    config = operate(lambda control: control.config())
    found = [
        {
            "kind": pb.SwitchKind.Name(one.kind).removeprefix("SWITCH_KIND_"),
            "id": one.id,
            "since": one.flip_time.ToDatetime(UTC).isoformat(timespec="milliseconds"),
            "by": one.by,
            "reason": one.reason,
            "control_seq": one.control_seq,
        }
        for one in config.switches
    ]
    if json:
        put_json({"control_seq": config.control_seq, "fresh": config.fresh, "switches": found})
        return
    if found:
        keys = ("kind", "id", "since", "by", "reason")
        show_table([key.upper() for key in keys], [[str(one[key]) for key in keys] for one in found])
    else:
        typer.echo("No switch is set.")
    if not config.fresh:
        typer.echo("But the gateway's view is not fresh, which counts as all stopped: `deed doctor`.", err=True)


def _flip(kind: Kind, name: str, stopped: bool, reason: str, how: tuple[float, bool]) -> None:
    from libs.client.control import operate
    from libs.client.processes import confirmations
    from libs.contracts.proto.deedbook.control.v1 import control_pb2 as pb

    if kind is not Kind.TENANT:  # that may be left out: the own one
        with told():
            check_named(kind.value, name)
    switch = pb.Switch(kind=f"SWITCH_KIND_{kind.name}", id=name, stopped=stopped)
    request = pb.FlipSwitchRequest(switch=switch, reason=reason)
    wait_s, json = how

    async def work(control: Control) -> tuple[Done, list[Confirmed], bool]:
        done = await control.change("FlipSwitch", request)
        found = await confirmations(watched(), done.control_seq, done.asked_at, wait_s)
        return done, found, stopped and await _is_strange(control, kind, name)

    done, found, strange = operate(work)
    if json:
        put_json(_as_json(done, found))
    else:
        _say(kind, name, stopped, done, found)
    if strange:
        typer.echo(f"NOT_REGISTERED: no {kind.value} {name} is known to your tenant; was it mistyped?", err=True)
        typer.echo("What was meant goes on: look it up (`deed tool list`), and stop that.", err=True)
    if any(one.after_ms is None for one in found):
        typer.echo("NOT_CONFIRMED: not every process has confirmed it.", err=True)
        typer.echo("One that cannot follow the control ledger counts all as stopped: `deed doctor`.", err=True)
        raise typer.Exit(Exit.AWAY)


def watched() -> list[Process]:
    """The processes of the system that calls go to. That nobody knows them is said, and never keeps anything from being
    stopped."""
    from libs.client.operating import OperatorSettings, is_elsewhere
    from libs.client.processes import known
    from libs.runtime.settings import SettingsError, load
    from libs.stack.errors import StackError

    try:
        return [] if is_elsewhere() and not load(OperatorSettings).processes else known()
    except (SettingsError, StackError) as error:
        typer.echo(f"Its processes cannot be asked: {error}", err=True)
        return []


async def _is_strange(control: Control, kind: Kind, name: str) -> bool:
    """Was something stopped that nobody has registered?"""
    from libs.client.errors import DeedbookError

    try:
        if kind is Kind.TOOL:
            return name not in {one.tool for one in await control.tools(name.partition("/")[0])}
        if kind is Kind.CAPABILITY:
            return name not in {one.entry.capability for one in await control.tools()}
    except DeedbookError:
        pass  # it is stopped all the same
    return False


def _say(kind: Kind, name: str, stopped: bool, done: Done, found: list[Confirmed]) -> None:
    what = f"{kind.name} {name or ('of your own' if kind is Kind.TENANT else '')}".strip()
    typer.echo(f"{what} {'is stopped' if stopped else 'may go on'}: control event {done.control_seq}.")
    if not found:
        typer.echo("Where its processes are, nobody said: name them in DEED_PROCESSES to see each confirm it.")
        return
    show_table(
        ("PROCESS", "CONFIRMED AFTER", ""),
        [(one.name, "-" if one.after_ms is None else f"{one.after_ms:.0f} ms", one.why) for one in found],
    )


def _as_json(done: Done, found: list[Confirmed]) -> dict[str, Any]:
    return {
        "command_id": done.command_id,
        "control_seq": done.control_seq,
        "asked_at": datetime.fromtimestamp(done.asked_at, UTC).isoformat(timespec="milliseconds"),
        "processes": [{"name": one.name, "after_ms": one.after_ms, "why": one.why} for one in found],
    }
