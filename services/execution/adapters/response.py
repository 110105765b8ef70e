"""The response contract: what an answer must hold to count as a success, and what it means when it does not.

An answer is evidence from an untrusted party. It never becomes an intent, an approval or a policy; what people read of
it is stripped of what could deceive them. If the operator has named extractors, references come from these and from
nowhere else, since the text of an answer may repeat what the agent wrote.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from libs.contracts.events import (
    AnswerStatus,
    EffectClass,
    ErrorMeaning,
    Extractor,
    ExtractorKind,
    FailureCategory,
    ObjectRef,
    SuccessRule,
    ToolEntry,
)
from libs.governance.paths import select
from libs.runtime.logs import redact
from services.execution.adapters.patterns import TEXT_MAX, NotSearched, Patterns
from services.execution.adapters.process import printable

REFS_MAX = 256
ID_MAX = 512
TYPE_MAX = 64
BLOCKS_MAX = 64
SUMMARY_MAX = 200
COST_MAX = 2**53
OBJECTS = ("external_object_refs", "external_object_id")
CONTRACT = ("success", *OBJECTS)
_PLACE = re.compile(r"\{([^{}]+)\}")


@dataclass(frozen=True)
class Judged:
    """What an answer means. `code` is '' on success."""

    status: AnswerStatus
    code: str = ""
    category: FailureCategory = FailureCategory.PERMANENT
    reason: str = ""
    refs: tuple[ObjectRef, ...] = ()
    cost_micros: int | None = None
    summary: str = ""


async def judge(
    entry: ToolEntry,
    result: Mapping[str, Any],
    arguments: Mapping[str, Any],
    digest: bytes,
    patterns: Patterns,
    asked: bool = False,
) -> Judged:
    """Of the `result` of a `tools/call`, as it came over the wire. `asked`: it answers the question whether another
    call was applied, so that to name nothing says something: only an answer that was looked at in full counts then."""
    summary = summary_of(result)
    if result.get("resultType", "complete") != "complete":
        return invalid(entry, "the tool asks for input that nobody can give", summary)
    if result.get("isError") is True:
        return refused(entry, "TOOL_ERROR", summary or "the tool reports an error", summary)
    payload = _payload(result)
    if entry.success_rule is SuccessRule.REFS and payload.get("success") is False:
        return refused(entry, "TOOL_ERROR", "the tool reports success: false", summary)
    if entry.success_rule is SuccessRule.REFS and payload.get("success", True) is not True:
        return invalid(entry, "its `success` is neither true nor false", summary)
    if entry.extractors:
        search = Search(result, {} if asked else arguments, digest, patterns)
        refs, unseen = await _extract(_evidence(entry, asked), search)
    else:
        refs = tuple(_declared(payload))
        unseen = "" if _says_none(payload) else "it does not speak in the contract's words"
    refs = tuple(dict.fromkeys(refs))[:REFS_MAX]
    if asked and not refs and unseen:
        return invalid(entry, unseen, summary)
    if entry.success_rule is SuccessRule.REFS and not refs:
        return invalid(entry, "it names no external object", summary)
    cost = _cost(result, entry.answer_cost_path)
    return Judged(AnswerStatus.SUCCEEDED, refs=refs, cost_micros=cost, summary=summary)


def invalid(entry: ToolEntry, reason: str, summary: str = "") -> Judged:
    """InvalidToolResponse: the tool has answered, but whether it acted is not said."""
    return Judged(_unknown(entry), "INVALID_TOOL_RESPONSE", FailureCategory.PERMANENT, reason, summary=summary)


def refused(entry: ToolEntry, code: str, reason: str, summary: str = "") -> Judged:
    """An answer flagged as an error: the operator says whether this tool's errors prove that nothing was done."""
    status = AnswerStatus.FAILED if entry.is_error_means is ErrorMeaning.FAILED else _unknown(entry)
    return Judged(status, code, FailureCategory.PERMANENT, shown(reason), summary=summary)


def lost(entry: ToolEntry, code: str, reason: str) -> Judged:
    """No answer came: what was sent may have been applied."""
    return Judged(_unknown(entry), code, FailureCategory.TRANSIENT, reason)


def summary_of(result: Mapping[str, Any]) -> str:
    """The answer in at most 200 printable characters, without what looks like a token or password."""
    text = "\n".join(_texts(result))
    if not text and "structuredContent" in result:
        text = msgspec.json.encode(result["structuredContent"]).decode()
    return shown(text)


def shown(text: str) -> str:
    """Fit for a terminal and for the ledger."""
    line = " ".join(printable(text[: SUMMARY_MAX * 8]).split())
    return str(redact(None, "", {"line": line})["line"])[:SUMMARY_MAX]


def _unknown(entry: ToolEntry) -> AnswerStatus:
    return AnswerStatus.FAILED if entry.effect_class is EffectClass.READ_ONLY else AnswerStatus.AMBIGUOUS


def _payload(result: Mapping[str, Any]) -> Mapping[str, Any]:
    """The first place that speaks the contract's words: structured content, the top level, the JSON in a text."""
    for candidate in _candidates(result):
        if isinstance(candidate, Mapping) and not candidate.keys().isdisjoint(CONTRACT):
            return candidate
    return {}


