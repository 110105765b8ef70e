"""Every ending of the flow through real processes, as one table: what was submitted, what people said, how it ended."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from typing import Any

import psutil
import pytest

from libs.contracts.events import (
    ApprovalRequested,
    ApprovalVote,
    BudgetReserved,
    Cancel,
    DataSource,
    ErrorMeaning,
    ExecutionDispatched,
    ExecutionInDoubt,
    OutcomeAmended,
    OutcomeRecorded,
    Resolve,
    SubmissionRejected,
    Vote,
    WithdrawApproval,
)
from libs.contracts.proto.deedbook.status.v1 import status_pb2
from libs.governance.identity import submission_id
from libs.ledger.codec import CATALOGUE
from libs.runtime.requests import show_id
from libs.stack.folders import home
from libs.stack.scratch import scratch
from libs.testkit import seeding
from tests.endings.stage import (
    KILLED,
    POOR,
    PULSE_MS,
    SECOND,
    TENANT,
    WATCHED,
    Play,
    Stage,
    build_stage,
    other_definition,
    register,
    stopped,
)
from tests.endings.table import TABLE, became, money_shown, story
from tests.faults.building import PRICE_MICROS, tear_down
from tests.faults.front import front
from tests.faults.rig import until
from tests.faults.shared import in_thread, one_more
from tests.faults.witness import Call

HOLD_MS = 9_000
pytestmark = [
    pytest.mark.integration,
    pytest.mark.requirement("B4"),
    pytest.mark.requirement("C2"),
    pytest.mark.requirement("C4"),
    pytest.mark.requirement("D1"),
    pytest.mark.requirement("E1"),
    pytest.mark.requirement("E2"),
    pytest.mark.requirement("F5"),
    pytest.mark.requirement("G1"),
    pytest.mark.requirement("G4"),
    pytest.mark.requirement("G5"),
    pytest.mark.requirement("H1"),
]


@pytest.fixture(params=["colocated", "separate"])
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    with scratch(home() / "tests") as root:
        made = in_thread(build_stage(root / "stage", request.param))
        try:
            yield made
        finally:
            in_thread(tear_down(made.rig))


@pytest.fixture
async def play(stage: Stage) -> AsyncIterator[Play]:
    async with front(stage.rig.system, TENANT) as agent, stage.rig.witness.at_hand():
        yield Play(stage, agent)


async def test_every_intent_ends_as_the_table_says(play: Play) -> None:
    await asyncio.gather(_people(play), _gate(play), _tries(play), _doubts(play))
    await _bad_submissions(play)
    await _ready(play)
    await _contradiction(play)
    await play.rig.prove()
    shown = {name: await play.agent.get(key) for name, key in play.ids.items()}
    facts = {name: story(play.rig.witness, key) for name, key in play.ids.items()}
    assert {name: became(facts[name], shown[name], TABLE[name]) for name in facts} == TABLE
    assert {name: money_shown(one) for name, one in shown.items()} == {name: row.money for name, row in TABLE.items()}


async def _people(play: Play) -> None:
    """What validators, people and budgets decide, and what simply works."""
    now_at, asked = seeding.now_at(), {"tool": "builtin/journal"}
    await play.submit(
        {
            "blocked": {"tool": "builtin/sleep", "data_sources": (DataSource("crm", now_at - 3_600 * SECOND),)},
            "no budget": {"tool": "builtin/sleep", "account": POOR},
            "success": {"tool": "builtin/sleep"},
            "definite failure": {"tool": "builtin/sleep", "arguments": '{"ms":"soon"}'},
            "consent refused": {**asked},
            "consent late": {**asked, "expires_at": now_at + 8 * SECOND},
            "consent cancelled": {**asked},
            "no budget, though agreed": {**asked, "account": POOR},
            "success, agreed": {**asked},
        }
    )
    await asyncio.gather(
        _vote(play, "consent refused", Vote.DENY),
        _vote(play, "no budget, though agreed"),
        _vote(play, "success, agreed"),
        _cancel(play, "consent cancelled", ApprovalRequested),
    )
    await play.ended("blocked", "no budget", "success", "definite failure", "consent late", "consent refused")
    await play.ended("consent cancelled", "no budget, though agreed", "success, agreed")


async def _gate(play: Play) -> None:
    """Dispatched, and stopped while the tool's server is not ready yet: provably not sent."""
    await play.submit(
        {
            "gate, cancelled": {"tool": "slow/apply"},
            "gate, killed": {"tool": "slow/apply", "account": WATCHED},
            "gate, expired": {"tool": "slow/apply", "expires_at": seeding.now_at() + 7 * SECOND},
            "gate, withdrawn": {"tool": "slow/look"},
            "gate, tool changed": {"tool": "tardy/apply"},
        }
    )
    await asyncio.gather(
        _cancel(play, "gate, cancelled", ExecutionDispatched),
        _then(play, "gate, killed", ExecutionDispatched, stopped(WATCHED)),
        _withdraw(play, "gate, withdrawn", ExecutionDispatched),
        _then(play, "gate, tool changed", ExecutionDispatched, register("tardy/apply", play.stage.offered["apply"])),
    )
    await play.ended("gate, cancelled", "gate, killed", "gate, expired", "gate, withdrawn", "gate, tool changed")
    assert not any(_calls(play, name) for name in play.ids if name.startswith("gate, "))
    await play.submit({"blocked, switched off": {"tool": "builtin/sleep", "account": WATCHED}})
    await play.ended("blocked, switched off")


