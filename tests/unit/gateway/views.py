"""Views in memory, as status keeps them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry

from libs.governance.identity import intent_id
from libs.runtime.clock import wall_micros
from libs.runtime.settings import load
from libs.runtime.telemetry import Metrics
from services.status.handler import StatusHandler
from services.status.ports import Listed, Place
from services.status.settings import StatusSettings
from services.status.timeline import Entry
from services.status.view import IntentView, Standing, State

ONE = intent_id("acme", "one")
NOW = wall_micros()
PENDING = IntentView(
    tenant="acme",
    account="a1",
    tool="git/git_log",
    requester="agent-1",
    standing=Standing((10, 0, 0), State.PENDING),
    accepted_at=NOW,
    updated_at=NOW,
    expires_at=NOW + 86_400_000_000,
    version=1,
    stages=(("accepted", NOW),),
    positions=(("ledger.intake", 7),),
    entries=(Entry(NOW, "ledger.intake", 7, bytes(16), "IntentAccepted", "agent-1", "acme", "", "", 3),),
)


class FakeStore:
    """Views in memory; `put` wakes watchers."""

    def __init__(self, **views: IntentView) -> None:
        self.views = {intent_id("acme", name): view for name, view in views.items()}
        self.moved = asyncio.Event()
        self.asked: list[Any] = []

    def put(self, key: bytes, view: IntentView) -> None:
        self.views[key] = view
        self.moved.set()

    async def get(self, intent_id: bytes) -> IntentView | None:
        return self.views.get(intent_id)

    async def page(self, tenant: str, accounts: Sequence[str], limit: int, after: Place | None) -> list[Listed]:
        self.asked.append((tenant, tuple(accounts), limit, after))
        found = [
            Listed(Place(view.accepted_at, key), view)
            for key, view in self.views.items()
            if view.tenant == tenant and view.account in accounts
        ]
        found.sort(key=lambda one: (-one.place.at, one.place.key))
        rest = [one for one in found if after is None or (-one.place.at, one.place.key) > (-after.at, after.key)]
        return rest[:limit]

    async def changed(self, intent_id: bytes, after_version: int, timeout_s: float) -> IntentView | None:
        while (view := self.views[intent_id]).version <= after_version:
            self.moved.clear()
            try:
                await asyncio.wait_for(self.moved.wait(), timeout_s)
            except TimeoutError:
                return None
        return view


def handler(store: FakeStore, **given: Any) -> StatusHandler:
    return StatusHandler(store, load(StatusSettings, **given), Metrics(CollectorRegistry()), 8)


def changed(view: IntentView, **fields: Any) -> IntentView:
    return msgspec.structs.replace(view, version=view.version + 1, **fields)


def ended(view: IntentView, state: State = State.SUCCEEDED) -> IntentView:
    return changed(view, standing=Standing((90, 0, 0), state), ended_at=NOW + 5)
