"""What may be tried again, and as what: under a key that is made of the old id, so that it is one new intent however
often it is asked for."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from libs.client.errors import InvalidRequest
from libs.client.intents import LIFETIME, Intent
from libs.client.results import Deed, State
from libs.governance.remedies import remedy


def check_may_be_retried(deed: Deed) -> None:
    """Raises InvalidRequest (ALREADY_DONE, IN_DOUBT, NOT_ENDED) unless nothing of it happened and nothing more will:
    the new intent has an effect of its own."""
    if deed.state is State.SUCCEEDED:
        raise InvalidRequest("it was carried out", "ALREADY_DONE", "To do it once more, submit it under a new key.")
    if deed.state is State.IN_DOUBT:
        raise InvalidRequest("nobody knows whether it happened", "IN_DOUBT", remedy("IN_DOUBT"))
    if not deed.ended:
        told = f"`deed explain {deed.intent_id}` says what it waits for; cancel it, or wait for its end."
        raise InvalidRequest(f"it is {deed.state.value}", "NOT_ENDED", told)


def again(intent_id: str, intent: Intent, now: datetime) -> Intent:
    """The intent that tries the one of this id again. One that has expired gets a new expiry, the same for a while."""
    expires_at = not_late(intent.expires_at, now)
    return replace(intent, key=_key(intent_id), retry_of=intent_id, expires_at=expires_at)


def is_retry(intent: Intent) -> bool:
    """Was it made by `again`? Whoever has used its key before has then retried the same."""
    return intent.retry_of != "" and intent.key == _key(intent.retry_of)


def _key(intent_id: str) -> str:
    return f"retry-of-{intent_id}"


def not_late(expires_at: datetime, now: datetime) -> datetime:
    """The same moment if it is still to come; else whole lifetimes later, and at least half of one from now: who asks
    twice within a while shall say the same twice."""
    if expires_at > now:
        return expires_at
    lives = -((expires_at - now - LIFETIME / 2) // LIFETIME)
    return expires_at + lives * LIFETIME