async def _tries(play: Play) -> None:
    """A tool that only reads is called again: its server is killed in mid-call, then dies by itself each time."""
    await play.submit({"another try": {"tool": "reader/apply", "arguments": '{"delay_before_ms":1500}'}})
    (first,) = await until(lambda: _calls(play, "another try"), "the reader was not called")
    psutil.Process(first.server).kill()
    await play.ended("another try")
    await play.submit({"no more tries": {"tool": "reader/apply", "arguments": '{"mode":"lose"}'}})
    await play.ended("no more tries")


async def _doubts(play: Play) -> None:
    """An answer that breaks the contract, and none at all: the money is held until somebody has found out."""
    for name, mode in {"doubt, applied": "no_refs", "doubt, not applied": "lose"}.items():  # they share a server
        await play.submit({name: {"tool": "frail/apply", "arguments": f'{{"mode":"{mode}"}}'}})
        await _in_doubt(play, name)
        await _resolve(play, name, applied=name == "doubt, applied")
    await play.ended("doubt, applied", "doubt, not applied")


async def _ready(play: Play) -> None:
    """Everything is there, but the one place is taken by a long call; meanwhile the world changes."""
    holder: dict[str, Any] = {"tool": "builtin/sleep", "arguments": f'{{"ms":{HOLD_MS}}}'}
    await play.submit({"holder": holder})
    await play.seen("holder", ExecutionDispatched)
    now_at, look = seeding.now_at(), {"tool": "frail/look"}
    await play.submit(
        {
            "ready, cancelled": {**look},
            "ready, killed": {**look, "account": KILLED},
            "ready, expired": {**look, "expires_at": now_at + 6 * SECOND},
            "ready, stale": {"tool": "builtin/sleep", "data_sources": (DataSource("pulse", now_at),)},
            "ready, tool changed": {**look},
            "ready, price changed": {"tool": "frail/apply"},
            "ready, withdrawn": {"tool": "builtin/journal"},
        }
    )
    await asyncio.gather(
        _cancel(play, "ready, cancelled", BudgetReserved),
        _then(play, "ready, killed", BudgetReserved, stopped(KILLED)),
        _withdraw(play, "ready, withdrawn", BudgetReserved),
        *(play.seen(f"ready, {name}", BudgetReserved) for name in ("stale", "tool changed", "price changed")),
    )
    changed = register("frail/look", other_definition())
    dearer = register("frail/apply", play.stage.offered["apply"], price_micros=PRICE_MICROS + 1)
    await play.rig.system.seed([changed, dearer])
    held = [name for name in play.ids if name.startswith("ready, ")]
    await play.ended(*held, "holder")
    assert PULSE_MS < HOLD_MS
    del play.ids["holder"]


