"""deed kill, unkill and switches on a real system: every process confirms, and says when."""

from __future__ import annotations

import pytest

from tests.integration.operators.conftest import Deed

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
    assert (said.code, said.err.split(":")[0]) == (1, "ID_INVALID")
    said = deed.run("kill", "tenant", "--reason", "")
    assert (said.code, "reason" in said.err) == (1, True)
    assert deed.run("kill", "sideways", "--reason", "x").code == 2


def test_a_process_that_does_not_confirm_is_named(deed: Deed) -> None:
    away = deed.run("kill", "tenant", "--reason", "x", "--wait-s", "0.2", DEED_PROCESSES='["http://127.0.0.1:9"]')
    assert away.code == 5
    assert "127.0.0.1:9" in away.out
    assert "NOT_CONFIRMED" in away.err
    deed("unkill", "tenant", "--reason", "x")
