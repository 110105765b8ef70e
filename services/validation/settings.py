"""Settings of validation."""

from __future__ import annotations

from pydantic import Field

from libs.runtime.settings import Password, Settings


class ValidationSettings(Settings):
    """What only validation needs."""

    status_database_url: Password | None = Field(
        None, description="The database of status, where cited ledger events are looked up; unset = they are refused."
    )
