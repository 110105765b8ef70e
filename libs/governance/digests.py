"""Canonical JSON (RFC 8785), digests made of it, and the strict reader for arguments.

Two programs that agree on a content agree on its bytes, so it can be named by a digest. The reader takes I-JSON only
(RFC 7493): what two parsers could read differently is refused.
"""

from __future__ import annotations

import hashlib
import json
import math
from typing import Any, NamedTuple

import msgspec
import rfc8785

from libs.contracts.events import Intent

INTEGER_MAX = 2**53 - 1  # beyond it a double, and so most JSON readers, cannot hold every integer
_NUMBER_CHARACTERS_MAX = 64
_NESTED, _ARRAYS = (dict, list), (list, tuple)  # made once: a union would be made anew for each value

encode_sorted = msgspec.json.Encoder(order="sorted").encode  # canonical for values as `_sorts_alike` describes them


class JsonRefused(ValueError):
    """Text that is not strict I-JSON within the limits. `code` is stable, the message is for people."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class JsonLimits(msgspec.Struct, frozen=True):
    """What a JSON text may be at most."""

    bytes_max: int = 65_536
    depth_max: int = 32
    values_max: int = 10_000


ARGUMENT_LIMITS = JsonLimits()


class JsonObject(NamedTuple):
    """A strictly read object and its one canonical text."""

    value: dict[str, Any]
    text: str


def content_digest(intent: Intent, arguments: str, subject: str) -> bytes:
    """SHA-256 over the canonical JSON of what a submission says and who says it. The trace context is left out: a
    repeat of the same request has another one. `arguments` is the canonical text, so that spacing does not count."""
    form = {name: getattr(intent, name) for name in intent.__struct_fields__ if name != "trace_parent"}
    form["arguments"] = msgspec.Raw(arguments.encode())
    form["subject"] = subject
    for name in ("retry_of", "edited_from"):
        form[name] = None if form[name] is None else form[name].hex()
    return hashlib.sha256(encode_sorted(form)).digest()


def canonical(value: Any) -> bytes:
    """RFC 8785 bytes of a value as `read_object` gives it. Raises JsonRefused for what has no canonical form."""
    if _sorts_alike(value):
        return encode_sorted(value)
    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeError) as error:
        raise JsonRefused("JSON_NUMBER", str(error)) from error


def canonical_hash(value: Any) -> bytes:
    """SHA-256 of the canonical bytes: the name of a policy snapshot or of a tool's definition."""
    return hashlib.sha256(canonical(value)).digest()


def read_object(text: str, limits: JsonLimits = ARGUMENT_LIMITS) -> JsonObject:
    """Read a JSON object strictly. Raises JsonRefused with JSON_TOO_LARGE, JSON_TOO_DEEP, JSON_SYNTAX,
    JSON_DUPLICATE_KEY, JSON_NUMBER, JSON_UNICODE or JSON_NOT_AN_OBJECT."""
    if len(text) > limits.bytes_max or len(text.encode(errors="surrogatepass")) > limits.bytes_max:
        raise JsonRefused("JSON_TOO_LARGE", f"larger than {limits.bytes_max} bytes")
    try:
        value = _decoder.decode(text)
    except RecursionError as error:
        raise JsonRefused("JSON_TOO_DEEP", f"nested deeper than {limits.depth_max}") from error
    except json.JSONDecodeError as error:
        raise JsonRefused("JSON_SYNTAX", f"{error.msg} at character {error.pos}") from error
    if not isinstance(value, dict):
        raise JsonRefused("JSON_NOT_AN_OBJECT", "the outermost value must be an object")
    _check(value, limits)
    return JsonObject(value, canonical(value).decode())


def _check(value: Any, limits: JsonLimits) -> None:
    """Depth, number of values, and Unicode that can be written as UTF-8. Iterative: depth is hostile."""
    count, level, depth = 0, [value], 0
    while level:
        depth += 1
        if depth > limits.depth_max:
            raise JsonRefused("JSON_TOO_DEEP", f"nested deeper than {limits.depth_max}")
        below: list[Any] = []
        for item in level:
            children = (*item.keys(), *item.values()) if isinstance(item, dict) else item
            for child in children:
                count += 1
                if isinstance(child, str):
                    _check_text(child)
                elif isinstance(child, _NESTED):
                    below.append(child)
        if count > limits.values_max:
            raise JsonRefused("JSON_TOO_LARGE", f"more than {limits.values_max} values")
        level = below


def _check_text(text: str) -> None:
    if text.isascii():
        return
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise JsonRefused("JSON_UNICODE", "half of a surrogate pair") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise JsonRefused("JSON_DUPLICATE_KEY", "a key twice in one object")
    return found


def _integer(digits: str) -> int:
    if len(digits) > _NUMBER_CHARACTERS_MAX or abs(number := int(digits)) > INTEGER_MAX:
        raise JsonRefused("JSON_NUMBER", "an integer beyond 2^53 - 1")
    return number


def _double(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number) or abs(number) > INTEGER_MAX:
        raise JsonRefused("JSON_NUMBER", "a number beyond 2^53 - 1")
    return number


def _constant(name: str) -> Any:
    raise JsonRefused("JSON_NUMBER", f"{name} is no JSON")


_decoder = json.JSONDecoder(
    object_pairs_hook=_unique, parse_int=_integer, parse_float=_double, parse_constant=_constant
)


def _sorts_alike(value: Any) -> bool:
    """Would a plain sorted encoder give the canonical bytes? Yes without doubles and with ASCII keys (RFC 8785 sorts by
    UTF-16 units); it is fifty times faster than the full algorithm."""
    if isinstance(value, dict):
        return all(isinstance(k, str) and k.isascii() and _sorts_alike(v) for k, v in value.items())
    if isinstance(value, _ARRAYS):
        return all(map(_sorts_alike, value))
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return True
    return isinstance(value, int) and abs(value) <= INTEGER_MAX