async def _contradiction(play: Play) -> None:
    """Whoever called the tool stands still with its refusal in memory; others take over and are told that it happened;
    then it wakes up."""
    rig = play.rig
    name = "w1" if rig.system.plan.shape == "colocated" else "execution"
    means = {"is_error_means": ErrorMeaning.FAILED}
    await rig.system.seed([register("frail/apply", play.stage.offered["apply"], **means)])
    rig.system.signal(name, signal.SIGTERM)
    assert await rig.died(name) == 0
    rig.system.respawn(name, DEED_FAILPOINT="after-effect:1:stop")
    await rig.owns(name, rig.system.plan.lanes)
    await play.submit({"resolution contradicted": {"tool": "frail/apply", "arguments": '{"mode":"error"}'}})
    await rig.stopped(name)
    other = one_more(rig)
    rig.system.spawn(other)
    await _in_doubt(play, "resolution contradicted")
    await _resolve(play, "resolution contradicted", applied=True)
    await play.ended("resolution contradicted")
    rig.system.signal(name, signal.SIGCONT)
    await play.seen("resolution contradicted", OutcomeAmended, ended=True)


async def _bad_submissions(play: Play) -> None:
    """They have a rejection of their own and nothing else; the intent of the key stays as it is."""
    rig, key = play.rig, play.ids["success"]
    good = {"authorization": f"Bearer {rig.system.token(tenant=TENANT)}"}
    other = CATALOGUE.encode_message(seeding.intent("success", "builtin/sleep", arguments='{"ms":51}'))
    lane = next(n for (_, n), facts in rig.witness.facts.items() for f in facts if f.envelope.intent_id == key)
    sent = {
        "AUTH_INVALID": await rig.publish("intents", lane, other, authorization="Bearer no.such.token"),
        "TRUNCATED": await rig.publish("intents", lane, other[:-9], **good),
        "KEY_REUSED": await rig.publish("intents", lane, other, **good),
    }
    for code, offset in sent.items():
        named = submission_id("intents", lane, offset)
        play.ids[code] = named
        body = await play.seen(code, SubmissionRejected)
        assert (body.code, len(story(rig.witness, named))) == (code, 1)
        told = await play.agent.submission(show_id(named))
        assert (told.code if told else "") == ("" if code == "AUTH_INVALID" else code)
        del play.ids[code]


# -- what people do


async def _vote(play: Play, name: str, vote: Vote = Vote.APPROVE) -> None:
    asked = await play.seen(name, ApprovalRequested)
    await play.say(ApprovalVote, name, vote=vote, action_digest=asked.action_digest)


async def _cancel(play: Play, name: str, after: type[Any]) -> None:
    await play.seen(name, after)
    await play.say(Cancel, name)


async def _withdraw(play: Play, name: str, after: type[Any]) -> None:
    await _vote(play, name)
    await play.seen(name, after)
    await play.say(WithdrawApproval, name)


async def _then(play: Play, name: str, after: type[Any], command: Any) -> None:
    """Control changes something as soon as the intent is so far."""
    await play.seen(name, after)
    await play.rig.system.seed([command])


async def _in_doubt(play: Play, name: str) -> None:
    """Status says so, the money is held, and there is no outcome."""
    await play.seen(name, ExecutionInDoubt)
    shown = await until(lambda: _shown_in_doubt(play, name), f"{name}: status does not say that it is in doubt")
    assert (shown.reserved_micros, shown.waiting.owner_role) == (PRICE_MICROS, "resolver")
    assert not any(isinstance(fact.body, OutcomeRecorded) for fact in story(play.rig.witness, play.ids[name]))


def _calls(play: Play, name: str) -> list[Call]:
    return [call for call in play.rig.calls() if call.key == play.ids[name]]


async def _shown_in_doubt(play: Play, name: str) -> status_pb2.Intent | None:
    shown = await play.agent.get(play.ids[name])
    return shown if shown.state == status_pb2.STATE_IN_DOUBT else None


async def _resolve(play: Play, name: str, applied: bool) -> None:
    """That nothing happened is believed only when what was sent can no longer arrive."""
    doubt = await play.seen(name, ExecutionInDoubt)
    await until(
        lambda: applied or seeding.now_at() > doubt.quiet_until_at + SECOND // 2, "the quiet period is too long"
    )
    await play.say(Resolve, name, applied=applied, evidence="the tool's own log")
