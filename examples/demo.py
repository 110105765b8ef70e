"""`make demo`: an agent works on a real git repository through a real MCP server, and never touches it itself.

A read; a commit; a proposal on stale grounds; a worker that is killed in mid-call, and the doubt that remains, which
somebody resolves with what git says. At the end the chain, the books and git are checked against each other.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Any

import grpc

from examples.checks import check
from examples.people import AGENT, OPERATOR, RESOLVER, Agent, Operator, Resolver
from examples.screen import Screen
from examples.servers import ServersError
from examples.stage import Stage, stage
from libs.contracts.proto.deedbook.status.v1 import status_pb2 as status
from libs.runtime.logs import configure
from libs.stack.errors import StackError
from services.execution.adapters.connection import discover
from services.execution.adapters.profiles import load_profiles

HOURS = 3600
ANSWER_BYTES_MAX = 1 << 20
DISCOVER_MS = 20_000


class Story:
    """The scenes, in order. Each ends with what came of it; one that ends otherwise is an error."""

    def __init__(self, at: Stage, screen: Screen, gateway: grpc.aio.Channel, questions: grpc.aio.Channel) -> None:
        self.at, self.screen = at, screen
        self.agent = Agent(gateway, questions, at.token(AGENT))
        self.operator = Operator(gateway, at.token(OPERATOR))
        self.resolver = Resolver(gateway, at.token(RESOLVER))
        self._keys = 0

    async def tell(self) -> None:
        await self.set_up()
        await self.read()
        await self.commit()
        await self.stale()
        await self.killed()

    async def set_up(self) -> None:
        """An operator looks at what the server offers and says what may be used, and how."""
        profile = load_profiles(self.at.servers_file)["git"]
        offered = await discover(profile, ANSWER_BYTES_MAX, DISCOVER_MS)
        await self.operator.set_up({definition.name: definition.json for definition in offered})
        self.screen.say(
            f"{OPERATOR.subject} has looked at {len(offered)} tools of mcp-server-git and registered three,"
        )
        self.screen.say("with prices, effect classes and the hashes of their definitions; a budget and a policy.")

    async def read(self) -> None:
        self.screen.scene("A read")
        (self.at.repository / "invoice.txt").write_text("Invoice 4711: paid\n")
        await self.deed("git_status", {}, status.STATE_SUCCEEDED)

    async def commit(self) -> None:
        self.screen.scene("A commit")
        await self.deed("git_add", {"files": ["invoice.txt"]}, status.STATE_SUCCEEDED)
        await self.deed("git_commit", {"message": "Pay invoice 4711"}, status.STATE_SUCCEEDED)
        self.screen.say("Git itself says:")
        self.screen.lines(self.at.git("log", "-1", "--stat", "--format=%h %an: %s"))

    async def stale(self) -> None:
        self.screen.scene("Stale evidence: the ticket was read two hours ago, the policy wants less than one")
        before = self.at.git("rev-parse", "HEAD")
        await self.deed("git_commit", {"message": "Pay invoice 4712"}, status.STATE_BLOCKED, age_s=2 * HOURS)
        if self.at.git("rev-parse", "HEAD") != before:
            raise StackError("a blocked intent has changed the repository")

    async def killed(self) -> None:
        """The hook of the repository keeps the answer back after the commit: that is when the worker dies."""
        self.screen.scene("A worker is killed (-9) while its call is under way")
        (self.at.repository / "refund.txt").write_text("Refund 4711\n")
        await self.deed("git_add", {"files": ["refund.txt"]}, status.STATE_SUCCEEDED)
        self.at.slow_hook(True)
        arguments = {"message": "Refund invoice 4711"}
        key, intent_id = await self.propose("git_commit", arguments)
        watching = asyncio.create_task(self.screen.follow(self.agent.watch(intent_id)))
        name, pid = await self.at.caller()
        os.kill(pid, signal.SIGKILL)
        self.screen.say(f"kill -9 {pid}: {name} is dead; git has the commit, nobody has the answer")
        doubt = await watching
        self.at.slow_hook(False)
        if doubt.state == status.STATE_IN_DOUBT:
            await self.resolve(intent_id, doubt)
        await self.repeat(key, intent_id, arguments)

    async def resolve(self, intent_id: str, doubt: status.Intent) -> None:
        """Nobody calls again by itself. Somebody with the role looks, and says what is true."""
        held, role = doubt.reserved_micros / 1e6, doubt.waiting.owner_role
        self.screen.say(f"Nothing is called again by itself; {held:.3f} stay held. It waits for a {role}:")
        self.screen.say(f"{RESOLVER.subject} asks git.")
        log = self.at.git("log", "-1", "--format=%H %s")
        self.screen.lines(log)
        await self.resolver.resolve(intent_id, "Refund invoice 4711" in log, f"git log: {log}")
        updates = self.agent.watch(intent_id, until_resolved=True)
        ended = await self.screen.follow(updates, len(doubt.timeline))
        _expect(ended, status.STATE_SUCCEEDED)

    async def repeat(self, key: str, intent_id: str, arguments: dict[str, Any]) -> None:
        """The same intent again is the same intent: no second effect."""
        self.screen.say("The agent has heard nothing and proposes the same again:")
        again = await self.agent.propose(key, "git_commit", self._on_repository(arguments))
        count = self.at.git("log", "--format=%s").splitlines().count(arguments["message"])
        self.screen.say(f"the same id ({'yes' if again == intent_id else 'no'}), and git has {count} such commit")
        if again != intent_id or count != 1:
            raise StackError("an intent had two effects, or two ids")

    async def deed(self, tool: str, arguments: dict[str, Any], wanted: int, age_s: int = 5) -> None:
        """Propose, show what is decided, and expect this end."""
        _, intent_id = await self.propose(tool, arguments, age_s)
        _expect(await self.screen.follow(self.agent.watch(intent_id)), wanted)

    async def propose(self, tool: str, arguments: dict[str, Any], age_s: int = 5) -> tuple[str, str]:
        """(key, id) of a new intent."""
        self._keys += 1
        key = f"demo-{self._keys}"
        self.screen.proposal(AGENT.subject, f"git/{tool}", arguments)
        return key, await self.agent.propose(key, tool, self._on_repository(arguments), age_s)

    def _on_repository(self, arguments: dict[str, Any]) -> dict[str, Any]:
        return {"repo_path": str(self.at.repository), **arguments}


def _expect(intent: status.Intent, wanted: int) -> None:
    if intent.state != wanted:
        names = status.State.Name(intent.state), status.State.Name(status.State.ValueType(wanted))
        raise StackError(f"it ended as {names[0]} and not as {names[1]}: {intent.code} {intent.reason}")


async def main() -> int:
    """Returns the exit status."""
    screen = Screen()
    screen.say("Starting a real Kafka, a real PostgreSQL and all services ...")
    async with stage() as at:
        screen.say(f"ready after {screen.seconds:.1f} s: {', '.join(line.name for line in at.report.lines)}")
        async with (
            grpc.aio.insecure_channel(at.grpc("gateway")) as gateway,
            grpc.aio.insecure_channel(at.grpc("status")) as questions,
        ):
            await Story(at, screen, gateway, questions).tell()
        screen.scene("The books")
        checked = await check(at)
        screen.say(f"{checked.events} events in {checked.chains} chains, each continuing the one before it")
        screen.say(f"{checked.grants} reservations, settled and released to the last micro; the tables say the same")
        ends = ", ".join(f"{count} {name}" for name, count in sorted(checked.outcomes.items()))
        screen.say(f"one outcome per deed: {ends}; git has exactly the commits of the ledger")
        for problem in checked.problems:
            screen.say(f"WRONG: {problem}")
    screen.say(f"Everything is stopped. {screen.seconds:.0f} s.")
    return 1 if checked.problems else 0


def run() -> int:
    """Ctrl-C and SIGTERM end the story; what was started is stopped."""

    configure("demo", "ERROR")

    async def story() -> int:
        task = asyncio.ensure_future(main())
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        return await task

    try:
        return asyncio.run(story())
    except asyncio.CancelledError:
        return 130
    except (StackError, ServersError, TimeoutError) as error:
        sys.stderr.write(f"The demo failed: {error or type(error).__name__}\n")
        return 1


if __name__ == "__main__":
    sys.exit(run())
