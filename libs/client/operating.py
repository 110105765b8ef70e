"""What operators' commands need besides the gateway: the log, the databases and the processes themselves. Each is what
a variable names, else that of the local system."""

from __future__ import annotations

import os

from pydantic import Field

from libs.runtime.settings import KafkaSettings, Secret, Settings, SettingsError, load
from libs.stack.errors import StackError
from libs.stack.folders import Folder, home
from libs.stack.report import Report
from libs.stack.report import load as load_report
from libs.stack.where import databases_of

SERVERS_FILE = "servers.toml"


class OperatorSettings(Settings):
    """How an operator's commands reach a deployment that is not the local system."""

    processes: tuple[str, ...] = Field(
        (), description="Addresses of all processes' HTTP ports, as a JSON list of URLs; empty = the local system's."
    )
    http_token: Secret | None = Field(None, description="Bearer token that their /metrics asks for.")
    servers_file: str = Field("", description="TOML file with the operator's tool servers; empty = the local one.")


def local() -> Report:
    """What the supervisor of the local system last said. Raises StackError when one may not look."""
    return load_report(Folder(home()))


def log_settings(lanes: int = 0) -> KafkaSettings:
    """How to reach the log. `lanes` 0 = as many as the local system has, else what DEED_LANES says. Raises
    SettingsError."""
    if os.environ.get("DEED_KAFKA_BOOTSTRAP"):
        return load(KafkaSettings)
    report = local()
    port = next((line.ports["kafka"] for line in report.lines if "kafka" in line.ports), 0)
    if not port:
        raise SettingsError("No Kafka runs here: `deed up`, or name the brokers in DEED_KAFKA_BOOTSTRAP.")
    return load(KafkaSettings, kafka_bootstrap=f"127.0.0.1:{port}", lanes=lanes or report.lanes)


def databases() -> list[str]:
    """The DSNs of all databases with rows of services: those of the local system, or the ones that DEED_DATABASE_URL
    names, separated by spaces. Raises SettingsError."""
    if given := os.environ.get("DEED_DATABASE_URL", "").split():
        return given
    try:
        return databases_of(Folder(home()))
    except StackError as error:
        raise SettingsError(str(error)) from None


def servers_file() -> str:
    """The file with the operator's tool servers."""
    return load(OperatorSettings).servers_file or str(Folder(home()).root / SERVERS_FILE)
