"""Where the local system keeps the rows of a service."""

from __future__ import annotations

import os

from libs.stack.databases import with_database
from libs.stack.errors import NoSuchService, NothingRuns
from libs.stack.folders import Folder
from libs.stack.ports import Ports
from libs.stack.postgres import NAME, Postgres
from libs.stack.report import load
from libs.stack.shapes import Plan
from libs.stack.topics import DECIDERS


def database_of(folder: Folder, service: str) -> str:
    """The DSN of the database with the schema of this service, in the shape that runs. Raises NoSuchService for
    one that keeps no rows, NothingRuns when nothing runs: the rows may then be in the databases of either shape."""
    rows = {row.name: row.database for row in _plan(folder).rows}
    database = rows.get(service) or (rows["w1"] if service in DECIDERS else "")
    if not database:
        raise NoSuchService(f"{service} keeps no rows; these do: {', '.join((*DECIDERS, 'control', 'status'))}.")
    return with_database(_server(folder), database)


def databases_of(folder: Folder) -> list[str]:
    """The DSNs of all databases of the shape that runs. Raises NothingRuns when nothing runs."""
    return [with_database(_server(folder), database) for database in _plan(folder).databases]


def _plan(folder: Folder) -> Plan:
    report = load(folder)
    if not report.lines:
        raise NothingRuns("Nothing runs: `deed up`, or name the database of the service in DEED_DATABASE_URL.")
    return Plan(report.shape)


def _server(folder: Folder) -> str:
    return os.environ.get("DEED_POSTGRES_DSN") or _own_server(folder)


def _own_server(folder: Folder) -> str:
    postgres = Postgres(folder, Ports(folder.ports))
    postgres.port = next((line.ports[NAME] for line in load(folder).lines if line.name == NAME), 0)
    return postgres.dsn
