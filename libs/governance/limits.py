"""What an intent may be at most. Intake and the gateway refuse by it, and clients say so before they send."""

from __future__ import annotations

import msgspec

from libs.contracts.events import Intent
from libs.governance.digests import JsonLimits

SECOND = 1_000_000  # microseconds
_NAMES = ("tool", "capability", "account", "snapshot_id", "run_id", "plan_id", "step_id", "parent_id")
_INT64_MAX = 2**63 - 1


class IntentLimits(msgspec.Struct, frozen=True):
    """What a submission may be at most."""

    record_bytes_max: int = 131_072
    arguments: JsonLimits = JsonLimits()
    key_bytes_max: int = 200
    name_bytes_max: int = 256
    evidence_max: int = 64
    sources_max: int = 32
    lifetime_max_s: int = 31 * 86_400
    skew_max_s: int = 60


LIMITS = IntentLimits()


class IntentRefused(ValueError):
    """A field is not as it must be, whoever submits it. `code` is stable, the message is for people."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


def check_intent(intent: Intent, at: int, limits: IntentLimits = LIMITS) -> None:
    """All that can be said without its token, its arguments and the registry; `at` in microseconds. Raises
    IntentRefused: FIELD_INVALID, EXPIRY_TOO_FAR. What has expired is not among it: when that counts is its reader's
    affair."""
    for name in ("idempotency_key", "tool"):
        if not getattr(intent, name):
            raise IntentRefused("FIELD_INVALID", f"{name} is empty")
    _check_text("idempotency_key", intent.idempotency_key, limits.key_bytes_max)
    for name in _NAMES:
        _check_text(name, getattr(intent, name), limits.name_bytes_max)
    if len(intent.evidence) > limits.evidence_max or len(intent.data_sources) > limits.sources_max:
        reason = f"more than {limits.evidence_max} items in evidence, or {limits.sources_max} in data_sources"
        raise IntentRefused("FIELD_INVALID", reason)
    for item in intent.evidence:
        _check_text("evidence", item.type + item.id, 2 * limits.name_bytes_max)
    for source in intent.data_sources:
        _check_text("data_sources", source.name, limits.name_bytes_max)
    if intent.cost_cap_micros is not None and intent.cost_cap_micros < 0:
        raise IntentRefused("FIELD_INVALID", "cost_cap_micros is negative")
    if not 0 < intent.expires_at <= _INT64_MAX:
        raise IntentRefused("FIELD_INVALID", "expires_at is no moment")
    if intent.expires_at > at + limits.lifetime_max_s * SECOND:
        raise IntentRefused("EXPIRY_TOO_FAR", f"expires_at is more than {limits.lifetime_max_s} s away")


def _check_text(name: str, text: str, bytes_max: int) -> None:
    if len(text.encode()) > bytes_max:
        raise IntentRefused("FIELD_INVALID", f"{name} is longer than {bytes_max} bytes")
    if not text.isprintable():
        raise IntentRefused("FIELD_INVALID", f"{name} has characters that cannot be printed")
