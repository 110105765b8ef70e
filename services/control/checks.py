"""What names and values on the control ledger may be. Names of tools, servers, capabilities and flags are ASCII of an
allow-list: no letter looks like another one, and there is one way to write each (threat T10). Tenants and accounts are
taken as tokens have them."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from libs.contracts.events import (
    BreakerState,
    EffectClass,
    EffectKind,
    Extractor,
    ExtractorKind,
    KeyPlacement,
    ToolEntry,
)
from libs.governance.digests import JsonLimits, JsonRefused, canonical_hash, read_object
from libs.governance.paths import PATH
from libs.governance.policy import PolicyRefused, read_policy
from libs.governance.tokens import NAME_BYTES_MAX

REASON_MAX = 1000
TEXT_MAX = 1000
LIST_MAX = 100
TENANTS_MAX = 1000
ATTEMPTS_MAX = 20
TIMEOUT_MS_MAX = 60_000  # a successor waits so long before it believes that nothing is on its way any more
HOUR_MS = 3_600_000
WINDOW_MS_MAX = 31 * 24 * HOUR_MS
PERMITS_MAX = 1_000_000_000
MICROS_MAX = 2**53 - 1  # what every reader of JSON can hold
DEFINITION = JsonLimits(bytes_max=65_536)
_SERVER = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
_TOOL = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_CAPABILITY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/-]{0,127}")
_FLAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_CODE = re.compile(r"[A-Z][A-Z0-9_]{0,63}")


class ChangeRefused(Exception):
    """A change asks for something that cannot be. `code` is stable, `reason` for people."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


def _require(holds: bool, reason: str, code: str = "VALUE_INVALID") -> None:
    if not holds:
        raise ChangeRefused(code, reason)


# -- names


def check_tenant(name: str) -> None:
    """As it may stand in a token."""
    _require(_is_claim(name) and "/" not in name and ":" not in name, "it is no name of a tenant", "ID_INVALID")


def check_account(name: str) -> None:
    """`tenant/account`; the account may hold a slash, the tenant cannot."""
    tenant, slash, account = name.partition("/")
    check_tenant(tenant)
    _require(bool(slash) and _is_claim(account), "an account is named 'tenant/account'", "ID_INVALID")


def check_server(name: str) -> None:
    """Name of a tool server."""
    _require(_SERVER.fullmatch(name) is not None, "a server's name is 1 to 64 of a-z 0-9 _ . -", "ID_INVALID")


def check_tool(name: str) -> None:
    """Id of a tool: `server/tool`."""
    server, _, tool = name.partition("/")
    check_server(server)
    _require(_TOOL.fullmatch(tool) is not None, "a tool is named 'server/tool', of A-Z a-z 0-9 _ . -", "ID_INVALID")


def check_capability(name: str) -> None:
    """Name of a capability, such as `git.write`."""
    _require(_CAPABILITY.fullmatch(name) is not None, "a capability's name is of A-Z a-z 0-9 _ . : / -", "ID_INVALID")


def check_profile(name: str) -> None:
    """Name of an entry of the operator's local file; a command line or an address is none (threat T13)."""
    _require(_SERVER.fullmatch(name) is not None, "a profile's name is 1 to 64 of a-z 0-9 _ . -", "ID_INVALID")


def check_tenants(names: Sequence[str]) -> None:
    """Tenants that may use a server."""
    _require(len(names) <= TENANTS_MAX, f"more than {TENANTS_MAX} tenants")
    for name in names:
        check_tenant(name)


def _is_claim(name: str) -> bool:
    return bool(name) and name == name.strip() and name.isprintable() and len(name.encode()) <= NAME_BYTES_MAX


# -- values


def check_reason(reason: str) -> None:
    """Nothing changes without a reason. Characters that cannot be seen could forge what people read."""
    readable = all(character in "\n\t" or character.isprintable() for character in reason)
    holds = bool(reason.strip()) and len(reason) <= REASON_MAX and readable
    _require(holds, f"a reason of 1 to {REASON_MAX} printable characters is needed", "REASON_INVALID")


