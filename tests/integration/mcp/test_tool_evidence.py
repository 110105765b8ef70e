"""Patterns, artifacts and the built-in tools, on the real file system and in real processes (F4, C5, T12, X20, X21)."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from libs.contracts.events import AnswerStatus, Transport
from libs.testkit.tool_bench import Registered, effect, entry_of, tool_settings
from services.execution.adapters.artifacts import ArtifactStore
from services.execution.adapters.builtin import JOURNAL, SLEEP, BuiltinAdapter
from services.execution.adapters.patterns import START_TIMEOUT_S, NotSearched, Patterns
from services.execution.adapters.routing import build_adapters
from services.execution.ports import NotReady

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def patterns() -> AsyncIterator[Patterns]:
    found = Patterns()
    yield found
    await found.close()


async def test_a_pattern_gives_its_first_group_or_the_whole(patterns: Patterns) -> None:
    assert await patterns.first(r"hash ([0-9a-f]{6})", "with hash c0ffee done") == "c0ffee"
    assert await patterns.first(r"c0f+ee", "with hash c0ffee done") == "c0ffee"
    assert await patterns.first(r"nothing", "with hash c0ffee done") is None
    assert await patterns.first(r"(a)|(b)", "b") is None
    assert await patterns.first(r"zwölf\n(.)", "zwölf\n✓") == "✓"


async def test_a_pattern_that_never_ends_is_stopped_and_the_next_one_works(patterns: Patterns) -> None:
    async with asyncio.timeout(START_TIMEOUT_S + 2):
        with pytest.raises(NotSearched):
            await patterns.first(r"(a+)+$", "a" * 60 + "b")
    assert await patterns.first(r"(b)", "ab") == "b"


@pytest.mark.parametrize("pattern", ["(", "a" * 1001, "(?P<x", "(" * 500])
async def test_a_wrong_pattern_finds_nothing(patterns: Patterns, pattern: str) -> None:
    with pytest.raises(NotSearched):
        await patterns.first(pattern, "a(")


async def test_only_the_head_of_a_long_text_is_searched(patterns: Patterns) -> None:
    assert await patterns.first("needle", "x" * 70_000 + "needle") is None


@pytest.mark.requirement("F4")
@pytest.mark.requirement("X21")
async def test_an_artifact_is_found_by_its_hash_and_a_changed_one_is_named(tmp_path: Path) -> None:
    store = ArtifactStore(str(tmp_path / "kept"))
    data = os.urandom(100_000)
    name = store.put(data)
    assert store.put(data) == name
    assert name.replace("/", "") == "sha256" + hashlib.sha256(data).hexdigest()
    assert store.get(name) == data
    file = tmp_path / "kept" / name
    assert file.stat().st_mode & 0o077 == 0
    file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(ValueError, match="was changed"):
        store.get(name)
    assert [path for path in (tmp_path / "kept").rglob("*") if path.is_file()] == [file]


@pytest.mark.parametrize("name", ["sha256/../../etc", "sha256/zz/" + "0" * 62, "md5/00/" + "0" * 62, "x"])
async def test_a_name_that_is_no_hash_opens_no_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="no name of an artifact"):
        ArtifactStore(str(tmp_path)).get(name)


async def test_the_builtin_journal_counts_each_call_once(tmp_path: Path) -> None:
    adapter = BuiltinAdapter(tool_settings(tmp_path, journal_fsync=True))
    tool = Registered("builtin/journal", entry_of("builtin", JOURNAL), Transport.BUILTIN)
    calls = [effect("builtin/journal") for _ in range(5)]
    for wanted in calls:
        await adapter.ready(wanted, tool)
        answer = await adapter.call(wanted, tool, lambda: True)
        assert answer.status is AnswerStatus.SUCCEEDED
        assert answer.object_refs
    refused = await adapter.call(effect("builtin/journal"), tool, lambda: False)
    assert (refused.status, refused.code) == (AnswerStatus.NOT_SENT, "NOT_OWNER")
    await adapter.close()
    lines = [line.split() for line in (tmp_path / "journal").read_text().splitlines()]
    assert [line[0] for line in lines] == [wanted.key.hex() for wanted in calls]
    assert all(line[1:3] == ["1", str(os.getpid())] and line[4] == "journal" for line in lines)


async def test_the_builtin_sleep_waits_and_knows_its_limit(tmp_path: Path) -> None:
    adapter = BuiltinAdapter(tool_settings(tmp_path))
    tool = Registered("builtin/sleep", entry_of("builtin", SLEEP), Transport.BUILTIN)
    for wanted, status in (
        (effect("builtin/sleep", ms=20), "SUCCEEDED"),
        (effect("x/sleep", 30, ms=9999), "AMBIGUOUS"),
    ):
        await adapter.ready(wanted, tool)
        answer = await adapter.call(wanted, tool, lambda: True)
        assert answer.status == status
        assert 15 <= answer.duration_ms < 5000
    for wrong in (effect("builtin/sleep"), effect("builtin/sleep", ms="soon")):
        with pytest.raises(NotReady, match="BAD_ARGUMENTS"):
            await adapter.ready(wrong, tool)
    await adapter.close()


async def test_a_journal_that_cannot_be_written_means_not_called(tmp_path: Path) -> None:
    (tmp_path / "journal").mkdir()
    adapter = BuiltinAdapter(tool_settings(tmp_path))
    tool = Registered("builtin/journal", entry_of("builtin", JOURNAL), Transport.BUILTIN)
    with pytest.raises(NotReady, match="JOURNAL_AWAY"):
        await adapter.ready(effect(), tool)
    assert (await adapter.call(effect(), tool, lambda: True)).status is AnswerStatus.NOT_SENT


async def test_the_transport_of_its_server_decides_who_calls_a_tool(tmp_path: Path) -> None:
    adapters = build_adapters(tool_settings(tmp_path))
    tool = Registered("builtin/journal", entry_of("builtin", JOURNAL), Transport.BUILTIN)
    await adapters.ready(effect(), tool)
    assert (await adapters.call(effect(), tool, lambda: True)).status is AnswerStatus.SUCCEEDED
    for transport in (Transport.STDIO, Transport.HTTP):
        other = Registered("x/journal", tool.entry, transport)
        with pytest.raises(NotReady, match="TRANSPORT_MISSING"):
            await adapters.ready(effect(), other)
        assert (await adapters.call(effect(), other, lambda: True)).status is AnswerStatus.NOT_SENT
    await adapters.close()
