"""The SDK against a real system: what it proposes is carried out, what it asks is answered, what fails says why."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from deedbook import (
    Category,
    Client,
    Intent,
    InvalidRequest,
    Misconfigured,
    NotFound,
    NotSucceeded,
    PermissionDenied,
    State,
    SubmissionRejected,
    SyncClient,
    TimedOut,
    Unauthenticated,
    Unavailable,
)
from libs.governance.remedies import remedy
from libs.runtime.settings import KafkaSettings, load
from libs.stack.probe import is_ready
from libs.testkit.system import System
from tests.integration.client.conftest import APPROVER, GUARDED, Connect

pytestmark = [pytest.mark.integration, pytest.mark.requirement("L1")]
NOBODY = "00000000-0000-4000-8000-000000000000"


def journal(**more: Any) -> Intent:
    """An intent that writes one line to the journal of the built-in tools."""
    given: dict[str, Any] = {"tool": "builtin/journal", "capability": "builtin.journal", "account": "account-0"}
    return Intent(**(given | more))


def guarded(ms: Any = 0) -> Intent:
    """An intent that a person must agree to."""
    return Intent(tool=GUARDED, capability="builtin.sleep", account="account-0", arguments={"ms": ms})


@pytest.fixture(params=["grpc", "kafka"])
async def client(request: pytest.FixtureRequest, system: System, caller: Connect) -> AsyncIterator[Client]:
    """An agent's client, by each way of submitting."""
    kafka = system.kafka if request.param == "kafka" else None
    async with Client(caller(), kafka) as made:
        yield made


@pytest.fixture
async def human(caller: Connect) -> AsyncIterator[Client]:
    """Somebody who may agree."""
    async with Client(caller("ann", "HUMAN", (APPROVER,))) as made:
        yield made


async def test_a_deed_is_proposed_and_waited_for(client: Client) -> None:
    before = datetime.now(UTC)
    submitted = await client.submit(journal())
    deed = await client.wait(submitted)
    assert (deed.intent_id, deed.state, deed.cost_micros) == (submitted.intent_id, State.SUCCEEDED, 1_000)
    assert deed.succeeded_or_raise() is deed
    assert [entry.event for entry in deed.timeline][-1] == "OutcomeRecorded"
    assert deed.ended_at and before - timedelta(seconds=5) < deed.ended_at < datetime.now(UTC) + timedelta(seconds=5)
    assert (await client.get(submitted)).version == (await client.get(submitted.intent_id)).version


async def test_the_same_intent_is_one_deed_and_other_content_is_told_to_whom_sent_it(client: Client) -> None:
    intent = journal(arguments={"n": 1})
    first = await client.submit(intent)
    ended = await client.wait(first)
    again = await client.submit(intent)
    assert (again.intent_id, again.submission_id == first.submission_id) == (first.intent_id, False)
    assert (await client.wait(again)).ended_at == ended.ended_at
    other = await client.submit(replace(intent, arguments={"n": 2}))
    assert other.intent_id == first.intent_id
    for asked in (client.wait(other), client.get(other)):
        with pytest.raises(SubmissionRejected) as raised:
            await asked
        error = raised.value
        assert (error.code, error.category, error.remedy) == ("KEY_REUSED", Category.PERMANENT, remedy("KEY_REUSED"))
    assert (await client.get(first)).attempts == 1


async def test_a_watch_goes_on_after_status_was_away(system: System, caller: Connect, human: Client) -> None:
    async with Client(caller()) as client:
        submitted = await client.submit(guarded())
        states, versions, killed = [], [], False
        async for deed in client.watch(submitted):
            states.append(deed.state)
            versions.append(deed.version)
            if deed.waits_for_human and not killed:
                killed = True
                system.signal("status", signal.SIGKILL)
                system.respawn("status")
                assert deed.approval
                await human.approve(submitted.intent_id, deed.approval.action_digest, "fine")
    assert states[-1] is State.SUCCEEDED
    assert versions == sorted(set(versions))
    assert State.AWAITING_APPROVAL in states
    assert (await is_ready(system.running["status"].port))[0]


async def test_pages_are_followed(client: Client) -> None:
    submitted = [await client.submit(journal()) for _ in range(5)]
    made = {(await client.wait(one)).intent_id for one in submitted}
    found = [deed async for deed in client.list("account-0", page_size=2)]
    assert made <= {deed.intent_id for deed in found}
    times = [deed.created_at for deed in found if deed.created_at]
    assert times == sorted(times, reverse=True) and len(times) == len(found)
    with pytest.raises(PermissionDenied) as raised:
        await anext(client.list("another"))
    assert raised.value.code == "ACCOUNT_DENIED"


async def test_people_agree_refuse_and_call_off(client: Client, human: Client) -> None:
    ends = {}
    for name, decide in (("approve", human.approve), ("deny", human.deny), ("cancel", None)):
        submitted = await client.submit(guarded())
        waiting = await client.wait(submitted, until_human=True)
        assert waiting.state is State.AWAITING_APPROVAL and waiting.approval and waiting.waiting
        assert waiting.waiting.owner_role == APPROVER
        if decide:
            await decide(submitted.intent_id, waiting.approval.action_digest, "as asked")
        else:
            await client.cancel(submitted.intent_id, "as asked")
        ends[name] = await client.wait(submitted)
    assert {name: deed.state for name, deed in ends.items()} == {
        "approve": State.SUCCEEDED, "deny": State.DENIED, "cancel": State.CANCELLED,
    }  # fmt: skip
    assert (ends["deny"].code, ends["deny"].remedy) == ("DENIED", remedy("DENIED"))
    with pytest.raises(NotSucceeded) as raised:
        ends["deny"].succeeded_or_raise()
    assert (raised.value.code, raised.value.category, raised.value.deed) == ("DENIED", Category.POLICY, ends["deny"])


