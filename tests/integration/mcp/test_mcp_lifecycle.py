"""Tool servers are kept warm, bounded, and ended with all that they started (F2, F13, T13, X7, X20)."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from libs.contracts.events import AnswerStatus, FailureCategory, SuccessRule
from libs.testkit.tool_bench import ToolBench, effect, eventually, tool_settings
from libs.testkit.tool_double import entries
from services.execution.adapters.mcp import McpAdapter
from services.execution.adapters.process import Profile, ServerProcess
from services.execution.adapters.warm import WarmServer
from services.execution.ports import NotReady

pytestmark = pytest.mark.asyncio
Make = Callable[..., ToolBench]


async def test_one_server_serves_all_calls_and_starts_once(make: Make) -> None:
    bench = make()
    tool = await bench.tool()
    await asyncio.gather(*(bench.run(tool, effect()) for _ in range(20)))
    assert len({call.partition(".")[0] for _, _, call in entries(bench.journal)}) == 1


async def test_a_second_connection_is_not_opened_while_the_first_is_being_opened(make: Make) -> None:
    bench = make()
    server = WarmServer(bench.profiles["double"], 1 << 20, 20_000)
    try:
        first, second = await asyncio.gather(server.connected(), server.connected())
        assert first is second
    finally:
        await server.close()


@pytest.mark.parametrize(
    "argv",
    [
        ("/does/not/exist",),
        ("/bin/false",),
        (sys.executable, "-c", "import time; time.sleep(60)"),
        (sys.executable, "-c", 'print(\'{"jsonrpc":"2.0","id":1,"result":5}\'); input(); input()'),
        (sys.executable, "-c", "while True: print('x' * 65536)"),
    ],
)
async def test_a_server_that_does_not_start_is_left_alone_for_longer_each_time(argv: tuple[str, ...]) -> None:
    server = WarmServer(Profile(name="broken", argv=argv), 1 << 20, 500)
    pauses = []
    for _ in range(2):
        with pytest.raises(NotReady, match="SERVER_NOT_STARTED") as caught:
            await server.connected()
        assert caught.value.category is FailureCategory.TRANSIENT
        pauses.append(server._retry_at)
        server._retry_at = 0.0
    assert pauses[1] > pauses[0]
    server._retry_at = time.monotonic() + 9.5
    with pytest.raises(NotReady, match="SERVER_DOWN") as waiting:
        await server.connected()
    assert 8_000 < waiting.value.retry_after_ms <= 9_500


@pytest.mark.requirement("F13")
async def test_closing_ends_the_server_and_all_that_it_started(tmp_path: Path) -> None:
    marks = tmp_path / "pids"
    code = (
        "import os,subprocess,sys;"
        "child=subprocess.Popen([sys.executable,'-c','import time; time.sleep(600)']);"
        f"open({str(marks)!r},'w').write(f'{{os.getpid()}} {{child.pid}}\\n');"
        "import time; time.sleep(600)"
    )
    process = ServerProcess(Profile(name="forks", argv=(sys.executable, "-c", code)))
    await process.start()
    await eventually(lambda: marks.exists() and marks.read_text().endswith("\n"))
    leader, child = map(int, marks.read_text().split())
    assert leader == process.pid
    await process.stop(grace_s=0.1)
    await eventually(lambda: is_gone(leader) and is_gone(child))
    await process.stop()


@pytest.mark.requirement("T13")
@pytest.mark.requirement("T11")
async def test_a_server_sees_nothing_of_our_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEED_EFFECT_KEY_SECRET", "canary-canary-canary")
    seen = tmp_path / "environment"
    code = f"import os; open({str(seen)!r},'w').write(repr(dict(os.environ)))"
    process = ServerProcess(Profile(name="env", argv=(sys.executable, "-S", "-c", code), env={"GIVEN": "1"}))
    await process.start()
    await eventually(lambda: seen.exists() and seen.read_text().endswith("}"))
    await process.stop()
    names = set(eval(seen.read_text()))  # what the child wrote
    assert "GIVEN" in names
    assert "DEED_EFFECT_KEY_SECRET" not in names
    assert "PATH" not in names


async def test_standard_error_is_drained_and_little_of_it_is_kept(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "for n in range(20000): print('line', n, '\\x1b[2J', 'x' * 600, file=sys.stderr)\n"
        "sys.stderr.write('y' * 10_000_000)"
    )
    process = ServerProcess(Profile(name="loud", argv=(sys.executable, "-c", code)))
    await process.start()
    await eventually(lambda: not process.alive)
    await asyncio.sleep(0)
    await eventually(lambda: bool(process.last_errors()) and process.last_errors()[-1].startswith("y"))
    kept = process.last_errors()
    await process.stop()
    assert len(kept) <= 20
    assert all(len(line) <= 500 and line.isprintable() for line in kept)


async def test_a_hung_server_is_replaced_when_it_has_nothing_to_do(make: Make) -> None:
    bench = make(definitions_max_age_ms=0)
    tool = await bench.tool()
    await bench.run(tool, effect())
    server = bench.adapter._servers["double"]
    patience_s, server._timeout_s = server._timeout_s, 2  # to answer; to start takes longer on a slow machine
    pid = int([call for _, _, call in entries(bench.journal)][-1].partition(".")[0])
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(NotReady, match="SERVER_SILENT"):
        await bench.adapter.ready(effect(), tool)
    assert is_gone(pid)
    server._timeout_s = patience_s
    assert (await bench.run(tool, effect())).status is AnswerStatus.SUCCEEDED


async def test_a_server_at_work_is_not_ended_because_it_is_slow(make: Make) -> None:
    bench = make("--slow-list", "1500", connect_timeout_ms=1000, definitions_max_age_ms=60_000)
    slow = WarmServer(bench.profiles["double"], 1 << 20, 1000)
    tool = await make().tool()
    bench.adapter._server(tool)._timeout_s = 20
    await bench.adapter.ready(effect(), tool)
    bench.adapter._servers["double"]._timeout_s = 0.2
    bench.adapter._max_age_ms = 0
    working = asyncio.create_task(bench.adapter.call(effect(delay_ms=1000), tool, lambda: True))
    await eventually(lambda: len(list(entries(bench.journal))) > 0)
    with pytest.raises(NotReady, match="SERVER_BUSY"):
        await bench.adapter.ready(effect(), tool)
    assert (await working).status is AnswerStatus.SUCCEEDED
    await slow.close()


async def test_after_closing_no_process_of_ours_is_left(tmp_path: Path, make: Make) -> None:
    before = children()
    bench = make()
    tool = await bench.tool(success_rule=SuccessRule.ANSWER)
    adapter = McpAdapter(bench.profiles, tool_settings(tmp_path))
    await adapter.ready(effect(), tool)
    assert children() - before
    await adapter.close()
    await bench.adapter.close()
    assert not children() - before


def is_gone(pid: int) -> bool:
    """Dead, whether or not somebody has asked how it died."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def children() -> set[str]:
    """Process ids of all our children."""
    return {pid for file in Path("/proc/self/task").glob("*/children") for pid in file.read_text().split()}
