"""What intake refuses in an intent whoever submits it, said before it is sent: on Kafka nobody would answer. Intake
looks again, and a test holds both to the same limits and codes."""

from __future__ import annotations

from libs.client.errors import InvalidRequest
from libs.contracts import events

RECORD_BYTES_MAX = 131_072
KEY_BYTES_MAX, NAME_BYTES_MAX = 200, 256
EVIDENCE_MAX, SOURCES_MAX = 64, 32
LIFETIME_MAX_S = 31 * 86_400
SECOND = 1_000_000
_NAMES = ("tool", "capability", "account", "snapshot_id", "run_id", "plan_id", "step_id", "parent_id")
_SENT_BEFORE = (
    "If it may have been submitted before, ask what became of it (`Client.get`, `deed get`); else submit it with a"
    " later expiry."
)


def check(event: events.Intent, now_at: int) -> None:
    """Raises InvalidRequest (FIELD_INVALID, EXPIRED, EXPIRY_TOO_FAR). `now_at`: microseconds since 1970. What its
    token may do, and what the registry says of its tool, only the services know."""
    if not event.idempotency_key or not event.tool:
        raise InvalidRequest(f"{'tool' if event.idempotency_key else 'key'} is empty", "FIELD_INVALID")
    _check_text("key", event.idempotency_key, KEY_BYTES_MAX)
    for name in _NAMES:
        _check_text(name, getattr(event, name), NAME_BYTES_MAX)
    if len(event.evidence) > EVIDENCE_MAX or len(event.data_sources) > SOURCES_MAX:
        raise InvalidRequest(
            f"evidence has more than {EVIDENCE_MAX} items, or data_sources more than {SOURCES_MAX}", "FIELD_INVALID"
        )
    for item in event.evidence:
        _check_text("evidence", item.type + item.id, 2 * NAME_BYTES_MAX)
    for source in event.data_sources:
        _check_text("data_sources", source.name, NAME_BYTES_MAX)
    if event.cost_cap_micros is not None and event.cost_cap_micros < 0:
        raise InvalidRequest("cost_cap_micros is negative", "FIELD_INVALID")
    _check_expiry(event.expires_at, now_at)


def check_size(value: bytes) -> None:
    """The same for a record as it is sent. Raises InvalidRequest (OVERSIZE)."""
    if len(value) > RECORD_BYTES_MAX:
        raise InvalidRequest(f"it has {len(value)} bytes, and {RECORD_BYTES_MAX} are taken", "OVERSIZE")


def _check_expiry(expires_at: int, now_at: int) -> None:
    if expires_at <= 0:
        raise InvalidRequest("expires_at is before 1970", "FIELD_INVALID")
    if expires_at <= now_at:
        raise InvalidRequest("expires_at is over", "EXPIRED", _SENT_BEFORE)
    if expires_at > now_at + LIFETIME_MAX_S * SECOND:
        raise InvalidRequest(f"expires_at is more than {LIFETIME_MAX_S // 86_400} days away", "EXPIRY_TOO_FAR")


def _check_text(name: str, text: str, bytes_max: int) -> None:
    if len(text.encode()) > bytes_max:
        raise InvalidRequest(f"{name} is longer than {bytes_max} bytes", "FIELD_INVALID")
    if not text.isprintable():
        raise InvalidRequest(f"{name} has characters that cannot be printed", "FIELD_INVALID")
