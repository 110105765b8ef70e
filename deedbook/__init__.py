"""The SDK of Deedbook: what a program needs to propose actions, to follow them, and to decide about them.

>>> from deedbook import Intent, SyncClient
>>> with SyncClient() as client:
...     intent = Intent(tool="builtin/journal", capability="builtin.journal", arguments={"line": "paid"})
...     print(client.wait(client.submit(intent)).succeeded_or_raise().state)
SUCCEEDED

`Client` is the same for programs that use asyncio. An agent proposes and waits; it never acts:

- `Intent`: what is to be done, on what evidence, until when. Keep it: submitted again it is the same intent.
- `submit` makes it durable, `wait` gives the `Deed` when it has ended; `deed.code`, `.reason` and `.remedy` say why.
- What cannot be answered raises a `DeedbookError` with `code`, `category`, `reason` and `remedy`.
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
from libs.client.results import (
    Approval,
    Attempt,
    AttemptStatus,
    Ballot,
    Consent,
    Deed,
    Doubt,
    Entry,
    Finding,
    Money,
    ObjectRef,
    Position,
    Progress,
    Stage,
    State,
    Submitted,
    Waiting,
)
from libs.client.settings import ClientSettings
from libs.client.sync import SyncClient
from libs.contracts.events import CostClass, EvidenceKind
from libs.contracts.events import FailureCategory as Category

__all__ = [
    "Approval",
    "Attempt",
    "AttemptStatus",
    "Ballot",
    "Category",
    "Client",
    "ClientSettings",
    "Connection",
    "Consent",
    "CostClass",
    "DataSource",
    "Deed",
    "DeedbookError",
    "Doubt",
    "Entry",
    "Evidence",
    "EvidenceKind",
    "Finding",
    "Intent",
    "InvalidRequest",
    "Misconfigured",
    "Money",
    "NotFound",
    "NotSucceeded",
    "ObjectRef",
    "Overloaded",
    "PermissionDenied",
    "Position",
    "Progress",
    "ServerError",
    "Stage",
    "State",
    "SubmissionRejected",
    "Submitted",
    "SyncClient",
    "TimedOut",
    "Unauthenticated",
    "Unavailable",
    "Waiting",
    "connect",
]
