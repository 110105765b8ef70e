"""What is seen of the demo: one line per decision, as it is made."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Iterable
from textwrap import shorten
from typing import Any

from rich.console import Console
from rich.markup import escape

from libs.contracts.proto.deedbook.status.v1 import status_pb2 as status

console = Console(highlight=False, soft_wrap=True)
COLOURS = {
    status.STATE_SUCCEEDED: "green", status.STATE_BLOCKED: "red", status.STATE_IN_DOUBT: "magenta",
    status.STATE_FAILED: "red",
}  # fmt: skip
WIDTH = 110


def money(micros: int) -> str:
    """Millionths of the currency as people read them."""
    return f"{micros / 1e6:.4f}"


class Screen:
    """Numbers the scenes and tells the time since the start."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._scene = 0

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def scene(self, title: str) -> None:
        """A new part of the story."""
        self._scene += 1
        console.print(f"\n[bold]{self._scene}. {escape(title)}[/bold]")

    def say(self, text: str) -> None:
        console.print(f"   {escape(text)}")

    def proposal(self, who: str, tool: str, arguments: dict[str, Any]) -> None:
        shown = {name: value for name, value in arguments.items() if name != "repo_path"}
        console.print(f"   [cyan]{who}[/cyan] proposes [bold]{tool}[/bold] {escape(json.dumps(shown))}")

    def lines(self, text: str) -> None:
        """What another program printed."""
        for line in text.splitlines():
            console.print(f"   [dim]│[/dim] {escape(line)}")

    def refused(self, code: str, why: str) -> None:
        """An answer that said no at the door."""
        console.print(f"   [bold red]REFUSED[/bold red] {escape(f'{code}: {why}')}")

    def request(self, who: str, asked: status.Intent) -> None:
        """What an approver is shown: exactly what would be done, and the digest that the vote is bound to."""
        request = asked.approval
        console.print(f"   [cyan]{who}[/cyan] is asked: [bold]{asked.tool}[/bold] {escape(request.display)}")
        cost, digest = money(asked.price_micros), request.action_digest[:16]
        roles = ", ".join(request.roles)
        self.say(f"  for {asked.requester}, {request.needed} of role {roles}, digest {digest}..., at most {cost}")

    def entries(self, entries: Iterable[status.TimelineEntry]) -> None:
        """Decisions, one line each."""
        for entry in entries:
            self._entry(entry)

    async def follow(self, updates: AsyncIterator[status.Intent], seen: int = 0) -> status.Intent:
        """Show an intent's decisions as they are made; gives what it came to."""
        last = status.Intent()
        async for last in updates:
            for entry in last.timeline[seen:]:
                self._entry(entry)
            seen = len(last.timeline)
        colour = COLOURS.get(last.state, "yellow")
        state = status.State.Name(last.state).removeprefix("STATE_").replace("_", " ")
        found = ", ".join(f"{ref.type} {ref.id}" for ref in last.object_refs)
        why = f"{last.code}: {last.reason}" if last.code else found
        if last.HasField("end_time"):
            why += f" [cost {money(last.cost_micros)}]"
        console.print(f"   [bold {colour}]{state}[/bold {colour}] {escape(why)}".rstrip())
        return last

    def _entry(self, entry: status.TimelineEntry) -> None:
        told = not entry.code or entry.code in entry.reason or entry.event == "OutcomeRecorded"
        code = "" if told else f"{entry.code}: "
        why = shorten(code + entry.reason, WIDTH, placeholder=" ...")
        console.print(f"     [dim]{self.seconds:5.1f} s[/dim]  {entry.event:<20} [dim]{escape(why)}[/dim]")