def check_code(code: str) -> None:
    """Stable code of why a tool is in quarantine."""
    _require(_CODE.fullmatch(code) is not None, "code is of A-Z 0-9 _")


def check_budget(hard_micros: int, soft_micros: int | None) -> None:
    """Caps in order."""
    _require(0 <= hard_micros <= MICROS_MAX, "hard_micros is negative or too large")
    _require(soft_micros is None or 0 <= soft_micros <= hard_micros, "soft_micros is not within 0 and hard_micros")


def check_rate_limit(window_ms: int, permits: int | None) -> None:
    """A window that ends, and a count."""
    _require(1 <= window_ms <= WINDOW_MS_MAX, f"window_ms is not within 1 and {WINDOW_MS_MAX}")
    _require(permits is None or 0 <= permits <= PERMITS_MAX, f"permits is not within 0 and {PERMITS_MAX}")


def check_flag(name: str, value: str | None) -> None:
    """A name, and strict JSON of any kind."""
    _require(_FLAG.fullmatch(name) is not None, "a flag's name is of A-Z a-z 0-9 _ . -", "ID_INVALID")
    if value is None:
        return
    _require(len(value) <= TEXT_MAX, f"value is longer than {TEXT_MAX} characters")
    try:
        # The strict reader takes objects only; text that would escape from the wrapping gives another set of keys.
        _require(read_object(f'{{"v":{value}}}').value.keys() == {"v"}, "value is no JSON")
    except JsonRefused as error:
        raise ChangeRefused("VALUE_INVALID", f"value is no JSON: {error}") from error


def check_breaker(state: BreakerState, failures: int, until_at: int | None) -> None:
    """OPEN has an end, the other states have none."""
    _require(failures >= 0, "failures is negative")
    _require((state is BreakerState.OPEN) == (until_at is not None), "until_at belongs to OPEN and to nothing else")
    _require(until_at is None or until_at > 0, "until_at is no moment")


def check_policy(text: str, policy_hash: bytes) -> None:
    """A document that can be read, and is the one whose hash was named."""
    try:
        snapshot = read_policy(text)
    except PolicyRefused as error:
        raise ChangeRefused(error.code, str(error)[:REASON_MAX]) from error
    _require(snapshot.hash == policy_hash, "policy_hash is not the hash of the policy", "POLICY_HASH_MISMATCH")


def check_entry(tool: str, entry: ToolEntry) -> ToolEntry:
    """The entry with its definition as canonical JSON, so that SHA-256 of the text is the hash that pins it."""
    server, _, name = tool.partition("/")
    _require(entry.server == server, "the entry is for another server than the tool's id names")
    try:
        definition = read_object(entry.definition, DEFINITION)
    except JsonRefused as error:
        raise ChangeRefused("DEFINITION_INVALID", f"{error.code}: {error}") from error
    _require(definition.value.get("name") == name, "the definition is of another tool", "DEFINITION_INVALID")
    same = canonical_hash(definition.value) == entry.definition_hash
    _require(same, "definition_hash is not the hash of the definition", "DEFINITION_HASH_MISMATCH")
    check_capability(entry.capability)
    _check_numbers(entry)
    _check_effect(entry)
    _check_reading(entry)
    return msgspec.structs.replace(entry, definition=definition.text)


def _check_numbers(entry: ToolEntry) -> None:
    _require(0 <= entry.price_micros <= MICROS_MAX, "price_micros is negative or too large")
    _require(1 <= entry.timeout_ms <= TIMEOUT_MS_MAX, f"timeout_ms is not within 1 and {TIMEOUT_MS_MAX}")
    _require(1 <= entry.attempts_max <= ATTEMPTS_MAX, f"attempts_max is not within 1 and {ATTEMPTS_MAX}")
    _require(1 <= entry.backoff_ms <= entry.backoff_max_ms <= HOUR_MS, "1 <= backoff_ms <= backoff_max_ms <= an hour")
    _require(0 <= entry.quiet_ms <= HOUR_MS, f"quiet_ms is not within 0 and {HOUR_MS}")
    _require(0 <= entry.key_window_ms <= WINDOW_MS_MAX, f"key_window_ms is not within 0 and {WINDOW_MS_MAX}")


