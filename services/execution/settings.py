"""Settings of execution: where the operator's tool servers are described, where evidence is kept, and the limits."""

from __future__ import annotations

from pydantic import Field

from libs.runtime.settings import Secret, Settings, Text


class ToolSettings(Settings):
    """What the tool adapters need. The command line of a tool server stands in `servers_file` and nowhere else."""

    effect_key_secret: Secret = Field(
        description="Secret from which the idempotency keys of KEYED tools are derived; never changed."
    )
    servers_file: str = Field("", description="TOML file with the operator's tool servers; empty = none but built-in.")
    artifacts_dir: Text = Field(".deedbook/artifacts", description="Folder in which raw answers of tools are kept.")
    journal: Text = Field(".deedbook/journal", description="File to which the tool builtin/journal appends each call.")
    journal_fsync: bool = Field(False, description="Flush the journal to disk before each answer.")
    answer_bytes_max: int = Field(
        1_048_576, ge=1024, le=67_108_864, description="Longest answer of a tool that is read; above, it is refused."
    )
    connect_timeout_ms: int = Field(
        15_000, ge=100, le=120_000, description="Limit for starting a tool server and for listing its tools."
    )
    definitions_max_age_ms: int = Field(
        1000, ge=0, le=60_000, description="A tool's definition is looked at again before a call when older than this."
    )
