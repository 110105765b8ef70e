"""The SDK of Deedbook: what a program needs to propose actions, to follow them, and to decide about them.

import asyncio
from deedbook import Client, Intent

async def main() -> None:
    async with Client() as client:
        submitted = await client.submit(Intent(tool="git/git_status", arguments={"repo_path": "/srv/repo"}))
        deed = await client.wait(submitted)
        print(deed.state, deed.cost_micros)

asyncio.run(main())
"""

from libs.client.client import Client
from libs.client.connection import Connection, connect
from libs.client.errors import (
    DeedbookError,
    InvalidRequest,
    Misconfigured,
    NotFound,
    NotSucceeded,
    Overloaded,
    PermissionDenied,
    ServerError,
    SubmissionRejected,
    TimedOut,
    Unauthenticated,
    Unavailable,
)
from libs.client.intents import DataSource, Evidence, Intent
from libs.client.results import Deed, State, Submitted
from libs.client.settings import ClientSettings
from libs.contracts.events import CostClass, EvidenceKind
from libs.contracts.events import FailureCategory as Category

__all__ = [
    "Category",
    "Client",
    "ClientSettings",
    "Connection",
    "CostClass",
    "DataSource",
    "Deed",
    "DeedbookError",
    "Evidence",
    "EvidenceKind",
    "Intent",
    "InvalidRequest",
    "Misconfigured",
    "NotFound",
    "NotSucceeded",
    "Overloaded",
    "PermissionDenied",
    "ServerError",
    "State",
    "SubmissionRejected",
    "Submitted",
    "TimedOut",
    "Unauthenticated",
    "Unavailable",
    "connect",
]
