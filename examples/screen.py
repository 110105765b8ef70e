"""What is seen of the demo: one line per decision, as it is made."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from textwrap import shorten
from typing import Any

from rich.console import Console
from rich.markup import escape

from deedbook import Deed, DeedbookError, State
from libs.client.results import Entry

console = Console(highlight=False, soft_wrap=True)
COLOURS = {
    State.SUCCEEDED: "green", State.BLOCKED: "red", State.IN_DOUBT: "magenta", State.FAILED: "red", State.DENIED: "red"
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

    def proposal(self, who: str, tool: str, arguments: Mapping[str, Any]) -> None:
        shown = {name: value for name, value in arguments.items() if name != "repo_path"}
        console.print(f"   [cyan]{who}[/cyan] proposes [bold]{tool}[/bold] {escape(json.dumps(shown))}")

    def lines(self, text: str) -> None:
        """What another program printed."""
        for line in text.splitlines():
            console.print(f"   [dim]│[/dim] {escape(line)}")

    def refused(self, error: DeedbookError) -> None:
        """An answer that said no at the door."""
        why = f"{error.code}: {error.reason.rstrip('.')}. {error.remedy}"
        console.print(f"   [bold red]REFUSED[/bold red] {escape(why)}")

    def request(self, who: str, asked: Deed) -> None:
        """What an approver is shown: exactly what would be done, and the digest that the vote is bound to."""
        request = asked.approval
        assert request is not None
        console.print(f"   [cyan]{who}[/cyan] is asked: [bold]{asked.tool}[/bold] {escape(request.display)}")
        cost, digest = money(asked.price_micros), request.action_digest[:16]
        roles = ", ".join(request.roles)
        self.say(f"  for {asked.requester}, {request.needed} of role {roles}, digest {digest}..., at most {cost}")

    async def follow(self, updates: AsyncIterator[Deed], seen: int, until: Callable[[Deed], bool]) -> Deed:
        """Show a deed's decisions as they are made until this holds; gives what it came to."""
        last: Deed | None = None
        async for last in updates:
            for entry in last.timeline[seen:]:
                self._entry(entry)
            seen = len(last.timeline)
            if until(last):
                break
        assert last is not None
        colour = COLOURS.get(last.state, "yellow")
        found = ", ".join(f"{ref.type} {ref.id}" for ref in last.refs)
        why = f"{last.code}: {last.reason}" if last.code else found
        if last.ended:
            why += f" [cost {money(last.cost_micros)}]"
        state = last.state.value.replace("_", " ")
        console.print(f"   [bold {colour}]{state}[/bold {colour}] {escape(why.strip())}".rstrip())
        return last

    def _entry(self, entry: Entry) -> None:
        told = not entry.code or entry.code in entry.reason or entry.event == "OutcomeRecorded"
        code = "" if told else f"{entry.code}: "
        why = shorten(code + entry.reason, WIDTH, placeholder=" ...")
        console.print(f"     [dim]{self.seconds:5.1f} s[/dim]  {entry.event:<20} [dim]{escape(why)}[/dim]")
