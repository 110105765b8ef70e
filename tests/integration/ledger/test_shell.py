"""Rules 17 and 20 in the shell: the last look before the first byte, and results that come too late; and when a
process ends itself."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import msgspec
import pytest

from libs.contracts.events import AnswerStatus, FailureCategory, LateResult, ToolAnswer
from libs.ledger.codec import CATALOGUE
from libs.ledger.lane import Phase
from libs.ledger.outside import Outside
from libs.ledger.producing import Appender
from libs.ledger.protocol import Action, Alarm, Call, Finished, LateSent, SendLate, Survey
from libs.ledger.reading import Checker, Follower
from libs.ledger.records import decode_fact, encode_late
from libs.ledger.service import Due, DueKind, Effect, Result
from libs.ledger.shell import Shell
from libs.ledger.watchdog import STUCK_MS
from libs.ledger.worker import Functions, Limits, Worker
from libs.runtime.clock import boottime_ms
from libs.runtime.logs import logger, trace_id
from libs.runtime.telemetry import Metrics
from libs.stack.topics import create_topics
from libs.testkit.lines import logged
from tests.integration.ledger.given import ALPHA, LOG_LANES, Log, Owner, hosted, log_settings
from tests.servers import Servers

pytestmark = [pytest.mark.integration]
LANE, CLAIM = 1, 5
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ANSWER = ToolAnswer(
    status=AnswerStatus.SUCCEEDED, started_at=5, duration_ms=9, code="", category=FailureCategory.TRANSIENT, reason=""
)


def late() -> Result:
    """A result that nobody else has."""
    return Result(secrets.token_bytes(16), 2, ANSWER)


class Looking:
    """A tool that takes its time until the first byte, and looks before it."""

    def __init__(self) -> None:
        self.called, self.go_on = asyncio.Event(), asyncio.Event()

    async def connect(self, effects: Sequence[Effect]) -> tuple[list[Effect], list[tuple[Effect, ToolAnswer]]]:
        return list(effects), []

    async def call(self, effect: Effect, guard: Callable[[], bool]) -> ToolAnswer:
        self.called.set()
        await self.go_on.wait()
        if guard():
            return ANSWER
        return msgspec.structs.replace(ANSWER, status=AnswerStatus.NOT_SENT, code="NOT_OWNER")


class Raising(Looking):
    """An adapter that says what it does, and breaks."""

    async def call(self, effect: Effect, guard: Callable[[], bool]) -> ToolAnswer:
        logger(__name__).info("calling")
        raise RuntimeError("broken")


Made = Callable[..., Shell]


@pytest.fixture
async def shell(rows: str) -> AsyncIterator[Made]:
    """Makes loops of a worker whose log is at `bootstrap`; they own nothing."""
    made: list[Shell] = []

    def make(bootstrap: str, timeout_ms: int = 10_000, tools: Any = None, dsn: str = rows) -> Shell:
        settings, services, owner = log_settings(bootstrap, timeout_ms), hosted(ALPHA), Owner(dsn)
        functions = Functions(
            decode=decode_fact,
            decode_unpark=lambda _: None,
            owned={},
            stopped_by=lambda view, _: "KILLED" * (view == "killed"),
        )
        worker = Worker(services, Limits(lanes=2), functions, owner.token)
        outside = Outside(Metrics(), tools, lambda result: encode_late(result, 77))
        follower = Follower(settings, "shell", worker.paused)
        checker = Checker(settings, "shell", services, owner.store.kept)
        made.append(Shell(worker, owner.store, Appender(settings, "shell"), follower, checker, outside))
        return made[-1]

    yield make
    for one in made:
        await one.appender.close()
        await one.store.close()


def carry_out(one: Shell, action: Action, monkeypatch: pytest.MonkeyPatch) -> asyncio.Future[Any]:
    """The answer that will come."""
    came: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    monkeypatch.setattr(one, "post", came.set_result)
    one._perform([action])
    return came


@pytest.mark.rule(17)
@pytest.mark.parametrize("what", ["ours", "run out", "claimed again", "lost", "stale", "killed"])
async def test_lease_and_switches_are_looked_at_when_the_first_byte_is_about_to_leave(
    shell: Made, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    tool = Looking()
    one = shell("127.0.0.1:1", tools=tool)
    lane = one.worker.lanes[LANE]
    lane.phase, lane.claim, lane.lease_end_boot_ms = Phase.OPEN, CLAIM, boottime_ms() + 60_000
    one.worker.control, one.worker.control_confirmed_ms = "open", boottime_ms()
    effect = Effect(b"k" * 16, 1, "t", "s", "{}", "OPAQUE", 5_000, 1 << 60, "acme", "", "c")
    answer = carry_out(one, Call(LANE, CLAIM, effect), monkeypatch)
    await tool.called.wait()
    match what:
        case "run out":
            lane.lease_end_boot_ms = boottime_ms() + one.worker.limits.margin_ms - 1
        case "claimed again":
            lane.claim += 1
        case "lost":
            lane.phase = Phase.FREE
        case "stale":
            one.worker.control_confirmed_ms = boottime_ms() - one.worker.limits.control_stale_ms - 1
        case "killed":
            one.worker.control = "killed"
        case _:
            pass
    tool.go_on.set()
    finished = await asyncio.wait_for(answer, 5)
    assert isinstance(finished, Finished)
    wanted = AnswerStatus.SUCCEEDED if what == "ours" else AnswerStatus.NOT_SENT
    assert finished.result.answer.status is wanted


@pytest.mark.rule(20)
async def test_a_late_result_goes_to_the_commands_of_its_lane_for_whoever_owns_it(
    shell: Made, servers: Servers, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    await create_topics(servers.kafka_bootstrap, lanes=LOG_LANES)
    one, result = shell(servers.kafka_bootstrap), late()
    for _ in range(2):
        answer = await carry_out(one, SendLate(LANE, result), monkeypatch)
        assert answer == LateSent(LANE, result, True)
    first, second = [r for r in await log.read("commands", LANE) if r.key == result.key]
    assert first.value == second.value, "the same result is the same command"
    body = CATALOGUE.decode_message(first.value, "commands")
    assert isinstance(body, LateResult)
    assert (body.intent_id, body.attempt, body.answer) == (result.key, 2, ANSWER)


@pytest.mark.rule(20)
@pytest.mark.parametrize("broker", ["silent", "gone"])
async def test_a_late_result_that_cannot_be_sent_is_kept_and_ends_nothing(
    shell: Made, silent: str, monkeypatch: pytest.MonkeyPatch, broker: str
) -> None:
    ended: list[int] = []
    monkeypatch.setattr("os._exit", ended.append)
    one, result = shell(silent if broker == "silent" else "127.0.0.1:1", timeout_ms=300), late()
    with logged() as lines:
        answer = await asyncio.wait_for(carry_out(one, SendLate(LANE, result, TRACE), monkeypatch), 8)
    assert answer == LateSent(LANE, result, False)
    assert not ended
    assert [line["trace_id"] for line in lines if "late result" in line["event"]] == [trace_id(TRACE)]


@pytest.mark.requirement("K3")
async def test_what_is_said_about_one_intent_has_its_trace_id_and_what_follows_has_not(
    shell: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = shell("127.0.0.1:1", tools=Raising())
    effect = Effect(b"k" * 16, 1, "t", "s", "{}", "OPAQUE", 5_000, 1 << 60, "acme", "", "c", TRACE)
    handled = asyncio.Event()

    def handle_all(*_: Any) -> tuple[()]:
        logger(__name__).info("what was posted is handled")
        handled.set()
        return ()

    monkeypatch.setattr(one.worker, "handle_all", handle_all)
    with logged() as lines:
        one._perform([Alarm(LANE, "CODE", "parked", TRACE), Alarm(LANE, "CODE", "of the lane"), Call(LANE, 1, effect)])
        await asyncio.wait_for(handled.wait(), 5)
    found = [(line["event"], line.get("trace_id")) for line in lines]
    assert found == [
        ("parked", trace_id(TRACE)), ("of the lane", None), ("calling", trace_id(TRACE)),
        ("an adapter raised", trace_id(TRACE)), ("what was posted is handled", None),
    ]  # fmt: skip


@pytest.mark.requirement("X11")
@pytest.mark.parametrize("database", ["there", "gone"])
async def test_a_process_is_ended_when_it_does_nothing_though_its_database_answers(
    shell: Made, rows: str, monkeypatch: pytest.MonkeyPatch, database: str
) -> None:
    one = shell("127.0.0.1:1", dsn=rows if database == "there" else "postgresql://nobody@127.0.0.1:1/none")
    ended: list[int] = []
    monkeypatch.setattr("os._exit", ended.append)
    now = boottime_ms()
    one.worker.needs_control, lane = False, one.worker.lanes[LANE]
    lane.phase, lane.busy = Phase.OPEN, True  # in a round that does not end
    lane.push(one.worker.hosted.services[0], Due(b"k" * 16, DueKind.TIMER))
    while boottime_ms() + STUCK_MS * 2 > now and not ended:
        now += 2_000
        monkeypatch.setattr("libs.ledger.shell.boottime_ms", lambda now=now: now)
        found = await asyncio.wait_for(carry_out(one, Survey(), monkeypatch), 8)
        assert bool(found.error) == (database == "gone")
        one._watch()
    assert bool(ended) == (database == "there")
