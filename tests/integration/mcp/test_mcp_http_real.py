"""Real MCP servers over streamable HTTP: of the official SDK, present and before its version 2 (F2, F3, T18, X6)."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from examples.servers import SQLITE_LOCK, ensure
from libs.contracts.events import (
    AnswerStatus,
    EffectClass,
    SuccessRule,
)
from libs.stack.ports import Ports
from libs.testkit.tool_bench import effect, eventually, tool_settings
from libs.testkit.tool_double import effects
from services.execution.adapters.mcp import McpAdapter
from services.execution.ports import Health, NotReady
from tests.integration.mcp.over_http import offered, profile, registered, run

pytestmark = [pytest.mark.asyncio, pytest.mark.requirement("F2")]
S = AnswerStatus


class Double:
    """The tool double over HTTP, in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.journal = folder / "effects"
        self.port = Ports(folder / "ports.json").get("double")
        self.popen = self.start()

    def start(self) -> subprocess.Popen[bytes]:
        words = ["-m", "libs.testkit.tool_double", "--journal", str(self.journal), "--http", str(self.port)]
        return subprocess.Popen([sys.executable, *words])

    async def up(self) -> None:
        await eventually(lambda: listens(self.port), 60.0)

    def kill(self) -> None:
        self.popen.send_signal(signal.SIGKILL)
        self.popen.wait(10)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def double(tmp_path: Path) -> Iterator[Double]:
    one = Double(tmp_path)
    yield one
    one.kill()


@pytest_asyncio.fixture
async def adapter(double: Double, tmp_path: Path) -> AsyncIterator[McpAdapter]:
    await double.up()
    one = McpAdapter({"there": profile(double.port)}, tool_settings(tmp_path))
    yield one
    await one.close()


@pytest.mark.requirement("F3")
@pytest.mark.requirement("T18")
async def test_a_real_server_is_called_once_and_under_the_guard(adapter: McpAdapter, double: Double) -> None:
    tool = registered((await offered(profile(double.port)))["apply"], "apply", answer_cost_path="cost_micros")
    assert adapter.health()["there"]() is Health.PENDING
    first, refused = effect("there/apply"), effect("there/apply")
    answer = await run(adapter, tool, first)
    assert (answer.status, answer.cost_micros, answer.object_refs[0].type) == (S.SUCCEEDED, 7, "effect")
    held = await run(adapter, tool, refused, allowed=False)
    assert (held.status, held.code) == (S.NOT_SENT, "NOT_OWNER")
    many = [effect("there/apply", delay_ms=50) for _ in range(20)]
    assert {one.status for one in await asyncio.gather(*(run(adapter, tool, one) for one in many))} == {S.SUCCEEDED}
    assert sorted(effects(double.journal)) == sorted(one.key.hex() for one in (first, *many))
    assert adapter.health()["there"]() is Health.ACTIVE


@pytest.mark.requirement("X6")
async def test_a_server_that_dies_in_mid_call_leaves_it_in_doubt_and_is_found_again(
    adapter: McpAdapter, double: Double
) -> None:
    tool = registered((await offered(profile(double.port)))["apply"], "apply")
    wanted = effect("there/apply", delay_ms=30_000)
    await adapter.ready(wanted, tool)
    call = asyncio.create_task(adapter.call(wanted, tool, lambda: True))
    await eventually(lambda: effects(double.journal) == [wanted.key.hex()])
    double.kill()
    answer = await call
    assert (answer.status, answer.code) == (S.AMBIGUOUS, "CONNECTION_LOST")
    gone = await adapter.call(effect("there/apply"), tool, lambda: True)
    assert gone.status is S.NOT_SENT

    codes = set()
    for _ in range(200):
        try:
            await adapter.ready(effect("there/apply"), tool)
        except NotReady as error:
            codes.add(error.code)
        if adapter.health()["there"]() is Health.OFFLINE:
            break
        await asyncio.sleep(0.05)
    assert "SERVER_DOWN" in codes  # it is not asked at every turn
    assert adapter.health()["there"]() is Health.OFFLINE
    double.popen = double.start()
    await double.up()
    again = effect("there/apply")

    async def ready() -> bool:
        try:
            await adapter.ready(again, tool)
        except NotReady:
            return False
        return True

    for _ in range(400):
        if await ready():
            break
        await asyncio.sleep(0.05)
    assert (await adapter.call(again, tool, lambda: True)).status is S.SUCCEEDED
    assert adapter.health()["there"]() is Health.ACTIVE
    assert effects(double.journal).count(wanted.key.hex()) == 1


@pytest.fixture
def old(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """A server on the official SDK before its version 2, in an environment of its own: its port and its log."""
    port, log = Ports(tmp_path / "ports.json").get("old"), tmp_path / "old.log"
    words = [f"{ensure(SQLITE_LOCK)}/python", str(Path(__file__).with_name("old_http_server.py")), str(port)]
    with log.open("wb") as file:
        popen = subprocess.Popen(words, stderr=file)
    yield port, log
    popen.kill()
    popen.wait(10)


async def test_an_older_server_has_a_session_that_ends_with_us(old: tuple[int, Path], tmp_path: Path) -> None:
    port, log = old
    await eventually(lambda: listens(port), 60.0)
    one = McpAdapter({"there": profile(port)}, tool_settings(tmp_path))
    reading = {"effect_class": EffectClass.READ_ONLY, "success_rule": SuccessRule.ANSWER}
    tool = registered((await offered(profile(port)))["add"], "add", **reading)
    answer = await run(one, tool, effect("there/add", a=1, b=2))
    assert (answer.status, answer.summary) == (S.SUCCEEDED, "3")
    with pytest.raises(NotReady, match="BAD_ARGUMENTS"):
        await run(one, tool, effect("there/add", a="x", b=2))
    await one.close()
    assert b"Terminating session" in log.read_bytes()
