"""The adapter on servers that others wrote: a read and a commit in a real git repository, and the time (F2, F3)."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from examples.servers import ensure
from libs.contracts.events import (
    AnswerStatus,
    EffectClass,
    ErrorMeaning,
    Extractor,
    ExtractorKind,
    SuccessRule,
)
from libs.testkit.tool_bench import ToolBench, effect
from services.execution.adapters.process import Profile
from services.execution.adapters.warm import discover

Make = Callable[..., ToolBench]
COMMIT = Extractor(kind=ExtractorKind.TEXT, type="commit", pattern=r"committed successfully with hash ([0-9a-f]{40})")


@pytest.fixture(scope="session")
def programs() -> Path:
    return ensure()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    for words in (
        ["init", "-q", "-b", "main", str(folder)],
        ["-C", str(folder), "config", "user.name", "Agent"],
        ["-C", str(folder), "config", "user.email", "agent@example.org"],
    ):
        subprocess.run(["git", *words], check=True)
    (folder / "notes.txt").write_text("one\n")
    return folder


@pytest.fixture
def bench(make: Make, programs: Path, repository: Path) -> ToolBench:
    git = Profile(
        name="git",
        argv=(str(programs / "mcp-server-git"), "--repository", str(repository)),
        env_from=("PATH",),
        env={"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null"},
    )
    clock = Profile(name="time", argv=(str(programs / "mcp-server-time"), "--local-timezone", "UTC"))
    return make(profiles={"git": git, "time": clock})


def git(repository: Path, *words: str) -> str:
    return subprocess.run(["git", "-C", str(repository), *words], check=True, capture_output=True, text=True).stdout


@pytest.mark.requirement("F2")
@pytest.mark.requirement("F3")
async def test_a_commit_is_made_in_git_and_its_hash_is_the_reference(bench: ToolBench, repository: Path) -> None:
    template = Extractor(kind=ExtractorKind.TEMPLATE, type="index", template="{repo_path}#{response_digest}")
    add = await bench.tool("git/git_add", extractors=(template,))
    commit = await bench.tool("git/git_commit", extractors=(COMMIT,), is_error_means=ErrorMeaning.FAILED)
    staged = await bench.run(add, effect("git/git_add", repo_path=str(repository), files=["notes.txt"]))
    assert staged.status is AnswerStatus.SUCCEEDED
    assert staged.object_refs[0].id.startswith(f"{repository}#")
    made = await bench.run(commit, effect("git/git_commit", repo_path=str(repository), message="First"))
    assert made.status is AnswerStatus.SUCCEEDED
    assert [ref.id for ref in made.object_refs] == [git(repository, "rev-parse", "HEAD").strip()]
    assert git(repository, "log", "--format=%s").splitlines() == ["First"]
    again = await bench.run(commit, effect("git/git_commit", repo_path=str(repository), message="Nothing"))
    assert (again.status, again.code) == (AnswerStatus.FAILED, "TOOL_ERROR")
    assert "No changes staged" in again.reason


async def test_a_read_needs_no_reference(bench: ToolBench, repository: Path) -> None:
    status = await bench.tool("git/git_status", effect_class=EffectClass.READ_ONLY, success_rule=SuccessRule.ANSWER)
    answer = await bench.run(status, effect("git/git_status", repo_path=str(repository)))
    assert answer.status is AnswerStatus.SUCCEEDED
    assert "notes.txt" in answer.summary
    outside = await bench.run(status, effect("git/git_status", repo_path="/"))
    assert (outside.status, outside.code) == (AnswerStatus.FAILED, "TOOL_ERROR")


async def test_the_time_server_answers_and_refuses_with_a_protocol_error(bench: ToolBench) -> None:
    clock = await bench.tool(
        "time/get_current_time", effect_class=EffectClass.READ_ONLY, success_rule=SuccessRule.ANSWER
    )
    answer = await bench.run(clock, effect("time/get_current_time", timezone="UTC"))
    assert answer.status is AnswerStatus.SUCCEEDED
    assert "UTC" in answer.summary
    wrong = await bench.run(clock, effect("time/get_current_time", timezone="Mars/Olympus"))
    assert wrong.status is AnswerStatus.FAILED
    assert wrong.code in {"TOOL_ERROR", "TOOL_REFUSED"}


async def test_commits_at_once_are_each_made_once(bench: ToolBench, repository: Path) -> None:
    commit = await bench.tool("git/git_commit", extractors=(COMMIT,))
    add = await bench.tool("git/git_add", success_rule=SuccessRule.ANSWER)
    await bench.run(add, effect("git/git_add", repo_path=str(repository), files=["notes.txt"]))
    answers = await asyncio.gather(
        *(
            bench.run(commit, effect("git/git_commit", repo_path=str(repository), message=f"Number {number}"))
            for number in range(3)
        )
    )
    assert sorted(answer.status for answer in answers) == ["AMBIGUOUS", "AMBIGUOUS", "SUCCEEDED"]
    assert len(git(repository, "log", "--format=%s").splitlines()) == 1


async def test_the_definitions_of_a_real_server_are_the_same_each_time(bench: ToolBench) -> None:
    first, second = await asyncio.gather(*(discover(bench.profiles["git"], 1 << 20, 20_000) for _ in range(2)))
    assert first == second
    assert {"git_commit", "git_log", "git_status"} <= {definition.name for definition in first}
