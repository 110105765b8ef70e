"""The scenes of the demo, in order. Each ends with what came of it; one that ends otherwise is an error."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import grpc

from deedbook import Client, Deed, Intent, State, SubmissionRejected, Submitted, Unauthenticated
from examples.people import AGENT, APPROVER, OPERATOR, RESOLVER, Operator, connection, intent
from examples.screen import Screen, money
from examples.stage import Stage
from examples.tools import SANDBOX
from libs.runtime import devkeys
from libs.stack.errors import StackError
from services.execution.adapters.profiles import load_profiles
from services.execution.adapters.warm import discover

HOURS = 3600
ANSWER_BYTES_MAX = 1 << 20
DISCOVER_MS = 20_000
SWITCHED = "git/git_create_branch"
PATIENCE_S = 40.0


def _is_settled(deed: Deed) -> bool:
    """Has it ended, or does nobody know how it ended?"""
    return deed.ended or deed.state is State.IN_DOUBT


class Story:
    """An agent, and who keeps it in bounds."""

    def __init__(self, at: Stage, screen: Screen, gateway: grpc.aio.Channel) -> None:
        self.at, self.screen = at, screen
        self.operator = Operator(at.system, gateway)
        self.agent = Client(connection(at.system, AGENT))
        self.approver = Client(connection(at.system, APPROVER))
        self.resolver = Client(connection(at.system, RESOLVER))
        self._keys = 0

    async def tell(self) -> None:
        """All scenes."""
        async with self.agent, self.approver, self.resolver:
            await self._tell()

    async def _tell(self) -> None:
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
        await self.deed(self.new("git_status"), State.SUCCEEDED)

    async def commit(self) -> Intent:
        self.screen.scene("A commit")
        await self.deed(self.new("git_add", {"files": ["invoice.txt"]}), State.SUCCEEDED)
        proposal = self.new("git_commit", {"message": "Pay invoice 4711"})
        await self.deed(proposal, State.SUCCEEDED)
        self.screen.say("Git itself says:")
        self.screen.lines(self.at.git("log", "-1", "--stat", "--format=%h %an: %s"))
        return proposal

    async def stale(self) -> None:
        self.screen.scene("Stale evidence: the ticket was read two hours ago, the policy wants less than one")
        before = self.at.git("rev-parse", "HEAD")
        proposal = self.new("git_commit", {"message": "Pay invoice 4712"}, age_s=2 * HOURS)
        await self.deed(proposal, State.BLOCKED)
        if self.at.git("rev-parse", "HEAD") != before:
            raise StackError("a blocked intent has changed the repository")

    async def forbidden(self) -> None:
        self.screen.scene("A forbidden field: the policy lets nobody say where a branch starts")
        proposal = self.new("git_create_branch", {"branch_name": "past", "base_branch": "HEAD~1"})
        await self.deed(proposal, State.BLOCKED)

    async def twice(self, done: Intent) -> None:
        self.screen.scene("The same key twice is one deed; the same key with other content is refused")
        await self.repeat(done)
        other = replace(done, arguments={**done.arguments, "message": "Pay invoice 4711 to me"})
        try:
            await self.agent.wait(await self.propose(other))
        except SubmissionRejected as error:
            self.screen.refused(error)
        else:
            raise StackError("other content under a used key was not refused")

    async def too_dear(self) -> None:
        self.screen.scene("Over budget: the sandbox has a quarter of a cent a day, a look costs a fifth")
        await self.deed(self.new("git_status", account=SANDBOX), State.SUCCEEDED)
        await self.deed(self.new("git_status", account=SANDBOX), State.DENIED)

    async def agreed(self) -> None:
        self.screen.scene("A human has to agree")
        asked = await self.ask(self.new("git_create_branch", {"branch_name": "release-7"}))
        self.screen.request(APPROVER.subject, asked)
        await self.vote(asked, "release 7 is due")
        await self.ends(asked.intent_id, State.SUCCEEDED, len(asked.timeline))
        self.screen.lines(self.at.git("branch", "--list"))

    async def changed(self) -> None:
        self.screen.scene("The arguments change after the approval: consent is to one action, not to an agent")
        one = await self.ask(self.new("git_create_branch", {"branch_name": "hotfix-1"}))
        self.screen.request(APPROVER.subject, one)
        await self.vote(one, "the hotfix is needed")
        await self.ends(one.intent_id, State.SUCCEEDED, len(one.timeline))
        self.screen.say("The agent swaps the arguments for others and presents the consent to the first ones:")
        two = await self.ask(self.new("git_create_branch", {"branch_name": "backdoor"}))
        assert one.approval is not None
        await self.approver.approve(two.intent_id, one.approval.action_digest, "looks good")

        def refused(deed: Deed) -> bool:
            return any(entry.code == "DIGEST_MISMATCH" for entry in deed.timeline)

        seen = await self.follow(two.intent_id, len(two.timeline), refused)
        await self.vote(two, "nobody asked for a backdoor", approve=False)
        await self.ends(two.intent_id, State.DENIED, len(seen.timeline))

    async def switched_off(self) -> None:
        self.screen.scene("The kill switch: what has not started does not start, whoever has agreed to it")
        asked = await self.ask(self.new("git_create_branch", {"branch_name": "release-8"}))
        confirmed = await self.operator.switch(SWITCHED, True)
        self.screen.say(f"{OPERATOR.subject} stops {SWITCHED}. Confirmed by {confirmed}")
        await self.vote(asked, "release 8 is due")
        await self.ends(asked.intent_id, State.DENIED, len(asked.timeline))
        await self.deed(self.new("git_create_branch", {"branch_name": "release-9"}), State.BLOCKED)
        confirmed = await self.operator.switch(SWITCHED, False)
        self.screen.say(f"{OPERATOR.subject} lets it go on. Confirmed by {confirmed}")

    async def forged(self) -> None:
        self.screen.scene("A forged token: somebody else's signature under the agent's name")
        stranger = self.at.system.folder.root / "stranger"
        devkeys.ensure(stranger)
        proposal = self.new("git_commit", {"message": "Pay me"})
        self.screen.proposal("somebody", proposal.tool, proposal.arguments)
        async with Client(connection(self.at.system, AGENT, stranger)) as thief:
            try:
                await thief.submit(proposal)
            except Unauthenticated as error:
                self.screen.refused(error)
            else:
                raise StackError("a forged token was believed")

    async def killed(self) -> None:
        """The hook of the repository keeps the answer back after the commit: that is when the worker dies."""
        self.screen.scene("A worker is killed (-9) while its call is under way")
        (self.at.repository / "refund.txt").write_text("Refund 4711\n")
        await self.deed(self.new("git_add", {"files": ["refund.txt"]}), State.SUCCEEDED)
        self.at.slow_hook(True)
        proposal = self.new("git_commit", {"message": "Refund invoice 4711"})
        submitted = await self.propose(proposal)
        watching = asyncio.create_task(self.follow(submitted))
        name, pid = await self.at.caller()
        os.kill(pid, signal.SIGKILL)
        self.screen.say(f"kill -9 {pid}: {name} is dead; git has the commit, nobody has the answer")
        doubt = await watching
        self.at.slow_hook(False)
        if doubt.state == State.IN_DOUBT:
            await self.resolve(doubt)
        self.screen.say("The agent has heard nothing and proposes the same again:")
        await self.repeat(proposal)

    async def resolve(self, doubt: Deed) -> None:
        """Nobody calls again by itself. Somebody with the role looks, and says what is true."""
        role = doubt.waiting.owner_role if doubt.waiting else ""
        self.screen.say(f"Nothing is called again by itself; {money(doubt.reserved_micros)} stay held.")
        self.screen.say(f"It waits for a {role}: {RESOLVER.subject} asks git.")
        log = self.at.git("log", "-1", "--format=%H %s")
        self.screen.lines(log)
        applied = "Refund invoice 4711" in log
        await self.resolver.resolve(doubt.intent_id, applied, f"git log: {log}", "looked it up in git")
        _expect(await self.follow(doubt.intent_id, len(doubt.timeline), lambda deed: deed.ended), State.SUCCEEDED)

    async def repeat(self, done: Intent) -> None:
        """The same intent again is the same intent: no second effect."""
        first, again = await self.agent.submit(done), await self.propose(done)
        count = self.at.git("log", "--format=%s").splitlines().count(done.arguments["message"])
        same = again.intent_id == first.intent_id
        self.screen.say(f"the same id ({'yes' if same else 'no'}), and git has {count} such commit")
        if not same or count != 1:
            raise StackError("an intent had two effects, or two ids")

    # -- what the scenes are made of

    def new(self, tool: str, arguments: dict[str, Any] | None = None, **more: Any) -> Intent:
        """An intent under a key of its own."""
        self._keys += 1
        return intent(f"demo-{self._keys}", tool, {"repo_path": str(self.at.repository), **(arguments or {})}, **more)

    async def propose(self, proposal: Intent) -> Submitted:
        """Show it and submit it."""
        self.screen.proposal(AGENT.subject, proposal.tool, proposal.arguments)
        return await self.agent.submit(proposal)

    async def deed(self, proposal: Intent, wanted: State) -> None:
        """Propose, show what is decided, and expect this end."""
        await self.ends(await self.propose(proposal), wanted)

    async def ends(self, what: Submitted | str, wanted: State, seen: int = 0) -> None:
        """Show what is decided after these entries, and expect this end."""
        _expect(await self.follow(what, seen), wanted)

    async def ask(self, proposal: Intent) -> Deed:
        """Propose what people must agree to, up to the question."""
        submitted = await self.propose(proposal)
        asked = await self.follow(submitted, until=lambda deed: deed.ended or deed.waits_for_human)
        _expect(asked, State.AWAITING_APPROVAL)
        return asked

    async def vote(self, asked: Deed, reason: str, approve: bool = True) -> None:
        """A vote counts for the action that was shown, and for nothing else."""
        assert asked.approval is not None
        say = self.approver.approve if approve else self.approver.deny
        await say(asked.intent_id, asked.approval.action_digest, reason)

    async def follow(self, what: Submitted | str, seen: int = 0, until: Callable[[Deed], bool] = _is_settled) -> Deed:
        """Show what is decided after these entries until this holds; gives the deed as it is then."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.screen.follow(self.agent.watch(what), seen, until)


def _expect(deed: Deed, wanted: State) -> None:
    if deed.state is not wanted:
        raise StackError(f"it ended as {deed.state} and not as {wanted}: {deed.code} {deed.reason}")
