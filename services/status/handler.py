"""The front of status: one intent, an account's intents, one intent as it changes, or a submission. It shows
nothing that is not on the ledger, and nothing to those whom it does not concern."""

from __future__ import annotations

# ruff: noqa: N802 - the contract names the methods
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

from libs.contracts.proto.deedbook.status.v1 import status_pb2 as pb
from libs.contracts.proto.deedbook.status.v1 import status_pb2_grpc as rpc
from libs.governance.commands import may_see
from libs.runtime.clock import boottime_ms, wall_micros
from libs.runtime.grpc_server import GrpcServer
from libs.runtime.requests import read_digest, read_id, read_page_size, read_place, show_place
from libs.runtime.rpc import AccountDenied, Authenticate, Away, BadRequest, NotFound, Overloaded, caller
from libs.runtime.settings import GrpcSettings
from libs.runtime.telemetry import Metrics
from services.status.adapters.wire import show, show_rejected, show_submitted
from services.status.ports import Place, StatusStore
from services.status.settings import StatusSettings
from services.status.submissions import Rejection, standing
from services.status.view import IntentView, is_ended

NAME = "deedbook.status.v1.StatusService"
LOOK_AGAIN_S = 5.0


class StatusHandler(rpc.StatusServiceServicer):
    """Answers from the projection. `lanes`: how many there are, since positions name theirs."""

    def __init__(self, store: StatusStore, settings: StatusSettings, metrics: Metrics, lanes: int) -> None:
        self._store = store
        self._settings = settings
        self._metrics = metrics
        self._lanes = lanes
        self._watches: Counter[str] = Counter()  # by tenant, so that none can take all of them

    async def Get(self, request: pb.GetRequest, context: Any) -> pb.GetResponse:
        key = read_id(request.intent_id, "intent_id")
        return pb.GetResponse(intent=show(key, await self._visible(key), wall_micros(), self._lanes))

    async def List(self, request: pb.ListRequest, context: Any) -> pb.ListResponse:
        who = caller()
        if request.account and request.account not in who.accounts:
            raise AccountDenied
        accounts = (request.account,) if request.account else ("", *dict.fromkeys(who.accounts))
        size = read_page_size(request.page_size if request.HasField("page_size") else None)
        found = await self._store.page(who.tenant, accounts, size + 1, _read_place(request.page_token))
        page, now_at = found[:size], wall_micros()
        more = f"{page[-1].place.at}.{page[-1].place.key.hex()}" if len(found) > size else ""
        return pb.ListResponse(
            intents=[show(one.place.key, one.view, now_at, self._lanes, details=False) for one in page],
            next_page_token=show_place(more),
        )

    async def GetSubmission(self, request: pb.GetSubmissionRequest, context: Any) -> pb.GetSubmissionResponse:
        key = read_id(request.submission_id, "submission_id")
        digest = read_digest(request.content_digest, "content_digest") if request.content_digest else None
        intent_id = read_id(request.intent_id, "intent_id") if request.intent_id else None
        rejected = await self._rejection(key)
        if rejected is not None:
            return pb.GetSubmissionResponse(submission=show_rejected(key, rejected))
        if intent_id is None:
            raise NotFound
        view = await self._visible(intent_id)
        shown = show_submitted(key, intent_id, view, standing(view.origin, key, digest))
        return pb.GetSubmissionResponse(submission=shown)

    async def Watch(self, request: pb.WatchRequest, context: Any) -> AsyncIterator[pb.WatchResponse]:
        tenant = caller().tenant
        if self._watches[tenant] >= self._settings.watches_tenant_max:
            raise Overloaded("your tenant watches too much at once; end some, or ask again later", "WATCHES_OF_TENANT")
        if self._watches.total() >= self._settings.watches_max:
            raise Overloaded
        self._count(tenant, 1)
        try:
            key = read_id(request.intent_id, "intent_id")
            async with aclosing(self._versions(key, request.after_version)) as views:
                async for view in views:
                    yield pb.WatchResponse(intent=show(key, view, wall_micros(), self._lanes))
        finally:
            self._count(tenant, -1)

    def _count(self, tenant: str, more: int) -> None:
        self._watches[tenant] += more
        if not self._watches[tenant]:
            del self._watches[tenant]
        self._metrics.watches.set(self._watches.total())

    async def _versions(self, key: bytes, after: int) -> AsyncGenerator[IntentView, None]:
        """Each version above `after`, until the intent has ended. A stream must not outlive its token, so it has a
        longest time, after which the caller comes again."""
        until_ms = boottime_ms() + self._settings.watch_max_s * 1000
        view = await self._visible(key)
        while True:
            if view.version > after:
                after = view.version
                yield view
            if is_ended(view):
                return
            left_s = (until_ms - boottime_ms()) / 1000
            if left_s <= 0:
                raise Away("the stream has been open long enough; watch again from the last version", "WATCH_AGAIN")
            view = await self._store.changed(key, after, min(left_s, LOOK_AGAIN_S)) or view

    async def _rejection(self, key: bytes) -> Rejection | None:
        """Only the tenant that submitted is told."""
        view = await self._store.get(key)
        found = view.rejection if view is not None else None
        return found if found is not None and found.tenant == caller().tenant else None

    async def _visible(self, key: bytes) -> IntentView:
        """The view, if it is there and concerns the caller. Raises NotFound, in the same words, for both."""
        view = await self._store.get(key)
        if view is None or not view.tenant or not may_see(caller(), view.tenant, view.account):
            raise NotFound
        return view


def make_server(
    store: StatusStore,
    authenticate: Authenticate,
    settings: tuple[GrpcSettings, StatusSettings],
    metrics: Metrics,
    lanes: int,
) -> GrpcServer:
    """The status port; not started yet."""
    grpc, status = settings
    server = GrpcServer(grpc, authenticate, metrics)
    server.add(NAME, rpc.add_StatusServiceServicer_to_server, StatusHandler(store, status, metrics, lanes))
    return server


def _read_place(token: str) -> Place | None:
    place = read_place(token)
    if not place:
        return None
    at, _, key = place.partition(".")
    try:
        found = Place(int(at), bytes.fromhex(key))
    except ValueError:
        found = Place(-1, b"")
    if not 0 <= found.at < 2**63 or len(found.key) != 16:
        raise BadRequest("page_token is none that was given out")
    return found
