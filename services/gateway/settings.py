"""Settings of the gateway."""

from __future__ import annotations

from pydantic import Field

from libs.runtime.settings import Settings


class GatewaySettings(Settings):
    """What only the gateway needs."""

    send_timeout_ms: int = Field(
        5_000, ge=100, le=60_000, description="How long a record may take to be on the log; after that it is unknown."
    )