def _candidates(result: Mapping[str, Any]) -> Iterator[Any]:
    yield result.get("structuredContent")
    yield result
    for text in _texts(result):
        inner = _json(text)
        yield inner
        if isinstance(inner, Mapping) and isinstance(envelope := inner.get("result"), Mapping):
            yield envelope.get("structuredContent")
            yield envelope
            yield from map(_json, _texts(envelope))


def _texts(result: Mapping[str, Any]) -> list[str]:
    content = result.get("content")
    if not isinstance(content, list):
        return []
    blocks = [block for block in content[:BLOCKS_MAX] if isinstance(block, Mapping) and block.get("type") == "text"]
    return [text for block in blocks if isinstance(text := block.get("text"), str)]


def _json(text: str) -> Any:
    if not text.lstrip().startswith("{"):
        return None
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None


def _declared(payload: Mapping[str, Any]) -> Iterator[ObjectRef]:
    """References in the contract's own form, or the one of the legacy pair."""
    listed = payload.get("external_object_refs")
    items: list[Any] = listed if isinstance(listed, list) else [payload]
    for item in items[:REFS_MAX]:
        if isinstance(item, Mapping):
            kind = item.get("type", item.get("object_type"))
            name = item.get("id", item.get("external_object_id", item.get("object_id")))
            if (ref := _ref(kind, name)) is not None:
                yield ref


def _says_none(payload: Mapping[str, Any]) -> bool:
    """Does it say in the contract's words that there is no object?"""
    sound = payload.get("success", True) is True
    return sound and any(word in payload and payload[word] in ([], None, "") for word in OBJECTS)


@dataclass(frozen=True)
class Search:
    """What references are looked for in."""

    result: Mapping[str, Any]
    arguments: Mapping[str, Any]
    digest: bytes
    patterns: Patterns

    @property
    def text(self) -> str:
        return "\n".join(_texts(self.result))

    @property
    def is_long(self) -> bool:
        """Is there more text than is searched?"""
        content = self.result.get("content")
        return len(self.text) > TEXT_MAX or (isinstance(content, list) and len(content) > BLOCKS_MAX)


def _evidence(entry: ToolEntry, asked: bool) -> Sequence[Extractor]:
    """A template names something whatever the answer says: to a question it answers nothing."""
    return [one for one in entry.extractors if not asked or one.kind is not ExtractorKind.TEMPLATE]


async def _extract(extractors: Sequence[Extractor], search: Search) -> tuple[tuple[ObjectRef, ...], str]:
    """What is named; and why there may be more than that, '' = all was looked at."""
    found: list[ObjectRef | None] = []
    unseen = "" if extractors else "nothing says where it would name an object"
    for extractor in extractors:
        match extractor.kind:
            case ExtractorKind.STRUCTURED:
                content, first = search.result.get("structuredContent"), extractor.path.partition(".")[0]
                names = select(content, extractor.path)
                if not isinstance(content, dict) or first not in (*content, "*"):
                    unseen = "it has not the field in which it would name an object"
            case ExtractorKind.TEXT:
                unseen = "its text is longer than what is searched" if search.is_long else unseen
                try:
                    names = [await search.patterns.first(extractor.pattern, search.text)]
                except NotSearched as error:
                    names, unseen = [], str(error)
            case ExtractorKind.TEMPLATE:
                names = [_filled(extractor, search.arguments, search.digest)]
        refs = [_ref(extractor.type, name) for name in names[:REFS_MAX]]
        if any(ref is None and name is not None for ref, name in zip(refs, names, strict=False)):
            unseen = "it names something that is no usable reference"
        found += refs
    return tuple(ref for ref in found if ref is not None), unseen


def _filled(extractor: Extractor, arguments: Mapping[str, Any], digest: bytes) -> str | None:
    """The template with its places filled; None when a place has no plain value. {response_digest} is the answer's."""
    values: dict[str, str] = {"response_digest": digest.hex()}
    for place in _PLACE.findall(extractor.template):
        if place not in values:
            given = select(arguments, place)
            if len(given) != 1 or not isinstance(given[0], str | int) or isinstance(given[0], bool):
                return None
            values[place] = str(given[0])
    return _PLACE.sub(lambda match: values[match.group(1)], extractor.template)


def _ref(kind: Any, name: Any) -> ObjectRef | None:
    """A usable reference or None: both parts short, printable and not empty."""
    if isinstance(name, int) and not isinstance(name, bool):
        name = str(name)
    if not isinstance(kind, str) or not isinstance(name, str):
        return None
    if not 0 < len(kind) <= TYPE_MAX or not 0 < len(name) <= ID_MAX or not (kind + name).isprintable():
        return None
    return ObjectRef(type=kind, id=name)


def _cost(result: Mapping[str, Any], path: str) -> int | None:
    """The cost that the answer states, if the registry says where. Anything but a sane integer is no statement, and
    the registry's price counts."""
    given = select(result.get("structuredContent"), path) if path else []
    if len(given) != 1 or not isinstance(given[0], int) or isinstance(given[0], bool):
        return None
    return given[0] if 0 <= given[0] <= COST_MAX else None
