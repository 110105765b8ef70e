"""An intent that killed its service three times was set aside. People see it, are told what to do, and let it go on."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from typer.testing import CliRunner

from libs.client.cli import build
from libs.runtime.devkeys import Who, mint
from libs.runtime.logs import trace_id
from libs.stack.databases import with_database
from libs.stack.folders import home
from libs.stack.scratch import scratch
from libs.stack.shapes import Plan
from libs.stack.stack import Stack
from libs.testkit import seeding
from libs.testkit.system import System

pytestmark = pytest.mark.integration
LEASE = {"DEED_LEASE_MS": "1500", "DEED_LEASE_MARGIN_MS": "200"}
DEATHS = 3
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
async def system() -> AsyncIterator[System]:
    """Each service is a process of its own, so that one can be killed alone."""
    with scratch(home() / "tests") as folder:
        stack = Stack(folder)
        found = System(await asyncio.to_thread(stack.start), folder, Plan("separate", lanes=2), LEASE)
        try:
            await found.start()
            await found.seed()
            yield found
        finally:
            found.kill_all()
            await asyncio.to_thread(stack.stop)


async def deed(system: System, *words: str) -> tuple[str, int]:
    """What the program says to an operator, and its exit code."""
    olga = Who("olga", seeding.TENANT, "HUMAN", ("account-0",), ("operator",))
    env = {
        "DEED_GATEWAY": system.grpc("gateway"),
        "DEED_STATUS": system.grpc("status"),
        "DEED_TOKEN": mint(system.folder.keys, olga),
        "DEED_DATABASE_URL": " ".join(with_database(system.ends.postgres_dsn, one) for one in system.plan.databases),
    }
    said = await asyncio.to_thread(CliRunner().invoke, build(), words, None, env)
    return said.output, said.exit_code


@pytest.mark.requirement("T5")
@pytest.mark.requirement("K3")
async def test_what_was_set_aside_is_seen_explained_and_taken_up_again(system: System) -> None:
    system.signal("validation", signal.SIGKILL)
    key = (await system.submit([seeding.intent("poison", trace_parent=TRACE)]))[0]
    for _ in range(DEATHS):
        system.respawn("validation", DEED_FAILPOINT="before-commit:1")
        await asyncio.to_thread(system.running["validation"].popen.wait, 60)
    system.respawn("validation")
    await system.ready()
    intent = str(UUID(bytes=key))
    explained: dict[str, Any] = {}
    for _ in range(600):
        said, exit_code = await deed(system, "explain", intent, "--json")
        explained = json.loads(said) if exit_code == 0 else {}
        if explained.get("who"):
            break
        await asyncio.sleep(0.1)
    assert explained["who"] == "operator", explained
    assert explained["reasons"][0][0] == "KILLED_PROCESS"
    assert f"deed unpark {intent} --service validation" in explained["next"][0]
    log = (system.folder.logs / "validation.log").read_text()
    lines = [json.loads(line) for line in log.splitlines() if f"{key.hex()} parked" in line]
    assert [line["trace_id"] for line in lines] == [trace_id(TRACE)], "of all its lines, those about the intent"
    said, _ = await deed(system, "stuck")
    assert "a repair of validation" in said
    assert f"deed unpark {intent} --service validation" in said, "by the rows of validation"
    said, exit_code = await deed(system, "unpark", intent, "--reason", "it was the failpoint")
    assert (said, exit_code) == (f"It goes on. The intent is {said.split()[-1]}\n", 0)
    said, exit_code = await deed(system, "watch", intent)
    assert exit_code == 0, said
    assert [line.split()[3] for line in said.splitlines() if "Key" in line] == ["KeyParked", "KeyUnparked"]
