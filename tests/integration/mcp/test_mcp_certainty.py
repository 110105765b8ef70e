"""What is certain after a call, whatever the server does (F3, F5, T16, T18, X6, X7)."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
from collections.abc import Callable

import msgspec
import psutil
import pytest

from libs.contracts.events import (
    AnswerStatus,
    EffectClass,
    ErrorMeaning,
    FailureCategory,
    KeyPlacement,
    ObjectRef,
    ToolAnswer,
)
from libs.testkit.tool_bench import Registered, ToolBench, effect, eventually
from libs.testkit.tool_double import effects, entries, unanswered
from services.execution.adapters.artifacts import ArtifactStore
from services.execution.adapters.keys import effect_key
from services.execution.ports import NotReady

pytestmark = pytest.mark.asyncio
Make = Callable[..., ToolBench]


@pytest.mark.requirement("F3")
@pytest.mark.requirement("F4")
async def test_a_success_names_what_was_changed_and_its_answer_is_kept(make: Make) -> None:
    bench = make()
    tool = await bench.tool(answer_cost_path="cost_micros")
    wanted = effect()
    answer = await bench.run(tool, wanted)
    assert answer.status is AnswerStatus.SUCCEEDED
    assert answer.code == ""
    assert [ref.type for ref in answer.object_refs] == ["effect"]
    assert answer.object_refs[0].id.startswith(wanted.key.hex())
    assert answer.cost_micros == 7
    raw = ArtifactStore(str(bench.artifacts)).get(answer.artifact)
    assert answer.response_digest == hashlib.sha256(raw).digest()
    assert answer.response_bytes == len(raw)
    assert b"external_object_refs" in raw
    assert b"jsonrpc" not in raw
    assert effects(bench.journal) == [wanted.key.hex()]


@pytest.mark.requirement("T18")
@pytest.mark.requirement("F6")
async def test_when_the_guard_refuses_nothing_is_written(make: Make) -> None:
    bench = make()
    tool = await bench.tool()
    refused = await bench.run(tool, effect(), lambda: False)
    assert (refused.status, refused.code) == (AnswerStatus.NOT_SENT, "NOT_OWNER")
    after = effect()
    assert (await bench.run(tool, after)).status is AnswerStatus.SUCCEEDED
    assert {key for _, key, _ in entries(bench.journal)} == {after.key.hex()}


async def test_the_guard_of_each_of_many_calls_at_once_is_its_own(make: Make) -> None:
    bench = make()
    tool = await bench.tool()
    calls = [(effect(), number % 3 > 0) for number in range(30)]
    answers = await asyncio.gather(*(bench.run(tool, wanted, lambda yes=yes: yes) for wanted, yes in calls))  # type: ignore[misc]
    assert [answer.status is AnswerStatus.SUCCEEDED for answer in answers] == [yes for _, yes in calls]
    assert sorted(effects(bench.journal)) == sorted(wanted.key.hex() for wanted, yes in calls if yes)


@pytest.mark.requirement("F3")
@pytest.mark.requirement("T16")
@pytest.mark.requirement("X6")
@pytest.mark.requirement("X7")
@pytest.mark.parametrize(
    ("mode", "code", "applied"),
    [
        ("drop", "CONNECTION_LOST", 1),
        ("hang", "TIMEOUT", 1),
        ("malformed", "ANSWER_MALFORMED", 1),
        ("huge", "ANSWER_TOO_LARGE", 1),
        ("drip", "TIMEOUT", 1),
        ("no_refs", "INVALID_TOOL_RESPONSE", 1),
        ("error", "TOOL_ERROR", 1),
    ],
)
async def test_without_a_usable_answer_a_write_is_in_doubt(make: Make, mode: str, code: str, applied: int) -> None:
    bench = make()
    wanted = effect(mode=mode, timeout_ms=700 if code == "TIMEOUT" else 10_000)
    answer = await bench.run(await bench.tool(), wanted)
    assert (answer.status, answer.code) == (AnswerStatus.AMBIGUOUS, code)
    assert effects(bench.journal).count(wanted.key.hex()) == applied


@pytest.mark.parametrize(
    ("mode", "category"),
    [("drop", FailureCategory.TRANSIENT), ("hang", FailureCategory.TRANSIENT), ("no_refs", FailureCategory.PERMANENT)],
)
async def test_a_read_without_a_usable_answer_has_failed(make: Make, mode: str, category: FailureCategory) -> None:
    bench = make()
    tool = await bench.tool(effect_class=EffectClass.READ_ONLY)
    answer = await bench.run(tool, effect(mode=mode, timeout_ms=700 if mode in ("hang", "drip") else 10_000))
    assert (answer.status, answer.category) == (AnswerStatus.FAILED, category)


async def test_an_error_answer_proves_a_failure_only_when_the_operator_says_so(make: Make) -> None:
    bench = make()
    tool = await bench.tool(is_error_means=ErrorMeaning.FAILED)
    assert (await bench.run(tool, effect(mode="error"))).status is AnswerStatus.FAILED


async def test_a_huge_answer_costs_only_its_own_call(make: Make) -> None:
    bench = make()
    tool = await bench.tool()
    beside, huge = await asyncio.gather(
        bench.run(tool, effect(delay_ms=4000)), bench.run(tool, effect(mode="huge", timeout_ms=8000))
    )
    assert (huge.status, huge.code) == (AnswerStatus.AMBIGUOUS, "ANSWER_TOO_LARGE")
    assert beside.status is AnswerStatus.SUCCEEDED


async def test_a_stray_line_on_standard_output_does_no_harm(make: Make) -> None:
    bench = make()
    assert (await bench.run(await bench.tool(), effect(mode="stray"))).status is AnswerStatus.SUCCEEDED


@pytest.mark.requirement("T18")
async def test_a_server_killed_in_mid_call_leaves_a_doubt_and_is_started_again(make: Make) -> None:
    bench = make()
    tool = await bench.tool()
    await bench.run(tool, effect())
    wanted = effect(delay_ms=60_000, timeout_ms=60_000)
    call = asyncio.create_task(bench.run(tool, wanted))
    pid = await server_of(bench, wanted.key.hex(), call)
    os.kill(pid, signal.SIGKILL)
    answer = await asyncio.wait_for(call, 10)
    assert (answer.status, answer.code) == (AnswerStatus.AMBIGUOUS, "CONNECTION_LOST")
    assert unanswered(bench.journal) == [wanted.key.hex()]
    assert await until_ready(bench, tool)
    assert effects(bench.journal).count(wanted.key.hex()) == 1


async def test_a_server_that_is_gone_before_the_call_was_not_called(make: Make) -> None:
    bench = make()
    tool = await bench.tool()
    first = effect(delay_ms=1)
    await bench.run(tool, first)
    await bench.adapter.ready(effect(), tool)
    pid = server_pid(bench)
    os.kill(pid, signal.SIGKILL)
    await eventually(lambda: os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None)
    answer = await bench.adapter.call(effect(), tool, lambda: True)
    assert (answer.status, answer.code) == (AnswerStatus.NOT_SENT, "CONNECTION_LOST")
    assert effects(bench.journal) == [first.key.hex()]


async def test_a_server_that_does_not_read_its_input_was_not_called(make: Make) -> None:
    """With a full pipe the guard is looked at again when there is room; until then nothing has left."""
    bench = make()
    tool = await bench.tool()
    first = effect()
    await bench.run(tool, first)
    server = psutil.Process(server_pid(bench))
    server.suspend()
    await eventually(lambda: server.status() == psutil.STATUS_STOPPED)  # until then it may still read
    try:
        filler = effect(mode="ok", padding="x" * 200_000, timeout_ms=1000)
        behind = effect(timeout_ms=500)
        answers = await asyncio.gather(
            bench.adapter.call(filler, tool, lambda: True), bench.adapter.call(behind, tool, lambda: True)
        )
    finally:
        os.kill(server_pid(bench), signal.SIGCONT)
    assert answers[0].status is AnswerStatus.AMBIGUOUS
    assert answers[1].status is AnswerStatus.NOT_SENT
    assert await until_ready(bench, tool)
    assert behind.key.hex() not in effects(bench.journal)


@pytest.mark.requirement("F5")
@pytest.mark.parametrize(("placement", "name"), [(KeyPlacement.META, ""), (KeyPlacement.ARGUMENT, "idempotency_key")])
async def test_a_keyed_tool_gets_the_same_key_with_each_attempt(make: Make, placement: KeyPlacement, name: str) -> None:
    bench = make()
    tool = await bench.tool(effect_class=EffectClass.KEYED, key_placement=placement, key_name=name)
    first, other = effect(), effect()
    for wanted in (first, msgspec.structs.replace(first, attempt=2), other):
        assert (await bench.run(tool, wanted)).status is AnswerStatus.SUCCEEDED
    keys = [effect_key(b"k7Qm2vX9pLr4Wz8Tn3Bd", "acme", wanted.key) for wanted in (first, other)]
    assert [key for what, key, _ in entries(bench.journal) if what == "keyed"] == keys
    assert effects(bench.journal) == [first.key.hex(), other.key.hex()]


@pytest.mark.requirement("T16")
async def test_what_people_read_of_an_answer_is_harmless(make: Make) -> None:
    bench = make()
    answer: ToolAnswer = await bench.run(await bench.tool(), effect())
    assert answer.summary.startswith("applied ")
    assert answer.summary.isprintable()
    assert len(answer.summary) <= 200
    assert all(isinstance(ref, ObjectRef) for ref in answer.object_refs)


def server_pid(bench: ToolBench) -> int:
    """The double writes its process id into each line of its journal."""
    return int([call for _, _, call in entries(bench.journal)][-1].partition(".")[0])


async def server_of(bench: ToolBench, key: str, call: asyncio.Task[ToolAnswer]) -> int:
    """Wait until the call has had its effect; it must not have ended by then."""
    await eventually(lambda: call.done() or key in effects(bench.journal))
    assert not call.done()
    return server_pid(bench)


async def until_ready(bench: ToolBench, tool: Registered) -> bool:
    """A dead server is started again after its pause."""
    async with asyncio.timeout(20):
        while True:
            try:
                return (await bench.run(tool, effect())).status is AnswerStatus.SUCCEEDED
            except NotReady as error:
                await asyncio.sleep(error.retry_after_ms / 1000 or 0.01)
