"""`make demo`: an agent works on a real git repository through a real MCP server, and never touches it itself.

What is decided, why and what it costs is shown as it happens (`story.py`): reads and commits, and what does not happen
because it is stale, forbidden, too dear, not agreed to, switched off or forged; a worker that is killed in mid-call,
and the doubt that remains, which somebody resolves with what git says. At the end the chain, the books and git are
checked against each other.
"""

from __future__ import annotations

import sys

import grpc

from examples.checks import check
from examples.running import run
from examples.screen import Screen, money
from examples.stage import stage
from examples.story import Story


async def main() -> int:
    """Returns the exit status."""
    screen = Screen()
    screen.say("Starting a real Kafka, a real PostgreSQL and all services ...")
    async with stage() as at:
        screen.say(f"ready after {screen.seconds:.1f} s: {', '.join(line.name for line in at.system.report.lines)}")
        async with grpc.aio.insecure_channel(at.system.grpc("gateway")) as gateway:
            await Story(at, screen, gateway).tell()
        screen.scene("The books")
        checked = await check(at)
        screen.say(f"{checked.events} events in {checked.chains} chains, each continuing the one before it")
        spent = money(checked.spent_micros)
        screen.say(f"{checked.grants} reservations, {spent} spent, nothing held any more; the tables say the same")
        ends = ", ".join(f"{count} {name}" for name, count in sorted(checked.outcomes.items()))
        screen.say(f"one outcome per deed: {ends}; git has exactly the commits of the ledger")
        for problem in checked.problems:
            screen.say(f"WRONG: {problem}")
    screen.say(f"Everything is stopped. {screen.seconds:.0f} s.")
    screen.say("To go on: `make up`, `.venv/bin/deed --help`, and 'Your own tool' in README.md.")
    return 1 if checked.problems else 0


if __name__ == "__main__":
    sys.exit(run("demo", main))
