"""What the status front needs of the projection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from services.status.view import IntentView


@dataclass(frozen=True)
class Place:
    """Where a page ended: newest first, then by key."""

    at: int
    key: bytes


@dataclass(frozen=True)
class Listed:
    """One intent of a page."""

    place: Place
    view: IntentView


class StatusStore(Protocol):
    """Views of intents. Every method raises Away when the projection does not answer."""

    async def get(self, intent_id: bytes) -> IntentView | None:
        """The view of one intent; None if there is none."""
        ...

    async def page(self, tenant: str, accounts: Sequence[str], limit: int, after: Place | None) -> list[Listed]:
        """Intents of these accounts of a tenant, newest first; '' stands for intents without an account."""
        ...

    async def changed(self, intent_id: bytes, after_version: int, timeout_s: float) -> IntentView | None:
        """The view as soon as its version is above the given one; None when that did not happen in time."""
        ...
