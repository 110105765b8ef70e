"""A gRPC server as all our fronts have it: guarded, bounded, with TLS off loopback and the standard health service."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from libs.runtime.rpc import Authenticate, Guard
from libs.runtime.settings import GrpcSettings, StartRefused
from libs.runtime.telemetry import Metrics


class GrpcServer:
    """One listening server. `port` is the real one after `start`."""

    def __init__(self, settings: GrpcSettings, authenticate: Authenticate, metrics: Metrics) -> None:
        self._settings = settings
        self._health = health.aio.HealthServicer()  # type: ignore[attr-defined]
        self._names: list[str] = [""]
        self.server: Any = grpc.aio.server(
            interceptors=(Guard(authenticate, metrics, settings.grpc_call_timeout_ms / 1000),),
            maximum_concurrent_rpcs=settings.grpc_calls_max,
            options=(
                ("grpc.max_receive_message_length", settings.grpc_request_bytes_max),
                ("grpc.max_metadata_size", 16_384),
                ("grpc.keepalive_time_ms", 30_000),
                ("grpc.keepalive_timeout_ms", 10_000),
                ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
                ("grpc.so_reuseport", 0),
            ),
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self.server)
        self.port = 0

    def add(self, name: str, add: Callable[[Any, Any], None], servicer: object) -> None:
        """Serve a service: its full name, the generated `add_...Servicer_to_server`, and the handler."""
        add(servicer, self.server)
        self._names.append(name)

    async def start(self) -> None:
        """Listen. Raises StartRefused when the port cannot be had."""
        address = f"{self._settings.grpc_host}:{self._settings.grpc_port}"
        try:
            if self._settings.grpc_cert_file:
                self.port = self.server.add_secure_port(address, self._credentials())
            else:
                self.port = self.server.add_insecure_port(address)
        except RuntimeError:
            raise StartRefused(f"DEED_GRPC_PORT is wrong: {address} cannot be opened.") from None
        await self.server.start()
        await self.serving(True)

    async def serving(self, yes: bool) -> None:
        """What the health service says of every service here."""
        status = health_pb2.HealthCheckResponse.SERVING if yes else health_pb2.HealthCheckResponse.NOT_SERVING
        for name in self._names:
            await self._health.set(name, status)

    async def stop(self, grace_s: float = 5.0) -> None:
        """Take no new calls, let the running ones end within the grace."""
        await self._health.enter_graceful_shutdown()
        await self.server.stop(grace_s)

    def _credentials(self) -> grpc.ServerCredentials:
        try:
            key = Path(self._settings.grpc_key_file).read_bytes()
            chain = Path(self._settings.grpc_cert_file).read_bytes()
        except OSError as error:
            raise StartRefused(f"DEED_GRPC_CERT_FILE or DEED_GRPC_KEY_FILE cannot be read: {error.strerror}.") from None
        return grpc.ssl_server_credentials([(key, chain)])
