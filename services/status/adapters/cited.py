"""Whose is an event that an intent cites? Asked of the projection, by the intent that the event is about: so that no
event needs an entry in an index of its own for the few that are ever cited."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from libs.ledger.database import CONNECT_ERRORS
from libs.ledger.service import Citation
from libs.runtime.clock import boottime_ms
from libs.runtime.logs import logger
from services.status.view import IntentView

STATES = files("services.status.sql").joinpath("cited.sql").read_text()
TIMEOUT_S = 0.5  # others wait meanwhile
AWAY_MS = 5_000  # who did not answer is not asked again for so long


class CitedEvents:
    """The lane's look-up (libs.ledger.outside.LookUp). Connects when it is asked for the first time; raises nothing."""

    def __init__(self, url: str, now_ms: Callable[[], int] = boottime_ms) -> None:
        self._url = url
        self._now_ms = now_ms
        self._away_until_ms = 0
        self._connection: asyncpg.Connection[Any] | None = None
        self._decode = msgspec.msgpack.Decoder(IntentView).decode
        self._log = logger(__name__)

    async def __call__(self, citations: Sequence[Citation]) -> Mapping[Citation, str | None]:
        """The tenant of each event, "" for none; None for all when the projection does not answer in time."""
        if self._now_ms() < self._away_until_ms:
            return {}
        try:
            async with asyncio.timeout(TIMEOUT_S):
                views = await self._views({intent_id for intent_id, _ in citations})
        except (*CONNECT_ERRORS, msgspec.MsgspecError, ValueError) as error:  # a newer release's view, no address
            self._away_until_ms = self._now_ms() + AWAY_MS
            self._drop()
            self._log.warning("cited events cannot be looked up", error=repr(error))
            return {}
        return {(key, event): owner_of(views.get(key), event) for key, event in citations}

    async def close(self) -> None:
        """End the connection."""
        self._drop()

    async def _views(self, keys: set[bytes]) -> dict[bytes, IntentView]:
        if self._connection is None:
            settings = {"application_name": "validation/cited", "default_transaction_read_only": "on"}
            self._connection = await asyncpg.connect(self._url, timeout=TIMEOUT_S, server_settings=settings)
        rows = await self._connection.fetch(STATES, [UUID(bytes=key) for key in keys])
        return {row["key"].bytes: self._decode(row["state"]) for row in rows}

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None


def owner_of(view: IntentView | None, event_id: bytes) -> str:
    """The tenant whose event it is; "" if the view has no such event, or dropped it from a very long timeline."""
    if view is None:
        return ""
    if view.rejection is not None and view.rejection.event_id == event_id:
        return view.rejection.tenant
    return view.tenant if any(entry.event_id == event_id for entry in view.entries) else ""
