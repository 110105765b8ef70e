"""Adapters with the tool double as their server, closed after each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest_asyncio

from libs.testkit.tool_bench import ToolBench, double_profile, tool_settings
from services.execution.adapters.mcp import McpAdapter
from services.execution.adapters.process import Profile


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
