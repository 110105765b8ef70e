"""A tool's definition, and the hash that pins it. The text is canonical (RFC 8785), so its SHA-256 is the hash: what an
operator accepted can be compared byte for byte with what the server says today. A definition says nothing that we
believe; it is pinned because a model reads it, and a changed text is a changed tool."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from libs.governance.digests import JsonRefused, canonical
from libs.runtime.logs import logger

log = logger(__name__)

PINNED = ("name", "description", "inputSchema", "outputSchema", "annotations")
PINNED_IF_THERE = ("title",)  # later than the others: without it a definition has the hash that it always had
NAME = re.compile(r"[A-Za-z0-9_.-]{1,128}")  # ASCII only: no letter that looks like another one
DEFINITION_BYTES_MAX = 65_536
ENCODED_BYTES_MAX = 2 * DEFINITION_BYTES_MAX  # a double may be written in more letters than its canonical form has
TOOLS_MAX = 1000
LEFT_OUT_LOGGED = 10


class ToolDefinition(msgspec.Struct, frozen=True):
    """`json` is the canonical text, `hash` its SHA-256."""

    name: str
    json: str
    hash: bytes


def definition_of(raw: Mapping[str, Any]) -> ToolDefinition:
    """Of one entry of `tools/list`, as it came over the wire. Raises ValueError when it cannot be pinned."""
    name = raw.get("name")
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ValueError("its name has other characters than A-Z, a-z, 0-9, '_', '.', '-'")
    pinned = {field: raw.get(field) for field in PINNED} | {f: raw[f] for f in PINNED_IF_THERE if f in raw}
    try:
        # Asked first of the quick encoder: the canonical one takes its time with doubles, and whoever writes a
        # definition may want to keep us busy.
        if len(msgspec.json.encode(pinned)) > ENCODED_BYTES_MAX:
            raise ValueError(f"it has more than {DEFINITION_BYTES_MAX} bytes")
        text = canonical(pinned)
    except (JsonRefused, OverflowError, RecursionError, UnicodeEncodeError) as error:
        raise ValueError(f"it has no canonical JSON: {error}") from None
    if len(text) > DEFINITION_BYTES_MAX:
        raise ValueError(f"it has more than {DEFINITION_BYTES_MAX} bytes")
    return ToolDefinition(name=name, json=text.decode(), hash=hashlib.sha256(text).digest())


def definitions_of(raw: Sequence[Mapping[str, Any]], server: str) -> dict[str, ToolDefinition]:
    """All usable definitions by name. Left out and logged: those that cannot be pinned, and names offered twice."""
    found: list[ToolDefinition] = []
    left_out = 0
    for item in raw[:TOOLS_MAX]:
        try:
            found.append(definition_of(item))
        except ValueError as error:
            left_out += 1
            if left_out <= LEFT_OUT_LOGGED:
                log.warning("tool left out", server=server, tool=repr(item.get("name"))[:80], reason=str(error))
    if left_out > LEFT_OUT_LOGGED:
        log.warning("more tools left out", server=server, number=left_out - LEFT_OUT_LOGGED)
    times = Counter(definition.name for definition in found)
    return {definition.name: definition for definition in found if times[definition.name] == 1}
