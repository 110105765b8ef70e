"""The client of Deedbook for Python programs: propose, watch, wait, decide.

What it answers is in `results.py`, what it raises in `errors.py`; `sync.py` has the same for scripts without asyncio.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self, cast

import jwt

from libs.client.calling import Caller, NotOpen
from libs.client.checking import check, check_size
from libs.client.connection import Connection, connect
from libs.client.errors import InvalidRequest, Misconfigured, NotFound, TimedOut, Unauthenticated, Unavailable
from libs.client.intents import Intent, micros, to_event, to_record, to_wire
from libs.client.reading import read_deed
from libs.client.results import Deed, Submitted
from libs.client.retrying import again, check_may_be_retried
from libs.client.settings import ClientSettings
from libs.client.submissions import UNHEARD, is_accepted, until_accepted
from libs.contracts.proto.deedbook.approval.v1 import approval_pb2 as approval
from libs.contracts.proto.deedbook.approval.v1 import approval_pb2_grpc as approval_rpc
from libs.contracts.proto.deedbook.commands.v1 import commands_pb2 as commands
from libs.contracts.proto.deedbook.commands.v1 import commands_pb2_grpc as commands_rpc
from libs.contracts.proto.deedbook.intake.v1 import intake_pb2 as intake
from libs.contracts.proto.deedbook.intake.v1 import intake_pb2_grpc as intake_rpc
from libs.contracts.proto.deedbook.status.v1 import status_pb2 as status
from libs.contracts.proto.deedbook.status.v1 import status_pb2_grpc as status_rpc
from libs.governance.digests import content_digest, read_object
from libs.governance.identity import intent_id, submission_id
from libs.runtime.logs import traceable
from libs.runtime.requests import show_id
from libs.runtime.settings import KafkaSettings, SettingsError, load

if TYPE_CHECKING:
    from libs.client.publishing import IntentLog

WAIT_S = 60.0
INTENTS = "intents"


class Client:
    """Speaks for the one whose token it has.

    `connection`: where to call and with which token; by default what the variables DEED_* say or, without any, the
    local system that `deed up` started. `kafka`: publish intents there instead of by gRPC; by default when
    DEED_KAFKA_BOOTSTRAP is set and no connection is given. Every method raises a `DeedbookError`.

    >>> import asyncio
    >>> from deedbook import Client, Intent
    >>> async def main() -> None:
    ...     async with Client() as client:
    ...         intent = Intent(tool="builtin/journal", capability="builtin.journal", arguments={"line": "paid"})
    ...         submitted = await client.submit(intent)
    ...         async for deed in client.watch(submitted):
    ...             last = deed
    ...         print(last.state, last.cost_micros, [ref.type for ref in last.refs])
    >>> asyncio.run(main())
    SUCCEEDED 1000 ['journal_line']
    """

    def __init__(self, connection: Connection | None = None, kafka: KafkaSettings | None = None) -> None:
        try:
            self._connection = connection or connect()
            if connection is None and kafka is None and load(ClientSettings).kafka_bootstrap:
                kafka = load(KafkaSettings)
        except SettingsError as error:
            raise Misconfigured(str(error)) from None
        self._log = _log(kafka) if kafka else None
        self._caller = Caller(self._connection)
        self._closing = AsyncExitStack()
        self._close()

    async def __aenter__(self) -> Self:
        gateway = await self._closing.enter_async_context(self._connection.open(self._connection.gateway))
        questions = await self._closing.enter_async_context(self._connection.open(self._connection.status))
        self._intake = intake_rpc.IntakeServiceStub(gateway)
        self._approval = approval_rpc.ApprovalServiceStub(gateway)
        self._commands = commands_rpc.CommandsServiceStub(gateway)
        self._status = status_rpc.StatusServiceStub(questions)
        if self._log:
            self._closing.push_async_callback(self._log.close)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._close()
        await self._closing.aclose()

    def _close(self) -> None:
        """Whoever calls from here on is told so."""
        self._intake = self._approval = self._commands = self._status = cast(Any, NotOpen())

    # -- proposing

    async def submit(self, intent: Intent) -> Submitted:
        """Propose an action. The answer means that it is durable, not that it is allowed: `wait` says what becomes of
        it. Submitting the same intent again is harmless and gives the same id. Raises InvalidRequest for what can never
        be accepted; what its token may not do, or its tool does not take, is said at once over gRPC, and on Kafka by
        `wait` (SubmissionRejected). After Unavailable or TimedOut submit the same intent again."""
        if not intent.trace_parent:
            intent = replace(intent, trace_parent=traceable(""))
        sent_at = datetime.now(UTC)
        if self._log:
            return await self._publish(self._log, intent, sent_at)
        event = to_event(intent)
        request = intake.SubmitRequest(intent=to_wire(event))
        check(event, micros(sent_at, "sent_at"))
        said = await self._caller.until_answered(self._intake.Submit, request, event.trace_parent)
        return Submitted(
            intent_id=said.intent_id,
            submission_id=said.submission_id,
            topic=said.topic,
            partition=said.partition,
            offset=said.offset,
            intent=intent,
            sent_at=sent_at,
            content_digest=said.content_digest,
        )

    async def retry(self, before: Submitted, intent: Intent | None = None) -> Submitted:
        """Try again what has definitely failed: the same intent, or a corrected one, under a new key and with the old
        one named in it. The key is made of the old id, so retrying twice makes one new intent at most as long as its
        content stays the same (one that has expired gets a new expiry, the same for about an hour). Raises
        InvalidRequest (ALREADY_DONE, IN_DOUBT, NOT_ENDED) for what happened, may have happened or may still happen."""
        check_may_be_retried(await self.get(before))
        return await self.submit(again(before.intent_id, intent or before.intent, datetime.now(UTC)))

    # -- asking

    async def get(self, what: Submitted | str) -> Deed:
        """The deed as it is now, with its timeline. `what`: an id, or what `submit` gave. Raises NotFound, also for a
        moment after it was submitted; SubmissionRejected when intake has refused it."""
        if isinstance(what, Submitted) and not await is_accepted(self._caller, self._status.GetSubmission, what):
            raise NotFound("Intake has not decided about the submission yet.")
        said = await self._caller.until_answered(self._status.Get, status.GetRequest(intent_id=_id(what)))
        return read_deed(said.intent)

    async def list(self, account: str = "", page_size: int = 50) -> AsyncGenerator[Deed, None]:
        """Deeds of an account (empty: of all accounts of the token, and those without one), newest first, without
        their timelines. Pages of 1 to 100 are fetched as they are needed."""
        request = status.ListRequest(account=account, page_size=page_size)
        while True:
            page = await self._caller.until_answered(self._status.List, request)
            for one in page.intents:
                yield read_deed(one)
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def watch(self, what: Submitted | str, after_version: int = 0) -> AsyncGenerator[Deed, None]:
        """The deed now and after each change, until it has ended. `what`: an id, or what `submit` gave: then it is also
        waited for until it is accepted. A broken stream is resumed from the last version. Raises SubmissionRejected
        when intake has refused it, Unavailable when nobody answers for a minute."""
        if isinstance(what, Submitted):
            await until_accepted(self._caller, self._status.GetSubmission, what)
        request = status.WatchRequest(intent_id=_id(what), after_version=after_version)
        patience = self._caller.patience()
        while True:
            try:
                async with aclosing(self._caller.stream(self._status.Watch, request)) as answers:
                    async for answer in answers:
                        patience.changed()
                        request.after_version = answer.intent.version
                        yield read_deed(answer.intent)
                return  # a stream ends well when the deed has ended
            except Unavailable as error:
                await patience.bear(error)
            found = await self._asked(request.intent_id)
            if found is not None:
                patience.answered()
                if found.version > request.after_version:
                    request.after_version = found.version
                    yield found
                if found.ended:
                    return

    async def _asked(self, intent_id: str) -> Deed | None:
        """The deed by a question; None: nobody answers. Tells a stream that was cut from a service that is away."""
        try:
            said = await self._caller.once(self._status.Get, status.GetRequest(intent_id=intent_id))
        except Unavailable:
            return None
        return read_deed(said.intent)

    async def wait(self, what: Submitted | str, limit_s: float = WAIT_S, until_human: bool = False) -> Deed:
        """The deed when it has ended, whatever its end (`succeeded_or_raise` tells success from the rest); with
        `until_human` also as soon as nothing happens before a person acts. Raises TimedOut after `limit_s` seconds,
        with the last that was seen, and what `watch` raises."""
        last: Deed | None = None
        try:
            async with asyncio.timeout(limit_s):
                async with aclosing(self.watch(what)) as deeds:
                    async for last in deeds:
                        if last.ended or (until_human and last.waits_for_human):
                            return last
        except TimeoutError:
            pass
        if last is None:
            raise TimedOut(f"After {limit_s:g} s nothing is known of it.", remedy=UNHEARD)
        waits = f" and waits for {last.waiting.what}" if last.waiting else ""
        raise TimedOut(f"After {limit_s:g} s it is {last.state.value}{waits}.", last)

    # -- deciding: `what` is an id, or what `submit` gave. The answer is the command's id; what it did is in the deed's
    # timeline

    async def cancel(self, what: Submitted | str, reason: str = "") -> str:
        """Stop a deed if its tool has not been called yet."""
        request = commands.CancelRequest(intent_id=_id(what), reason=reason)
        return (await self._caller.once(self._commands.Cancel, request)).command_id

    async def approve(self, what: Submitted | str, action_digest: str, reason: str = "") -> str:
        """Agree to exactly the action of this digest, as `deed.approval` showed it."""
        return await self._vote(approval.DECISION_APPROVE, what, action_digest, reason)

    async def deny(self, what: Submitted | str, action_digest: str, reason: str = "") -> str:
        """Refuse it."""
        return await self._vote(approval.DECISION_DENY, what, action_digest, reason)

    async def withdraw(self, what: Submitted | str, reason: str = "") -> str:
        """Take back an approval that has not been used."""
        request = approval.WithdrawRequest(intent_id=_id(what), reason=reason)
        return (await self._caller.once(self._approval.Withdraw, request)).command_id

    async def resolve(
        self, what: Submitted | str, applied: bool, evidence: str, reason: str, cost_micros: int | None = None
    ) -> str:
        """Say how a deed in doubt ended and how you know. `cost_micros` None = the registry's price if applied."""
        try:
            request = commands.ResolveRequest(
                intent_id=_id(what), applied=applied, evidence=evidence, reason=reason, cost_micros=cost_micros
            )
        except (TypeError, ValueError) as error:
            raise InvalidRequest(f"cost_micros: {error}", "COST_INVALID") from None
        return (await self._caller.once(self._commands.Resolve, request)).command_id

    async def unpark(self, what: Submitted | str, service: str, reason: str) -> str:
        """Let a parked intent go on in the service that parked it, after the cause was mended."""
        request = commands.UnparkRequest(intent_id=_id(what), service=service, reason=reason)
        return (await self._caller.once(self._commands.Unpark, request)).command_id

    async def _vote(self, decision: Any, what: Submitted | str, action_digest: str, reason: str) -> str:
        request = approval.VoteRequest(
            intent_id=_id(what), decision=decision, action_digest=action_digest, reason=reason
        )
        return (await self._caller.once(self._approval.Vote, request)).command_id

    async def _publish(self, log: IntentLog, intent: Intent, sent_at: datetime) -> Submitted:
        event = to_event(intent)
        value = to_record(event)
        check(event, micros(sent_at, "sent_at"))
        check_size(value)
        token = self._caller.token_for(INTENTS, value)
        claims = _claims(token)
        key = intent_id(claims["tenant"], intent.key)
        lane, offset = await log.publish(key, value, token)
        return Submitted(
            intent_id=show_id(key),
            submission_id=show_id(submission_id(INTENTS, lane, offset)),
            topic=INTENTS,
            partition=lane,
            offset=offset,
            intent=intent,
            sent_at=sent_at,
            content_digest=content_digest(event, read_object(event.arguments).text, claims["sub"]).hex(),
        )


def _log(settings: KafkaSettings) -> IntentLog:
    """Imported where it is used: most callers do without Kafka, and its client takes a while to load."""
    from libs.client.publishing import IntentLog

    return IntentLog(settings)


def _id(what: Submitted | str) -> str:
    return what.intent_id if isinstance(what, Submitted) else what


def _claims(token: str) -> dict[str, Any]:
    """What the token says, unverified: intake verifies it. It only decides under which id we look for the intent."""
    try:
        claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    except jwt.PyJWTError:
        claims = {}
    if not all(isinstance(claims.get(name), str) for name in ("tenant", "sub")):
        raise Unauthenticated("The token is no JWT that names a tenant and a subject.")
    return claims
