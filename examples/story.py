"""The scenes of the demo, in order. Each ends with what came of it; one that ends otherwise is an error."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc

from examples.people import (
    AGENT,
    APPROVER,
    OPERATOR,
    RESOLVER,
    UNASKED,
    UNRESOLVED,
    Agent,
    Operator,
    Person,
    Proposal,
)
from examples.screen import Screen, money
from examples.stage import Stage
from examples.tools import SANDBOX
from libs.contracts.proto.deedbook.status.v1 import status_pb2 as status
from libs.runtime import devkeys
from libs.stack.errors import StackError
from services.execution.adapters.profiles import load_profiles
from services.execution.adapters.warm import discover

HOURS = 3600
ANSWER_BYTES_MAX = 1 << 20
DISCOVER_MS = 20_000
SWITCHED = "git/git_create_branch"


class Story:
    """An agent, and who keeps it in bounds."""

    def __init__(self, at: Stage, screen: Screen, gateway: grpc.aio.Channel, questions: grpc.aio.Channel) -> None:
        self.at, self.screen = at, screen
        self.agent = Agent(gateway, questions, at.system.token(AGENT))
        self.operator = Operator(gateway, at.system.token(OPERATOR))
        self.approver = Person(gateway, at.system.token(APPROVER))
        self.resolver = Person(gateway, at.system.token(RESOLVER))
        self._channels = gateway, questions
        self._keys = 0

    async def tell(self) -> None:
        """All scenes."""
        await self.set_up()
        await self.read()
        committed = await self.commit()
        await self.stale()
        await self.forbidden()
        await self.twice(committed)
        await self.too_dear()
        await self.agreed()
        await self.changed()
        await self.switched_off()
        await self.forged()
        await self.killed()

    async def set_up(self) -> None:
        """An operator looks at what the server offers and says what may be used, and how."""
        profile = load_profiles(self.at.system.servers_file)["git"]
        offered = await discover(profile, ANSWER_BYTES_MAX, DISCOVER_MS)
        await self.operator.set_up({definition.name: definition.json for definition in offered})
        self.screen.say(f"{OPERATOR.subject} has looked at {len(offered)} tools of mcp-server-git and registered four,")
        self.screen.say("with prices, effect classes and the hashes of their definitions; two budgets and a policy.")

    async def read(self) -> None:
        self.screen.scene("A read")
        (self.at.repository / "invoice.txt").write_text("Invoice 4711: paid\n")
        await self.deed(self.new("git_status"), status.STATE_SUCCEEDED)

    async def commit(self) -> Proposal:
        self.screen.scene("A commit")
        await self.deed(self.new("git_add", {"files": ["invoice.txt"]}), status.STATE_SUCCEEDED)
        proposal = self.new("git_commit", {"message": "Pay invoice 4711"})
        await self.deed(proposal, status.STATE_SUCCEEDED)
        self.screen.say("Git itself says:")
        self.screen.lines(self.at.git("log", "-1", "--stat", "--format=%h %an: %s"))
        return proposal

    async def stale(self) -> None:
        self.screen.scene("Stale evidence: the ticket was read two hours ago, the policy wants less than one")
        before = self.at.git("rev-parse", "HEAD")
        proposal = self.new("git_commit", {"message": "Pay invoice 4712"}, age_s=2 * HOURS)
        await self.deed(proposal, status.STATE_BLOCKED)
        if self.at.git("rev-parse", "HEAD") != before:
            raise StackError("a blocked intent has changed the repository")

    async def forbidden(self) -> None:
        self.screen.scene("A forbidden field: the policy lets nobody say where a branch starts")
        proposal = self.new("git_create_branch", {"branch_name": "past", "base_branch": "HEAD~1"})
        await self.deed(proposal, status.STATE_BLOCKED)

    async def twice(self, done: Proposal) -> None:
        self.screen.scene("The same key twice is one deed; the same key with other content is refused")
        await self.repeat(done)
        other = Proposal(done.key, done.tool, {**done.arguments, "message": "Pay invoice 4711 to me"})
        self.screen.proposal(AGENT.subject, f"git/{other.tool}", other.arguments)
        found = await self.agent.submission(await self.agent.propose(other))
        if found.state != status.SUBMISSION_STATE_REJECTED:
            raise StackError("other content under a used key was not refused")
        self.screen.refused(found.code, f"{found.reason}. {found.remedy}")

    async def too_dear(self) -> None:
        self.screen.scene("Over budget: the sandbox has a quarter of a cent a day, a look costs a fifth")
        await self.deed(self.new("git_status", account=SANDBOX), status.STATE_SUCCEEDED)
        await self.deed(self.new("git_status", account=SANDBOX), status.STATE_DENIED)

    async def agreed(self) -> None:
        self.screen.scene("A human has to agree")
        proposal = self.new("git_create_branch", {"branch_name": "release-7"})
        intent_id, asked = await self.ask(proposal)
        self.screen.request(APPROVER.subject, asked)
        await self.approver.vote(intent_id, asked.approval.action_digest, True, "release 7 is due")
        await self.ends(intent_id, status.STATE_SUCCEEDED, len(asked.timeline))
        self.screen.lines(self.at.git("branch", "--list"))

    async def changed(self) -> None:
        self.screen.scene("The arguments change after the approval: consent is to one action, not to an agent")
        one, asked = await self.ask(self.new("git_create_branch", {"branch_name": "hotfix-1"}))
        self.screen.request(APPROVER.subject, asked)
        self.screen.say("The agent swaps the action for another and presents the consent to the first one:")
        two, other = await self.ask(self.new("git_create_branch", {"branch_name": "backdoor"}))
        await self.approver.vote(two, asked.approval.action_digest, True, "looks good")
        seen = await self.until(two, lambda found: any(entry.code == "DIGEST_MISMATCH" for entry in found.timeline))
        self.screen.entries(seen.timeline[len(other.timeline) :])
        await self.approver.vote(two, other.approval.action_digest, False, "nobody asked for a backdoor")
        await self.ends(two, status.STATE_DENIED, len(seen.timeline))
        await self.approver.vote(one, asked.approval.action_digest, True, "the hotfix is needed")
        await self.ends(one, status.STATE_SUCCEEDED, len(asked.timeline))

    async def switched_off(self) -> None:
        self.screen.scene("The kill switch: what has not started does not start, whoever has agreed to it")
        intent_id, asked = await self.ask(self.new("git_create_branch", {"branch_name": "release-8"}))
        confirmed = await self.operator.kill(SWITCHED, True)
        self.screen.say(f"{OPERATOR.subject} stops {SWITCHED}: {confirmed}")
        await self.approver.vote(intent_id, asked.approval.action_digest, True, "release 8 is due")
        await self.ends(intent_id, status.STATE_DENIED, len(asked.timeline))
        await self.deed(self.new("git_create_branch", {"branch_name": "release-9"}), status.STATE_BLOCKED)
        self.screen.say(f"{OPERATOR.subject} lets it go on: {await self.operator.kill(SWITCHED, False)}")

    async def forged(self) -> None:
        self.screen.scene("A forged token: somebody else's signature under the agent's name")
        stranger = self.at.system.folder.root / "stranger"
        devkeys.ensure(stranger)
        thief = Agent(*self._channels, devkeys.mint(stranger, AGENT))
        proposal = self.new("git_commit", {"message": "Pay me"})
        self.screen.proposal("somebody", f"git/{proposal.tool}", proposal.arguments)
        try:
            await thief.propose(proposal)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNAUTHENTICATED:
                raise
            self.screen.refused(error.code().name, str(error.details()))
        else:
            raise StackError("a forged token was believed")

    async def killed(self) -> None:
        """The hook of the repository keeps the answer back after the commit: that is when the worker dies."""
        self.screen.scene("A worker is killed (-9) while its call is under way")
        (self.at.repository / "refund.txt").write_text("Refund 4711\n")
        await self.deed(self.new("git_add", {"files": ["refund.txt"]}), status.STATE_SUCCEEDED)
        self.at.slow_hook(True)
        proposal = self.new("git_commit", {"message": "Refund invoice 4711"})
        intent_id = await self.propose(proposal)
        watching = asyncio.create_task(self.screen.follow(self.agent.watch(intent_id)))
        name, pid = await self.at.caller()
        os.kill(pid, signal.SIGKILL)
        self.screen.say(f"kill -9 {pid}: {name} is dead; git has the commit, nobody has the answer")
        doubt = await watching
        self.at.slow_hook(False)
        if doubt.state == status.STATE_IN_DOUBT:
            await self.resolve(intent_id, doubt)
        self.screen.say("The agent has heard nothing and proposes the same again:")
        await self.repeat(proposal)

    async def resolve(self, intent_id: str, doubt: status.Intent) -> None:
        """Nobody calls again by itself. Somebody with the role looks, and says what is true."""
        held, role = money(doubt.reserved_micros), doubt.waiting.owner_role
        self.screen.say(f"Nothing is called again by itself; {held} stay held. It waits for a {role}:")
        self.screen.say(f"{RESOLVER.subject} asks git.")
        log = self.at.git("log", "-1", "--format=%H %s")
        self.screen.lines(log)
        await self.resolver.resolve(intent_id, "Refund invoice 4711" in log, f"git log: {log}")
        updates = self.agent.watch(intent_id, UNRESOLVED)
        _expect(await self.screen.follow(updates, len(doubt.timeline)), status.STATE_SUCCEEDED)

    async def repeat(self, done: Proposal) -> None:
        """The same intent again is the same intent: no second effect."""
        first = (await self.agent.propose(done)).intent_id
        again = await self.propose(done)
        count = self.at.git("log", "--format=%s").splitlines().count(done.arguments["message"])
        self.screen.say(f"the same id ({'yes' if again == first else 'no'}), and git has {count} such commit")
        if again != first or count != 1:
            raise StackError("an intent had two effects, or two ids")

    # -- what the scenes are made of

    def new(self, tool: str, arguments: dict[str, Any] | None = None, **more: Any) -> Proposal:
        """A proposal under a key of its own."""
        self._keys += 1
        where = {"repo_path": str(Path(self.at.repository))}
        return Proposal(f"demo-{self._keys}", tool, {**where, **(arguments or {})}, **more)

    async def propose(self, proposal: Proposal) -> str:
        """Show it and submit it; gives the intent's id."""
        self.screen.proposal(AGENT.subject, f"git/{proposal.tool}", proposal.arguments)
        return (await self.agent.propose(proposal)).intent_id

    async def deed(self, proposal: Proposal, wanted: int) -> None:
        """Propose, show what is decided, and expect this end."""
        await self.ends(await self.propose(proposal), wanted)

    async def ends(self, intent_id: str, wanted: int, seen: int = 0) -> None:
        """Show what is decided after these entries, and expect this end."""
        _expect(await self.screen.follow(self.agent.watch(intent_id), seen), wanted)

    async def ask(self, proposal: Proposal) -> tuple[str, status.Intent]:
        """Propose what people must agree to, up to the question."""
        intent_id = await self.propose(proposal)
        asked = await self.screen.follow(self.agent.watch(intent_id, UNASKED))
        _expect(asked, status.STATE_AWAITING_APPROVAL)
        return intent_id, asked

    async def until(self, intent_id: str, holds: Callable[[status.Intent], bool]) -> status.Intent:
        """The intent as soon as this holds."""
        async for found in self.agent.watch(intent_id):
            if holds(found):
                return found
        raise StackError(f"what was to be seen of {intent_id} was not seen")


def _expect(intent: status.Intent, wanted: int) -> None:
    if intent.state != wanted:
        names = status.State.Name(intent.state), status.State.Name(status.State.ValueType(wanted))
        raise StackError(f"it ended as {names[0]} and not as {names[1]}: {intent.code} {intent.reason}")
