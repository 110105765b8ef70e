"""One trace from whoever proposes an intent to whatever is logged about it (A2, K3), on a real system."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from deedbook import Client, Intent, State
from libs.contracts.events import RegisterServer, RegisterTool, Transport
from libs.runtime.logs import trace_id
from libs.testkit import seeding
from libs.testkit.system import System
from libs.testkit.tool_bench import double_profile, entry_of
from services.execution.adapters.warm import discover
from tests.integration.client.conftest import Connect

pytestmark = [pytest.mark.integration, pytest.mark.requirement("A2"), pytest.mark.requirement("K3")]
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture(params=["grpc", "kafka"])
async def client(request: pytest.FixtureRequest, system: System, caller: Connect) -> AsyncIterator[Client]:
    """An agent's client, by each way of submitting."""
    async with Client(caller(), system.kafka if request.param == "kafka" else None) as made:
        yield made


async def test_an_intent_has_the_trace_that_it_was_given_or_a_new_one_and_a_repeat_changes_nothing(
    client: Client,
) -> None:
    plain = Intent(tool="builtin/journal", capability="builtin.journal", account="account-0")
    submitted = [await client.submit(one) for one in (plain, plain, replace(plain, trace_parent=TRACE))]
    traces = [one.intent.trace_parent for one in submitted]
    assert len({trace_id(one) for one in traces} - {""}) == 3
    for one in submitted:
        deed = await client.wait(one)  # the trace is no content: none is another intent under the same key
        assert (deed.intent_id, deed.state, deed.trace_parent) == (submitted[0].intent_id, State.SUCCEEDED, traces[0])
    given = await client.submit(replace(plain, key=plain.key + "-given", trace_parent=TRACE))
    assert (await client.wait(given)).trace_parent == TRACE


async def test_what_a_worker_logs_about_an_intent_has_its_trace_id(system: System, caller: Connect) -> None:
    """Its tool's server ends in mid-call."""
    await _register_double(system)
    async with Client(caller()) as client:
        given: dict[str, Any] = {"tool": "double/apply", "capability": "write", "account": "account-0"}
        submitted = await client.submit(Intent(**given, arguments={"mode": "drop"}, trace_parent=TRACE))
        async with aclosing(client.watch(submitted)) as deeds:
            async for deed in deeds:
                if deed.state is State.IN_DOUBT:
                    break
    lines = _lines(system.folder.logs / "w1.log")
    failed = [line["trace_id"] for line in lines if line["event"] == "call failed"]
    assert failed == [trace_id(TRACE)]
    about = {line["event"] for line in lines if "trace_id" in line}
    assert about == {"call failed"}, "the process and the tool's server, which serve all, belong to no trace"


async def _register_double(system: System) -> None:
    """A tool that does what its arguments say."""
    profile = double_profile(system.folder.root / "double.journal", "--plain")
    file = system.folder.root / "servers.toml"
    file.write_text(f"[servers.double]\nargv = {json.dumps(profile.argv)}\ncwd = {json.dumps(profile.cwd)}\n")
    found = {tool.name: tool for tool in await discover(profile, 1 << 20, 20_000)}
    head: dict[str, Any] = {"principal": seeding.OPERATOR, "reason": "set up", "issued_at": seeding.now_at()}
    server = RegisterServer(
        command_id=uuid4().bytes, server="double", transport=Transport.STDIO, profile="double", **head
    )
    entry = entry_of("double", found["apply"])
    await system.seed([server, RegisterTool(command_id=uuid4().bytes, tool="double/apply", entry=entry, **head)])


def _lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]
