"""The status service: a projection of the whole ledger on lanes of its own, and the gRPC front that answers from it."""

from __future__ import annotations

from libs.runtime.authentication import Authenticator
from libs.runtime.hosting import Given, Hosting, host
from libs.runtime.keyset import KeySource
from libs.runtime.logs import logger
from libs.runtime.process import Process, run
from libs.runtime.settings import AuthSettings, DatabaseSettings, GrpcSettings, KafkaSettings, load
from services.status.adapters.postgres import PostgresStatus
from services.status.handler import make_server
from services.status.settings import StatusSettings
from services.table import TABLE

PACE_MS = 50
FOLDED_AT_ONCE = 2_000  # the facts of one intent come in several topics: together they cost one row, not seven


async def main(process: Process) -> None:
    """Fold the ledger and answer, until told to stop."""
    keys = KeySource(load(AuthSettings))
    await keys.start()

    async def serve(hosting: Hosting) -> None:
        settings = load(StatusSettings)
        store = await PostgresStatus.open(load(DatabaseSettings), settings)
        lanes = load(KafkaSettings).lanes
        server = make_server(store, Authenticator(keys), (load(GrpcSettings), settings), process.metrics, lanes)
        await server.start()
        logger(__name__).info("serving", grpc_port=server.port)
        try:
            await process.stopping.wait()
        finally:
            await server.stop()
            await store.close()

    try:
        await host(process, [TABLE["status"]], Given(beside=serve, batch_max=FOLDED_AT_ONCE, pace_ms=PACE_MS))
    finally:
        await keys.stop()


if __name__ == "__main__":
    run("status", main)
