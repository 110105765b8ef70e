"""Adapters with the tool double or a hostile server as theirs, closed after each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest_asyncio

from libs.testkit.tool_bench import ToolBench, double_profile, tool_settings
from services.execution.adapters.mcp import McpAdapter
from services.execution.adapters.process import Profile
from tests.integration.mcp.hostile_http import Hostile, hostile
from tests.integration.mcp.over_http import profile


@pytest_asyncio.fixture
async def make(tmp_path: Path) -> AsyncIterator[Callable[..., ToolBench]]:
    """make(*options of the double, profiles=..., **settings)."""
    made: list[McpAdapter] = []

    def bench(*options: str, profiles: dict[str, Profile] | None = None, **given: Any) -> ToolBench:
        journal = tmp_path / f"effects-{len(made)}"
        servers = {"double": double_profile(journal, *options)} | (profiles or {})
        adapter = McpAdapter(servers, tool_settings(tmp_path, **given))
        made.append(adapter)
        return ToolBench(adapter, servers, journal, tmp_path / "artifacts")

    yield bench
    for adapter in made:
        await adapter.close()


@pytest_asyncio.fixture
async def bad() -> AsyncIterator[Hostile]:
    async with hostile() as one:
        yield one


@pytest_asyncio.fixture
async def calling(bad: Hostile, tmp_path: Path) -> AsyncIterator[McpAdapter]:
    headers = {"Authorization": "Bearer of-the-operator"}
    one = McpAdapter(
        {"there": profile(bad.port, headers=headers)}, tool_settings(tmp_path, definitions_max_age_ms=60_000)
    )
    yield one
    await one.close()
