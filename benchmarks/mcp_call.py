"""The time of one call through MCP over stdio, apart: what a real tool server costs before it does anything."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import structlog

from benchmarks.load import spread
from benchmarks.report import Section, tell
from examples.servers import ServersError, ensure
from libs.contracts.events import AnswerStatus, Extractor, ExtractorKind
from libs.testkit.tool_bench import ToolBench, effect, tool_settings
from services.execution.adapters.mcp import McpAdapter
from services.execution.adapters.process import Profile

WARM, CALLS = 20, 500


async def measure(section: Section) -> None:
    """Calls of `mcp-server-time`, one after the other, through our adapter with all that it checks."""
    tell("calls through MCP over stdio")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    try:
        programs = await asyncio.to_thread(ensure)
    except (ServersError, OSError) as error:
        section.notes.append(f"no call through MCP was measured: {error}")
        return
    argv = (str(programs / "mcp-server-time"), "--local-timezone", "UTC")
    with TemporaryDirectory() as name:
        folder = Path(name)
        profiles = {"time": Profile(name="time", argv=argv, cwd=name)}
        adapter = McpAdapter(profiles, tool_settings(folder))
        try:
            bench = ToolBench(adapter, profiles, folder / "journal", folder / "artifacts")
            await _calls(section, bench)
        finally:
            await adapter.close()


async def _calls(section: Section, bench: ToolBench) -> None:
    extractor = Extractor(kind=ExtractorKind.TEMPLATE, type="clock", template="{timezone}")
    tool = await bench.tool("time/get_current_time", extractors=(extractor,))
    times = []
    for n in range(WARM + CALLS):
        began = time.perf_counter()
        answer = await bench.run(tool, effect("time/get_current_time", timezone="UTC"))
        if answer.status is not AnswerStatus.SUCCEEDED:
            section.failures.append(f"a call through MCP ended {answer.status}: {answer.code} {answer.reason}")
            return
        if n >= WARM:
            times.append(time.perf_counter() - began)
    found = spread(times)
    assert found is not None
    section.add("one MCP call over stdio, p50", found.p50, "ms", note="mcp-server-time, warm, in our adapter")
    section.add("one MCP call over stdio, p99", found.p99, "ms")
