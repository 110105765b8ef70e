"""Settings of the status front."""

from __future__ import annotations

from pydantic import Field

from libs.runtime.settings import Settings


class StatusSettings(Settings):
    """What only the status front needs."""

    watch_poll_ms: int = Field(50, ge=10, le=5_000, description="How often the database is asked for changes.")
    watch_max_s: int = Field(900, ge=1, le=3_600, description="Longest stream; its client then comes again.")
    watches_max: int = Field(500, ge=1, le=100_000, description="Most streams at once.")
    watches_tenant_max: int = Field(100, ge=1, le=100_000, description="Most streams at once of one tenant.")
    readers_max: int = Field(4, ge=1, le=100, description="Most database connections for answers.")
