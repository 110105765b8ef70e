"""What intake refuses in an intent whoever submits it, said before it is sent: on Kafka nobody would answer."""

from __future__ import annotations

from libs.client.errors import InvalidRequest
from libs.contracts import events
from libs.governance.limits import LIMITS, IntentRefused, check_intent

_SENT_BEFORE = (
    "If it may have been submitted before, ask what became of it (`Client.get`, `deed get`); else submit it with a"
    " later expiry."
)


def check(event: events.Intent, now_at: int) -> None:
    """Raises InvalidRequest (FIELD_INVALID, EXPIRED, EXPIRY_TOO_FAR). `now_at`: microseconds since 1970. What its
    token may do, and what the registry says of its tool, only the services know."""
    try:
        check_intent(event, now_at)
    except IntentRefused as error:
        raise InvalidRequest(str(error), error.code) from None
    if event.expires_at <= now_at:
        raise InvalidRequest("expires_at is over", "EXPIRED", _SENT_BEFORE)


def check_size(value: bytes) -> None:
    """The same for a record as it is sent. Raises InvalidRequest (OVERSIZE)."""
    if len(value) > LIMITS.record_bytes_max:
        raise InvalidRequest(f"it has {len(value)} bytes, and {LIMITS.record_bytes_max} are taken", "OVERSIZE")
