"""A whole small system on real servers, shared by the tests of one module, and connections of those who call it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from libs.client.connection import Connection
from libs.runtime.devkeys import Who, mint
from libs.stack.folders import home
from libs.stack.scratch import scratch
from libs.stack.shapes import Plan
from libs.stack.stack import Stack
from libs.testkit import seeding
from libs.testkit.system import System
from tests.conftest import wait_for

APPROVER = "approver"
DID = "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp"  # the key of zeros
GUARDED = "builtin/sleep"  # a person must agree to it
Connect = Callable[..., Connection]


@pytest.fixture(scope="module")
def system() -> Iterator[System]:
    """One worker, control, status and gateway, with the built-in tools in force."""
    with scratch(home() / "tests") as folder, Stack(folder) as ends:
        found = System(ends, folder, Plan(workers=1))
        try:
            wait_for(_start(found))
            yield found
            wait_for(found.stop())
        finally:
            found.kill_all()


@pytest.fixture
def caller(system: System) -> Connect:
    """Makes the connection of somebody, by default of an agent."""

    def connect(subject: str = "agent-1", kind: str = "MACHINE", roles: tuple[str, ...] = ()) -> Connection:
        who = Who(subject, seeding.TENANT, kind, ("account-0",), roles)
        return Connection(system.grpc("gateway"), system.grpc("status"), lambda *_: mint(system.folder.keys, who))

    return connect


async def _start(system: System) -> None:
    system.folder.create()
    (system.folder.root / "dids.toml").write_text(f'["{DID}"]\ntenant = "acme"\naccounts = ["account-0"]\n')
    await system.start()
    rule = {"tools": [GUARDED], "needed": 1, "roles": [APPROVER], "within_ms": 600_000}
    await system.seed([*seeding.standard(), seeding.policy({**seeding.POLICY, "approvals": [rule]})])