def _check_effect(entry: ToolEntry) -> None:
    """What decides on calling again must not contradict itself: a write that counts as read would be done twice."""
    match entry.effect_class:
        case EffectClass.READ_ONLY:
            _require(entry.effect is EffectKind.READ, "a tool that writes is not READ_ONLY")
        case EffectClass.KEYED:
            placed = entry.key_placement is not KeyPlacement.NONE
            named = bool(entry.key_name) or entry.key_placement is KeyPlacement.META
            _require(placed and named, "a KEYED tool needs a place for its key")
            _check_window(entry)
        case EffectClass.QUERYABLE:
            _require(_TOOL.fullmatch(entry.query_tool) is not None, "a QUERYABLE tool needs a query_tool")
            _check_question(entry)
        case EffectClass.OPAQUE:
            pass
    keyed = entry.effect_class is EffectClass.KEYED
    _require(keyed or entry.key_window_ms == 0, "key_window_ms is for KEYED tools only")
    _require(len(entry.key_name) <= NAME_BYTES_MAX and entry.key_name.isprintable(), "key_name is no name")
    _require(len(entry.query_template) <= TEXT_MAX, f"query_template is longer than {TEXT_MAX} characters")


def _check_window(entry: ToolEntry) -> None:
    """A window in which nothing could be called again would promise what is not kept; 0 promises nothing."""
    if entry.key_window_ms:
        long_enough = entry.key_window_ms > entry.timeout_ms
        _require(long_enough, "key_window_ms must be longer than timeout_ms, or nothing can be called again in it")
        _require(entry.attempts_max > 1, "key_window_ms needs attempts_max of 2 or more")


def _check_question(entry: ToolEntry) -> None:
    try:
        read_object(entry.query_template or "{}", DEFINITION)
    except JsonRefused as error:
        raise ChangeRefused("VALUE_INVALID", f"query_template is no JSON object: {error}") from error


def _check_reading(entry: ToolEntry) -> None:
    paths = [path for path in (entry.target_path, entry.answer_cost_path) if path]
    for path in (*paths, *entry.secret_fields):
        _require(len(path) <= TEXT_MAX and PATH.fullmatch(path) is not None, f"{path[:100]!r} is no path")
    lists = (entry.extractors, entry.secret_fields, entry.roles_allowed)
    _require(all(len(one) <= LIST_MAX for one in lists), f"a list has more than {LIST_MAX} items")
    for extractor in entry.extractors:
        _check_extractor(extractor)
    _require(all(map(_is_claim, entry.roles_allowed)), "roles_allowed has something that is no role")
    # Nothing looks at a tool's own policy yet; to take one would promise what is not kept.
    _require(not entry.policy, "policies of single tools are not supported")


def _check_extractor(extractor: Extractor) -> None:
    _require(0 < len(extractor.type) <= 64 and extractor.type.isprintable(), "an extractor has no usable type")
    match extractor.kind:
        case ExtractorKind.STRUCTURED:
            usable = len(extractor.path) <= TEXT_MAX and PATH.fullmatch(extractor.path) is not None
        case ExtractorKind.TEXT:
            usable = 0 < len(extractor.pattern) <= TEXT_MAX and _is_pattern(extractor.pattern)
        case ExtractorKind.TEMPLATE:
            usable = 0 < len(extractor.template) <= TEXT_MAX
    _require(usable, f"an extractor of kind {extractor.kind} cannot be used")


def _is_pattern(pattern: str) -> bool:
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError):
        return False
    return True
