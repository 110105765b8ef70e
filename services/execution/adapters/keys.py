"""The idempotency key of a KEYED tool: the same for every attempt of one intent, guessable by nobody, and put where the
tool wants it."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any, NamedTuple

from libs.contracts.events import EffectClass, FailureCategory, KeyPlacement, ToolEntry
from services.execution.adapters.exchange import HEADER
from services.execution.ports import NotReady

META_INTENT = "deedbook/intent"
META_ATTEMPT = "deedbook/attempt"
META_KEY = "deedbook/idempotency-key"
OURS = (META_INTENT, META_ATTEMPT, "traceparent", "progressToken")  # a key under these names would be written over


def effect_key(secret: bytes, tenant: str, intent_id: bytes) -> str:
    """HMAC-SHA256 over the tenant, with its length before it, and the intent id; 64 hex digits."""
    name = tenant.encode()
    return hmac.new(secret, b"%d:" % len(name) + name + intent_id, hashlib.sha256).hexdigest()


class Placed(NamedTuple):
    """Arguments, `_meta` and HTTP headers of a call."""

    arguments: dict[str, Any]
    meta: dict[str, Any]
    headers: dict[str, str]


def place_key(entry: ToolEntry, key: str, arguments: dict[str, Any], over_http: bool = False) -> Placed:
    """The call's parts with the key where the entry says. Raises NotReady when there is no such place: without its
    key a KEYED tool would be called twice after a crash. A QUERYABLE tool takes it to be asked by it later, or has a
    reference of its own in the arguments."""
    by_key = entry.effect_class is EffectClass.QUERYABLE and entry.key_placement is not KeyPlacement.NONE
    if entry.effect_class is not EffectClass.KEYED and not by_key:
        return Placed(arguments, {}, {})
    match entry.key_placement:
        case KeyPlacement.META if entry.key_name not in OURS:
            return Placed(arguments, {entry.key_name or META_KEY: key}, {})
        case KeyPlacement.HEADER if over_http and HEADER.fullmatch(entry.key_name):
            return Placed(arguments, {}, {entry.key_name.lower(): key})
        case KeyPlacement.ARGUMENT if entry.key_name and entry.key_name not in arguments:
            return Placed(arguments | {entry.key_name: key}, {}, {})
        case KeyPlacement.ARGUMENT if entry.key_name:
            reason = f"the argument {entry.key_name!r} is reserved for the idempotency key"
            raise NotReady("KEY_ARGUMENT_TAKEN", reason, FailureCategory.PERMANENT)
        case _:
            reason = "the registry names no place for the idempotency key that this server's transport has"
            raise NotReady("KEY_NOT_PLACEABLE", reason, FailureCategory.PERMANENT)
