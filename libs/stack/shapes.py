"""Which processes make up a system, in one table per shape, and the environment that each is started with."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from libs.runtime import devkeys
from libs.stack.databases import with_database
from libs.stack.folders import Folder
from libs.stack.ports import Ports
from libs.stack.stack import Endpoints
from libs.stack.topics import DECIDERS

SHAPES = ("colocated", "separate")
WORKERS = 2
SERVERS = "# The tool servers of this machine: [servers.<name>] with argv, cwd, env, env_from.\n"
DIDS = '# Who may propose by their own signature: ["did:..."] with tenant, accounts, roles, kind; see `deed did`.\n'


@dataclass(frozen=True)
class Row:
    """One process. `stage` is the order of stopping: fronts first, then who decides, then who only reads."""

    name: str
    module: tuple[str, ...]
    database: str = ""
    grpc: bool = False
    stage: int = 1


@dataclass(frozen=True)
class Plan:
    """What is to run."""

    shape: str = "colocated"
    workers: int = WORKERS
    lanes: int = 8

    @property
    def rows(self) -> tuple[Row, ...]:
        """The processes of this shape."""
        beside = (
            Row("control", ("services.control",), "deedbook_control", stage=2),
            Row("status", ("services.status",), "deedbook_status", grpc=True, stage=2),
            Row("gateway", ("services.gateway",), grpc=True, stage=0),
        )
        if self.shape == "separate":
            return (*(Row(name, (f"services.{name}",), f"deedbook_{name}") for name in DECIDERS), *beside)
        hosted = ("services", "--host", ",".join(DECIDERS))
        return (*(Row(f"w{number}", hosted, "deedbook") for number in range(1, self.workers + 1)), *beside)

    @property
    def databases(self) -> tuple[str, ...]:
        """The databases that these processes need."""
        return tuple(dict.fromkeys(row.database for row in self.rows if row.database))


def argv(row: Row) -> list[str]:
    """The command line of a row."""
    return [sys.executable, "-m", *row.module]


def environment(row: Row, plan: Plan, ends: Endpoints, folder: Folder) -> dict[str, str]:
    """The environment of a row: what the stack knows goes over what was inherited, what a person set over defaults."""
    ports = Ports(folder.ports)
    known = {
        "DEED_PROCESS": row.name,
        "DEED_KAFKA_BOOTSTRAP": ends.kafka_bootstrap,
        "DEED_LANES": str(plan.lanes),
        "DEED_SHAPE": plan.shape,
        "DEED_HTTP_PORT": str(ports.get(f"{row.name}-http")),
    }
    if row.database:
        known["DEED_DATABASE_URL"] = with_database(ends.postgres_dsn, row.database)
    if row.name == "validation" or row.module[0] == "services":  # who hosts validation looks cited events up
        known["DEED_STATUS_DATABASE_URL"] = with_database(ends.postgres_dsn, "deedbook_status")
    if row.grpc:
        known["DEED_GRPC_PORT"] = str(ports.get(f"{row.name}-grpc"))
    return {**defaults(folder), **os.environ, **known}


def defaults(folder: Folder) -> Mapping[str, str]:
    """Settings for a laptop: an issuer of tokens of its own, a secret of its own, everything below the data folder."""
    devkeys.ensure(folder.keys)
    return {
        **devkeys.variables(folder.keys),
        "DEED_EFFECT_KEY_SECRET": _secret(folder.keys / "effect-key"),
        "DEED_ARTIFACTS_DIR": str(folder.root / "artifacts"),
        "DEED_JOURNAL": str(folder.root / "journal"),
        "DEED_SERVERS_FILE": _table(folder.root / "servers.toml", SERVERS),
        "DEED_DIDS_FILE": _table(folder.root / "dids.toml", DIDS),
    }


def _secret(file: Path) -> str:
    if not file.exists():
        file.touch(mode=0o600)
        file.write_text(secrets.token_urlsafe(32))
    return file.read_text()


def _table(file: Path, head: str) -> str:
    """A file for the operator to fill."""
    if not file.exists():
        file.write_text(head)
    return str(file)
