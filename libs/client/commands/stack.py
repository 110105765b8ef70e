"""deed up, ps, logs, down: the local system."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer
from rich.console import Console

from libs.client.ending import told
from libs.client.options import examples, put_json
from libs.client.rendering.page import show_table
from libs.stack import background, tail
from libs.stack.folders import Folder, home
from libs.stack.report import Line, Report, load
from libs.stack.shapes import SHAPES, WORKERS, Plan
from libs.stack.supervisor import given_stack, supervise
from libs.stack.topics import LANES

READY_S = 120.0
LOCAL = "Local system"

Json = Annotated[bool, typer.Option("--json", help="Machine-readable.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    for command, lines in (
        (up, ("deed up", "deed up --shape separate", "deed up --foreground")),
        (ps, ("deed ps", "deed ps --json | jq '.lines[] | select(.ready | not)'")),
        (logs, ("deed logs", "deed logs w1 --follow")),
        (down, ("deed down",)),
    ):
        app.command(rich_help_panel=LOCAL, epilog=examples(*lines))(command)


def up(
    shape: Annotated[str, typer.Option(help=f"One of: {', '.join(SHAPES)}.")] = SHAPES[0],
    workers: Annotated[int, typer.Option(min=1, max=64, help="Workers of the co-located shape.")] = WORKERS,
    lanes: Annotated[int, typer.Option(min=1, max=1024, help="Fixed for the life of the data.")] = LANES,
    foreground: Annotated[bool, typer.Option(help="Stay, and stop everything on Ctrl-C.")] = False,
    json: Json = False,
) -> None:
    """Starts Kafka, PostgreSQL and all services; returns when they are ready."""
    if shape not in SHAPES:
        raise typer.BadParameter(f"{shape} is none of {', '.join(SHAPES)}", param_hint="--shape")
    folder, plan = Folder(home()), Plan(shape, workers, lanes)
    with told():
        if foreground:
            asyncio.run(supervise(plan, given_stack(), _Teller(json)))
            return
        pid = background.begin(folder, plan)
        try:
            with Console(stderr=True).status("starting") as status:
                report = background.wait_ready(folder, pid, READY_S, lambda seen: status.update(_progress(seen)))
        except KeyboardInterrupt:
            background.end(folder)
            raise typer.Exit(130) from None
        _print(report, json)


def ps(json: Json = False) -> None:
    """Shows each process: its state, restarts, ports, and whether it is ready."""
    with told():
        report = load(Folder(home()))
    if not report.lines and not json:
        typer.echo("Nothing runs." if report.phase != "failed" else f"Nothing runs. The last start: {report.message}")
        return
    _print(report, json)


def logs(
    name: Annotated[str, typer.Argument(help="A process, as `deed ps` names it; all when left out.")] = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many of the last lines.")] = 50,
) -> None:
    """Prints the logs of the processes."""
    with told():
        logs = Folder(home()).logs
        if not name and not any(logs.glob("*.log")):
            typer.echo(f"There are no logs in {logs}: nothing was started here yet (`deed up`).", err=True)
        try:
            for line in tail.lines(logs, name, lines, follow):
                typer.echo(line)
        except KeyboardInterrupt:
            raise typer.Exit(0) from None


def down(json: Json = False) -> None:
    """Stops everything in order: fronts, deciders, readers, then Kafka and PostgreSQL. The data stays."""
    with told(), Console(stderr=True).status("stopping"):
        stopped = background.end(Folder(home()))
    if json:
        put_json({"stopped": stopped})
        return
    typer.echo(f"Stopped {', '.join(stopped)}." if stopped else "Nothing was running.")


class _Teller:
    """Prints what changes, for `--foreground`: the table when all is ready, afterwards what happens to each process."""

    def __init__(self, json: bool) -> None:
        self._json = json
        self._last = Report("none")

    def __call__(self, report: Report) -> None:
        if report.phase == "ready" and self._last.phase != "ready":
            _print(report, self._json)
        elif report.phase == "ready":
            before = {line.name: line for line in self._last.lines}
            for line in report.lines:
                if before.get(line.name) != line:
                    typer.echo(f"{line.name}: {line.state}{f' ({line.why})' if line.why else ''}", err=True)
        elif report.message or report.phase != self._last.phase:
            typer.echo(report.message or report.phase, err=True)
        self._last = report


def _progress(report: Report) -> str:
    waiting = [f"{line.name}{f' ({line.why})' if line.why else ''}" for line in report.lines if not line.ready]
    return report.message or f"waiting for {', '.join(waiting)}"


def _print(report: Report, json: bool) -> None:
    if json:
        put_json(report)
        return
    rows = [_row(line) for line in report.lines]
    show_table(("NAME", "PID", "STATE", "RESTARTS", "READY", "PORTS", ""), rows)
    if report.phase == "ready" and report.ready_s is not None:
        typer.echo(f"{report.shape}, {report.lanes} lanes; was ready after {report.ready_s:.1f} s.")


def _row(line: Line) -> tuple[str, ...]:
    ports = " ".join(f"{name}={port}" for name, port in line.ports.items())
    ready = "yes" if line.ready else "no"
    return line.name, str(line.pid or "-"), line.state, str(line.restarts), ready, ports, line.why
