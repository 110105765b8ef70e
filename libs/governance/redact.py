"""Arguments as people may see them (requirement E1), and the check that secret fields hold references only."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from libs.governance.digests import canonical
from libs.governance.paths import select

HIDDEN = "[redacted]"
ITEMS_MAX = 10
TEXT_MAX = 500
DISPLAY_MAX = 8_192
_SECRET_NAMES = re.compile(r"passw|secret|token|key|auth(?!ors?(?![a-z]))|credential", re.IGNORECASE)  # not 'author'
_REFERENCE = re.compile(r"secret://[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*")


def display(arguments: dict[str, Any]) -> str:
    """Redacted JSON text of arguments: values under telling names are hidden at any depth, arrays cut at 10, long
    texts cut, the whole bounded."""
    text = canonical(_shown(arguments)).decode()
    if len(text) > DISPLAY_MAX:
        return canonical({"cut": f"{len(text)} characters", "fields": sorted(arguments)[:ITEMS_MAX]}).decode()
    return text


def literal_secrets(arguments: dict[str, Any], secret_fields: tuple[str, ...]) -> list[str]:
    """Paths of secret fields that hold anything but a reference `secret://...`: they must not reach the ledger."""
    return [path for path in secret_fields if not all(_is_reference(found) for found in select(arguments, path))]


def _is_reference(value: Any) -> bool:
    return isinstance(value, str) and _REFERENCE.fullmatch(value) is not None


def _shown(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: HIDDEN if _SECRET_NAMES.search(k) else _shown(v) for k, v in value.items()}
    if isinstance(value, list):
        rest = len(value) - ITEMS_MAX
        return [_shown(item) for item in value[:ITEMS_MAX]] + ([f"... {rest} more"] if rest > 0 else [])
    if isinstance(value, str) and len(value) > TEXT_MAX:
        return f"{value[:TEXT_MAX]}... {len(value) - TEXT_MAX} more characters"
    return value


def parse_canonical(text: str) -> dict[str, Any]:
    """Arguments from the ledger: intake wrote them in canonical form, so a fast reader will do."""
    value: dict[str, Any] = msgspec.json.decode(text, type=dict[str, Any])
    return value
