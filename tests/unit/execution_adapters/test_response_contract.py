"""What counts as a success, and what an answer cannot do (F3, F5, T6, T16)."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.contracts.events import (
    AnswerStatus,
    EffectClass,
    ErrorMeaning,
    Extractor,
    ExtractorKind,
    ObjectRef,
    SuccessRule,
    ToolEntry,
)
from libs.testkit.tool_bench import entry_of
from services.execution.adapters.builtin import JOURNAL
from services.execution.adapters.patterns import TEXT_MAX, NotSearched, Patterns
from services.execution.adapters.response import SUMMARY_MAX, Judged, judge, shown, summary_of

DIGEST = bytes(range(32))
REFS = [{"type": "commit", "id": "abc"}]
ONE = (ObjectRef(type="commit", id="abc"),)


class NoPatterns(Patterns):
    """Finds a text that stands there as it is; the real thing is a process."""

    async def first(self, pattern: str, text: str) -> str | None:
        if pattern == "for ever":
            raise NotSearched("it does not end")
        return pattern if pattern in text else None


def judged(result: Any, arguments: dict[str, Any] | None = None, **entry: Any) -> Judged:
    tool: ToolEntry = entry_of("git", JOURNAL, **entry)
    return asyncio.run(judge(tool, result, arguments or {}, DIGEST, NoPatterns()))


def text(value: Any) -> dict[str, Any]:
    return {
        "content": [{"type": "text", "text": value if isinstance(value, str) else msgspec.json.encode(value).decode()}]
    }


@pytest.mark.requirement("F3")
@pytest.mark.parametrize(
    "result",
    [
        {"structuredContent": {"success": True, "external_object_refs": REFS}},
        {"structuredContent": {"external_object_refs": REFS}},
        {"success": True, "external_object_refs": REFS},
        text({"success": True, "external_object_refs": REFS}),
        text({"result": text({"success": True, "external_object_refs": REFS})}),
        text({"result": {"structuredContent": {"success": True, "external_object_refs": REFS}}}),
        text({"success": True, "external_object_id": "abc", "object_type": "commit"}),
        {"structuredContent": {"external_object_id": "abc", "object_type": "commit"}},
        {"external_object_refs": [{"object_type": "commit", "object_id": "abc"}] * 2},
    ],
)
def test_each_form_of_the_contract_is_understood(result: Any) -> None:
    found = judged(result)
    assert (found.status, found.refs) == (AnswerStatus.SUCCEEDED, ONE)


@pytest.mark.requirement("F3")
@pytest.mark.parametrize(
    "result",
    [
        {},
        {"content": []},
        {"content": "no list"},
        {"content": [None, 1, {"type": "text"}, {"type": "text", "text": 5}]},
        text("all went well"),
        text("{broken"),
        text("[" * 100_000),
        text('{"a":' * 5000),
        {"structuredContent": None},
        {"structuredContent": {"success": True}},
        {"structuredContent": {"success": True, "external_object_refs": []}},
        {"structuredContent": {"success": "yes", "external_object_refs": REFS}},
        {"structuredContent": {"success": 1, "external_object_refs": REFS}},
        {"structuredContent": {"external_object_refs": "abc"}},
        {"structuredContent": {"external_object_refs": [{"type": "commit"}, {"id": "abc"}, "abc", None]}},
        {"structuredContent": {"external_object_refs": [{"type": "commit", "id": ""}]}},
        {"structuredContent": {"external_object_refs": [{"type": "commit", "id": "a\x1b[2Jb"}]}},
        {"structuredContent": {"external_object_refs": [{"type": "commit", "id": "x" * 513}]}},
        {"structuredContent": {"external_object_refs": [{"type": "commit", "id": True}]}},
        {"resultType": "input_required", "structuredContent": {"external_object_refs": REFS}},
    ],
)
def test_anything_else_is_an_invalid_response_in_doubt_for_a_write_and_failed_for_a_read(result: Any) -> None:
    write, read = judged(result), judged(result, effect_class=EffectClass.READ_ONLY)
    assert (write.status, write.code) == (AnswerStatus.AMBIGUOUS, "INVALID_TOOL_RESPONSE")
    assert (read.status, read.code) == (AnswerStatus.FAILED, "INVALID_TOOL_RESPONSE")
    assert not write.refs
    assert not read.refs


@pytest.mark.parametrize(
    "result", [text("no") | {"isError": True}, {"structuredContent": {"success": False, "external_object_refs": REFS}}]
)
def test_what_an_error_means_is_for_the_operator_to_say(result: Any) -> None:
    assert judged(result).status is AnswerStatus.AMBIGUOUS
    assert judged(result, is_error_means=ErrorMeaning.FAILED).status is AnswerStatus.FAILED
    assert judged(result, effect_class=EffectClass.READ_ONLY).status is AnswerStatus.FAILED
    assert judged(result).code == "TOOL_ERROR"
    assert not judged(result).refs


def test_a_read_may_answer_without_references_if_the_registry_says_so() -> None:
    found = judged(text({"success": False}), success_rule=SuccessRule.ANSWER, effect_class=EffectClass.READ_ONLY)
    assert found.status is AnswerStatus.SUCCEEDED


def extractor(kind: ExtractorKind, **given: str) -> Extractor:
    return Extractor(kind=kind, type="commit", **given)


def test_extractors_find_references_where_the_operator_says() -> None:
    structured = extractor(ExtractorKind.STRUCTURED, path="commits.sha")
    pattern = extractor(ExtractorKind.TEXT, pattern="c0ffee")
    template = extractor(ExtractorKind.TEMPLATE, template="{repo.path}@{response_digest}")
    result = text("made c0ffee") | {"structuredContent": {"commits": [{"sha": "a"}, {"sha": "b"}, {"sha": None}]}}
    found = judged(result, {"repo": {"path": "/r"}}, extractors=(structured, pattern, template, pattern))
    assert [ref.id for ref in found.refs] == ["a", "b", "c0ffee", f"/r@{DIGEST.hex()}"]


@pytest.mark.parametrize(
    "arguments", [{}, {"repo": {"path": ["/r", "/s"]}}, {"repo": {"path": True}}, {"repo": {"path": {}}}]
)
def test_a_template_without_its_values_gives_no_reference(arguments: dict[str, Any]) -> None:
    wanted = extractor(ExtractorKind.TEMPLATE, template="{repo.path}")
    assert judged(text("done"), arguments, extractors=(wanted,)).status is not AnswerStatus.SUCCEEDED


def test_with_extractors_named_the_answer_cannot_bring_references_of_its_own() -> None:
    found = judged(
        {"structuredContent": {"external_object_refs": REFS}},
        extractors=(extractor(ExtractorKind.STRUCTURED, path="sha"),),
    )
    assert found.code == "INVALID_TOOL_RESPONSE"


@pytest.mark.requirement("T6")
@pytest.mark.parametrize(
    ("stated", "cost"),
    [
        (0, 0),
        (7, 7),
        (2**53, 2**53),
        (2**53 + 1, None),
        (-1, None),
        (1.5, None),
        ("7", None),
        (True, None),
        (None, None),
    ],
)
def test_only_a_sane_integer_is_a_cost(stated: Any, cost: int | None) -> None:
    content = {"external_object_refs": REFS, "usage": {"cost": stated}}
    assert judged({"structuredContent": content}, answer_cost_path="usage.cost").cost_micros == cost
    assert judged({"structuredContent": content}).cost_micros is None


@given(st.text(max_size=3000))
def test_a_summary_is_short_printable_and_one_line(given_text: str) -> None:
    found = shown(given_text)
    assert len(found) <= SUMMARY_MAX
    assert found.isprintable()


@pytest.mark.requirement("T16")
@pytest.mark.requirement("T24")
def test_a_summary_has_no_escape_codes_no_turned_text_and_no_tokens() -> None:
    hostile = "ok\x1b]0;pwn\x07 \u202egnp\u202c Bearer abcdefghijklmnop https://u:hunter22@h/ \r\n done"
    found = summary_of(text(hostile))
    assert "\x1b" not in found
    assert "\u202e" not in found
    assert "abcdefghijklmnop" not in found
    assert "hunter22" not in found
    assert found.endswith("done")


def test_references_are_bounded() -> None:
    many = [{"type": "row", "id": str(number)} for number in range(10_000)]
    assert len(judged({"structuredContent": {"external_object_refs": many}}).refs) == 256


# -- what the answer to a question proves

STRUCTURED = extractor(ExtractorKind.STRUCTURED, path="commits.sha")
PATTERN = extractor(ExtractorKind.TEXT, pattern="c0ffee")
TEMPLATE = extractor(ExtractorKind.TEMPLATE, template="{response_digest}")
LOOK: dict[str, Any] = {"effect_class": EffectClass.READ_ONLY, "success_rule": SuccessRule.ANSWER}


def asked(result: Any, *extractors: Extractor) -> Judged:
    tool = entry_of("git", JOURNAL, **LOOK, extractors=extractors)
    return asyncio.run(judge(tool, result, {}, DIGEST, NoPatterns(), asked=True))


@pytest.mark.requirement("F5")
@pytest.mark.parametrize(
    ("result", "extractors"),
    [
        ({"structuredContent": {"external_object_refs": []}}, ()),
        ({"structuredContent": {"success": True, "external_object_id": None}}, ()),
        ({"structuredContent": {"commits": []}}, (STRUCTURED,)),
        ({"structuredContent": {"commits": [{"sha": None}]}}, (STRUCTURED,)),
        (text("nothing"), (PATTERN,)),
        (text("nothing"), (PATTERN, TEMPLATE)),
    ],
)
def test_an_answer_that_was_looked_at_in_full_and_names_nothing_says_absent(
    result: Any, extractors: tuple[Extractor, ...]
) -> None:
    found = asked(result, *extractors)
    assert (found.status, found.refs) == (AnswerStatus.SUCCEEDED, ())


@pytest.mark.requirement("F5")
@pytest.mark.requirement("X6")
@pytest.mark.parametrize(
    ("result", "extractors"),
    [
        (text("found c0ffee"), ()),
        ({"structuredContent": {"found": True}}, ()),
        ({"structuredContent": {"success": False, "external_object_refs": []}}, ()),
        ({"structuredContent": {"external_object_refs": [{"type": "commit", "id": "x" * 600}]}}, ()),
        ({"structuredContent": {"external_object_id": "abc"}}, ()),
        ({"structuredContent": {"error": "the database is away"}}, (STRUCTURED,)),
        (text("made c0ffee"), (STRUCTURED,)),
        ({"structuredContent": {"commits": [{"sha": "x" * 600}]}}, (STRUCTURED,)),
        (text("x" * (TEXT_MAX + 1)), (PATTERN,)),
        ({"content": [{"type": "text", "text": "x"}] * 65}, (PATTERN,)),
        (text("nothing"), (extractor(ExtractorKind.TEXT, pattern="for ever"),)),
        (text("nothing"), (TEMPLATE,)),
    ],
)
def test_an_answer_that_could_not_be_looked_at_in_full_says_nothing(
    result: Any, extractors: tuple[Extractor, ...]
) -> None:
    """Taken for 'absent' it would end a doubt as not applied, though it was."""
    found = asked(result, *extractors)
    assert (found.status, found.code) == (AnswerStatus.FAILED, "INVALID_TOOL_RESPONSE")


@pytest.mark.requirement("F5")
def test_what_is_named_counts_though_there_may_be_more() -> None:
    result = text("x" * (TEXT_MAX + 1)) | {"structuredContent": {"commits": [{"sha": "a"}]}}
    assert [ref.id for ref in asked(result, STRUCTURED, PATTERN).refs] == ["a"]


def test_a_deed_that_succeeded_has_succeeded_though_its_text_could_not_be_searched() -> None:
    found = judged(
        text("done"), success_rule=SuccessRule.ANSWER, extractors=(extractor(ExtractorKind.TEXT, pattern="for ever"),)
    )
    assert (found.status, found.refs) == (AnswerStatus.SUCCEEDED, ())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["success", "external_object_refs", "external_object_id", "type", "id", "content", "text"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["content", "structuredContent", "isError", "result", "success"]), JSON))
def test_no_answer_breaks_the_judge_and_none_succeeds_without_a_reference(result: dict[str, Any]) -> None:
    found = judged(result)
    assert found.status in (AnswerStatus.SUCCEEDED, AnswerStatus.AMBIGUOUS)
    assert (found.status is AnswerStatus.SUCCEEDED) == bool(found.refs)
