"""deed kill, unkill and switches on a real system: every process confirms, and says when."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import pytest

from libs.runtime.devkeys import Who, mint
from libs.stack.report import load as load_report
from tests.integration.operators.conftest import Deed, Said

pytestmark = pytest.mark.integration
PROCESSES = ["w1", "control", "status", "gateway"]


@pytest.mark.requirement("D1")
def test_a_kill_is_confirmed_by_every_process_and_shown_with_who_and_why(deed: Deed) -> None:
    done = deed.json("--as", "olga", "kill", "tool", "git/git_commit", "--reason", "incident 42")
    assert [one["name"] for one in done["processes"]] == PROCESSES
    assert all(0 <= one["after_ms"] < 5_000 for one in done["processes"]), done
    shown = deed.json("switches")["switches"]
    assert [(one["kind"], one["id"], one["by"], one["reason"]) for one in shown] == [
        ("TOOL", "git/git_commit", "olga", "incident 42")
    ]
    assert shown[0]["control_seq"] == done["control_seq"]
    lines = deed("unkill", "tool", "git/git_commit", "--reason", "over").splitlines()
    assert lines[0].startswith("TOOL git/git_commit may go on: control event ")
    assert [line.split()[0] for line in lines[2:]] == PROCESSES
    assert deed("switches") == "No switch is set.\n"


@pytest.mark.requirement("D1")
def test_a_kill_that_changes_nothing_or_names_nothing_says_why(deed: Deed) -> None:
    said = deed.run("unkill", "tenant", "nobody", "--reason", "x")
    assert (said.code, said.err.split(":")[0]) == (3, "NOT_STOPPED")
    said = deed.run("kill", "tool", "no slash", "--reason", "x")
    assert (said.code, said.err.split(":")[0]) == (2, "ID_INVALID")
    said = deed.run("kill", "tenant", "--reason", "")
    assert (said.code, "reason" in said.err) == (1, True)
    assert deed.run("kill", "sideways", "--reason", "x").code == 2


def test_a_process_that_does_not_confirm_is_named(deed: Deed) -> None:
    away = deed.run("kill", "tenant", "--reason", "x", "--wait-s", "0.2", DEED_PROCESSES='["http://127.0.0.1:9"]')
    assert away.code == 5
    assert "127.0.0.1:9" in away.out
    assert "NOT_CONFIRMED" in away.err
    deed("unkill", "tenant", "--reason", "x")


def test_a_stop_of_what_nobody_has_registered_is_no_comfort(deed: Deed) -> None:
    for kind, name, strange in (
        ("tool", "builtin/jurnal", True),
        ("tool", "builtin/journal", False),
        ("capability", "builtin.jurnal", True),
        ("capability", "builtin.journal", False),
        ("account", "acme/whoever", False),
    ):
        said = deed.run("kill", kind, name, "--reason", "drill")
        assert (said.code, f"NOT_REGISTERED: no {kind} {name}" in said.err) == (0, strange)
        deed("unkill", kind, name, "--reason", "over")


def test_processes_of_another_deployment_than_the_one_that_is_called_confirm_nothing(deed: Deed) -> None:
    """Here: those of the local system, for a gateway that is called by another way."""
    lines = load_report(deed.folder).lines
    port = next(line.ports["grpc"] for line in lines if line.name == "gateway")
    token = mint(deed.folder.keys, Who("olga", "acme", "HUMAN", (), ("operator",)))

    async def through(work: Callable[[int], Said]) -> Said:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            there, onward = await asyncio.open_connection("127.0.0.1", port)
            async with asyncio.TaskGroup() as both:
                both.create_task(carry(reader, onward))
                both.create_task(carry(there, writer))

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            return await asyncio.to_thread(work, server.sockets[0].getsockname()[1])

    def kill(at: int) -> Said:
        env = {"DEED_GATEWAY": f"127.0.0.1:{at}", "DEED_TOKEN": token}
        return deed.run("kill", "tenant", "--reason", "drill", "--json", **env)

    said = asyncio.run(through(kill))
    assert (said.code, json.loads(said.out)["processes"]) == (0, []), said
    deed("unkill", "tenant", "--reason", "over")


async def carry(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while piece := await source.read(65_536):
        target.write(piece)
    target.close()