async def test_commands_that_do_nothing_are_answered_in_the_timeline(client: Client, human: Client) -> None:
    submitted = await client.submit(guarded())
    waiting = await client.wait(submitted, until_human=True)
    intent_id = waiting.intent_id
    assert waiting.approval
    await human.approve(intent_id, waiting.approval.action_digest)
    await client.wait(submitted)
    given = {
        await human.withdraw(intent_id, "changed my mind"),
        await human.resolve(intent_id, True, "looked", "looked", 5),
        await human.unpark(intent_id, "validation", "mended"),
        await human.cancel(intent_id),
        await human.deny(intent_id, "0" * 64, "no"),
    }
    assert len(given) == 5
    codes: set[str] = set()
    async with asyncio.timeout(20):
        while codes != {"ALREADY_ENDED", "ROLE_MISSING", "NOT_PARKED"}:
            deed = await client.get(submitted)
            codes = {entry.code for entry in deed.timeline if entry.event == "CommandRejected"}
            await asyncio.sleep(0.05)
    assert deed.state is State.SUCCEEDED


async def test_what_failed_is_tried_again_under_a_new_key(client: Client, human: Client) -> None:
    first = await client.submit(guarded("no number"))
    waiting = await client.wait(first, until_human=True)
    assert waiting.approval
    await human.approve(first.intent_id, waiting.approval.action_digest)
    failed = await client.wait(first)
    assert (failed.state, failed.code) == (State.FAILED, "BAD_ARGUMENTS")
    again = await client.retry(first, replace(first.intent, arguments={"ms": 1}))
    twice = await client.retry(first, replace(first.intent, arguments={"ms": 1}))
    assert first.intent_id != again.intent_id == twice.intent_id
    assert again.intent.retry_of == first.intent_id
    waiting = await client.wait(again, until_human=True)
    assert waiting.approval
    await human.approve(again.intent_id, waiting.approval.action_digest)
    assert (await client.wait(again)).state is State.SUCCEEDED


async def test_what_happened_or_may_still_happen_is_not_tried_again(client: Client) -> None:
    done = await client.submit(journal())
    await client.wait(done)
    waits = await client.submit(guarded())
    await client.wait(waits, until_human=True)
    for before, code in ((done, "ALREADY_DONE"), (waits, "NOT_ENDED")):
        with pytest.raises(InvalidRequest) as raised:
            await client.retry(before)
        assert raised.value.code == code
    await client.cancel(waits)
    assert (await client.wait(waits)).state is State.CANCELLED


async def test_what_is_not_there_or_not_allowed_is_said(system: System, caller: Connect) -> None:
    async with Client(caller()) as client:
        for question in (client.get(NOBODY), client.wait(NOBODY)):
            with pytest.raises(NotFound):
                await question
        with pytest.raises(InvalidRequest, match="intent_id is no UUID"):
            await client.get("nonsense")
        with pytest.raises(PermissionDenied):
            await client.submit(journal(account="another"))
        with pytest.raises(InvalidRequest) as raised:
            await client.submit(journal(expires_at=datetime(2020, 1, 1, tzinfo=UTC)))
        assert (raised.value.code, "ask what became of it" in raised.value.remedy) == ("EXPIRED", True)
        waiting = await client.submit(guarded())
        with pytest.raises(TimedOut, match="AWAITING_APPROVAL and waits for approval by people") as late:
            await client.wait(waiting, limit_s=1)
        assert late.value.deed and late.value.deed.state is State.AWAITING_APPROVAL
        await client.cancel(waiting.intent_id)
    async with Client(replace(caller(), token=lambda *_: "forged")) as stranger:
        with pytest.raises(Unauthenticated):
            await stranger.get(NOBODY)


async def test_a_forged_token_on_kafka_is_answered_by_the_limit_of_time(
    system: System, caller: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine = caller()
    forged = genuine.token("intents", b"")[:-8] + "AAAAAAAA"
    async with Client(replace(genuine, token=lambda *_: forged), system.kafka) as stranger:
        submitted = await stranger.submit(journal())
    async with Client(genuine) as client:
        with pytest.raises(TimedOut, match="deed dead list"):
            await client.wait(submitted, limit_s=2)


async def test_servers_that_are_away_are_said(system: System, caller: Connect) -> None:
    nowhere = replace(caller(), gateway="127.0.0.1:9", status="127.0.0.1:9", timeout_s=0.5)
    async with Client(nowhere) as client:
        for question in (client.submit(journal()), client.get(NOBODY)):
            with pytest.raises(Unavailable):
                await question
    away = load(KafkaSettings, kafka_bootstrap="127.0.0.1:9", kafka_timeout_ms=500)
    async with Client(caller(), away) as client:
        with pytest.raises(Unavailable, match="DEED_KAFKA_BOOTSTRAP"):
            await client.submit(journal())
    with pytest.raises(Misconfigured, match="DEED_GATEWAY"):
        Client()


def test_scripts_wait_for_each_answer(system: System, caller: Connect) -> None:
    with SyncClient(caller()) as client:
        submitted = client.submit(journal())
        states = [deed.state for deed in client.watch(submitted)]
        assert states[-1] is State.SUCCEEDED
        assert next(iter(client.list())).intent_id
        with pytest.raises(NotFound):
            client.get(NOBODY)
