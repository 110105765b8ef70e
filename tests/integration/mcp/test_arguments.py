"""What a tool's own schema refuses is not sent: it would be a doubt afterwards (F1). Whoever writes a schema cannot
keep us busy with it, nor have us fetch anything."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio

from libs.contracts.events import AnswerStatus
from libs.testkit.tool_bench import ToolBench, effect
from services.execution.adapters.patterns import FAILURES_MAX, NotSearched, Patterns
from services.execution.ports import NotReady

pytestmark = [pytest.mark.asyncio, pytest.mark.requirement("F1")]

NOTE: dict[str, Any] = {
    "type": "object",
    "properties": {"text": {"type": "string", "minLength": 2}, "more": {"$ref": "#/$defs/more"}},
    "required": ["text"],
    "additionalProperties": False,
    "$defs": {"more": {"enum": ["a", "b"]}},
}


@pytest_asyncio.fixture
async def patterns() -> AsyncIterator[Patterns]:
    made = Patterns()
    yield made
    await made.close()


async def asked(patterns: Patterns, schema: Any, **arguments: Any) -> str | None:
    return await patterns.misfit(json.dumps(schema), json.dumps(arguments))


async def test_a_call_that_the_tool_would_refuse_is_not_made(make: Callable[..., ToolBench]) -> None:
    bench = make()
    tool = await bench.tool()
    with pytest.raises(NotReady, match="BAD_ARGUMENTS: they do not fit the tool's schema") as refused:
        await bench.run(tool, effect(key=7))
    assert refused.value.category == "PERMANENT"
    assert not bench.journal.exists() or bench.journal.read_text() == ""
    assert (await bench.run(tool, effect(key="one"))).status is AnswerStatus.SUCCEEDED


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"text": "ab"}, None),
        ({"text": "ab", "more": "b"}, None),
        ({"txt": "ab", "text": "xy"}, "$ Additional properties are not allowed ('txt' was unexpected)"),
        ({}, "$ 'text' is a required property"),
        ({"text": 5}, '$.text breaks type: "string"'),
        ({"text": "a"}, "$.text breaks minLength: 2"),
        ({"text": "ab", "more": "hunter2"}, '$.more breaks enum: ["a", "b"]'),
    ],
)
async def test_it_says_where_and_shows_no_value(
    patterns: Patterns, arguments: dict[str, Any], said: str | None
) -> None:
    assert await asked(patterns, NOTE, **arguments) == said


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "http://127.0.0.1:9/schema.json"},
        {"$ref": "file:///etc/passwd"},
        {"$ref": "#/nowhere"},
        {"$ref": "#"},
        {"type": 7},
        {"properties": {"text": {"pattern": "("}}},
        {"properties": {"text": {"pattern": "(a+)+$"}}},
        [],
    ],
)
async def test_a_schema_that_says_nothing_is_not_judged_by(patterns: Patterns, schema: Any) -> None:
    for _ in range(FAILURES_MAX):
        with pytest.raises(NotSearched, match=r"did not end|no schema"):
            await asked(patterns, schema, text="a" * 40 + "b")
    with pytest.raises(NotSearched, match="again and again"):  # others wait for the same child
        await asked(patterns, schema, text="ab")
    assert await asked(patterns, NOTE, text="ab") is None  # the next one is answered


async def test_questions_are_answered_one_by_one(patterns: Patterns) -> None:
    found = await asyncio.gather(asked(patterns, NOTE), patterns.first("b(.)", "abc"), asked(patterns, NOTE, text="ab"))
    assert [*found] == ["$ 'text' is a required property", "c", None]
