"""deed mcp, tool, budget and policy on a real system with a real tool server that somebody else wrote."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path

import pytest

from examples.servers import ensure
from libs.governance.digests import canonical
from tests.integration.operators.conftest import Deed

pytestmark = pytest.mark.integration
ANSWERS = """
[tools.git_status]
capability = "git.read"
effect = "READ"
effect_class = "READ_ONLY"
success_rule = "ANSWER"
price_micros = 10
timeout_ms = 5000
"""
COMMIT = (
    "git.write",
    "write",
    "OPAQUE",
    "2000",
    "cheap",
    "committer",
    "9000",
    "repo_path",
    "TEXT",
    "commit",
    "hash (.*)",
)
NOTES = """
from mcp.server.mcpserver import MCPServer
server = MCPServer("notes")
@server.tool(description="Appends.")
def append(text: str) -> str:
    return text
server.run()
"""
POLICY: dict[str, object] = {
    "version": 1,
    "tools": {"allow": ["*"]},
    "freshness": {"default": {"soft_ms": 60_000, "hard_ms": 600_000}},
    "grounding": {"required_for": []},
}


def _file(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.fixture(scope="package")
def git(deed: Deed) -> str:
    """The real git server, in the operator's file and registered."""
    repository = deed.root / "repository"
    subprocess.run(["git", "init", "-q", str(repository)], check=True, timeout=30)
    argv = json.dumps([str(ensure() / "mcp-server-git"), "--repository", str(repository)])
    (deed.root / "servers.toml").write_text(f'[servers.git]\nargv = {argv}\nenv_from = ["PATH"]\n')
    assert deed.run("tool", "add", "--from-mcp", "git", "--reason", "x").code == 3
    deed("mcp", "add", "git", "--reason", "agents work on it")
    assert {one["server"]: one["profile"] for one in deed.json("mcp", "list")}["git"] == "git"
    return "git"


@pytest.mark.requirement("F1")
def test_a_servers_tools_are_discovered_and_registered_by_a_file_or_by_answers(deed: Deed, git: str) -> None:
    file = deed.root / "answers.toml"
    file.write_text(ANSWERS)
    assert "git/git_status is registered" in deed(
        "tool", "add", "--from-mcp", git, "--answers", str(file), "--reason", "agents read"
    )
    deed("tool", "add", "git/git_commit", "--from-mcp", git, "--reason", "agents commit", given="\n".join(COMMIT))
    listed = {one["tool"]: one for one in deed.json("tool", "list", "--server", "git")}
    assert listed.keys() == {"git/git_status", "git/git_commit"}
    commit = listed["git/git_commit"]
    assert (commit["effect"], commit["effect_class"], commit["price_micros"]) == ("WRITE", "OPAQUE", 2000)
    assert (commit["roles_allowed"], commit["target_path"]) == (["committer"], "repo_path")
    assert commit["extractors"][0]["pattern"] == "hash (.*)"
    assert deed.json("tool", "show", "git/git_status")["definition"]["name"] == "git_status"


def test_a_server_that_the_file_here_does_not_have_is_registered_with_a_warning(deed: Deed) -> None:
    file = str(deed.root / "servers.toml")
    added = deed.run("mcp", "add", "nowhere", "--reason", "soon")
    assert (added.code, added.err.startswith(f"{file} does not say yet how nowhere is reached")) == (0, True), added
    assert "Next: `deed tool add --from-mcp nowhere" in added.out
    asked = deed.run("tool", "add", "--from-mcp", "nowhere", "--reason", "x")
    assert asked.err.startswith("SERVER_UNKNOWN: "), asked
    assert f"Say in {file} how nowhere is started" in asked.err
    built_in = deed.run("mcp", "add", "more", "--transport", "builtin", "--reason", "no program")
    assert ("Next" in built_in.out, built_in.err) == (False, ""), "nobody can ask it for its tools"
    for server in ("nowhere", "more"):
        deed("mcp", "remove", server, "--reason", "tried")


def test_nobody_answering_registers_nothing(deed: Deed, git: str) -> None:
    said = deed.run("tool", "add", "git/git_log", "--from-mcp", git, "--reason", "x")
    assert (said.code, "ANSWERS_MISSING" in said.err) == (2, True)
    assert deed.run("tool", "show", "git/git_log").code == 3
    assert "ANSWERS_MISSING: " in deed.run("tool", "add", "--from-mcp", git, "--reason", "x").err


@pytest.mark.requirement("F1")
def test_a_quarantine_ends_when_somebody_accepts_what_the_server_offers(deed: Deed, git: str) -> None:
    deed("tool", "quarantine", "git/git_status", "--reason", "looks odd")
    assert deed.json("tool", "show", "git/git_status")["state"] == "QUARANTINED"
    unasked = deed.run("tool", "accept", "git/git_status", "--reason", "read it", "--json")
    assert (unasked.code, json.loads(unasked.out)["error"]["code"]) == (2, "NOT_CONFIRMED")
    assert deed.json("tool", "show", "git/git_status")["state"] == "QUARANTINED"
    deed("tool", "accept", "git/git_status", "--reason", "read it", "--yes")
    assert deed.json("tool", "show", "git/git_status")["state"] == "ACTIVE"
    said = deed.run("tool", "accept", "git/git_status", "--definition-hash", "ab" * 32, "--reason", "x")
    assert (said.code, said.err.split(":")[0]) == (1, "NOT_QUARANTINED")
    deed("tool", "remove", "git/git_status", "--reason", "over")
    assert deed.run("tool", "remove", "git/git_status", "--reason", "over").code == 3


@pytest.mark.requirement("F2")
def test_what_was_accepted_is_what_is_shown_afterwards(deed: Deed, git: str) -> None:
    program, table, answers = (deed.root / name for name in ("notes.py", "servers.toml", "notes.toml"))
    program.write_text(NOTES)
    before = table.read_text()
    table.write_text(before + f"[servers.notes]\nargv = {json.dumps([sys.executable, str(program)])}\n")
    answers.write_text('[tools.append]\ncapability = "notes"\neffect = "WRITE"\nprice_micros = 1\ntimeout_ms = 9000\n')
    deed("mcp", "add", "notes", "--reason", "notes")
    deed("tool", "add", "--from-mcp", "notes", "--answers", str(answers), "--reason", "notes")
    program.write_text(NOTES.replace("Appends", "Appends and mails"))
    deed("policy", "publish", str(_file(deed.root / "all.json", json.dumps(POLICY))), "--reason", "for all")
    deed("budget", "set", "tenant", "acme", "--hard-micros", "5000", "--reason", "for a call")
    called = deed.run("submit", "notes/append", "text=x", "--capability", "notes", "--wait")
    assert "TOOL_CHANGED" in called.out, called
    for _ in range(100):  # the worker tells control, which takes it out of use
        if deed.json("tool", "show", "notes/append")["state"] == "QUARANTINED":
            break
        time.sleep(0.1)
    shown = deed.run("tool", "accept", "notes/append", "--yes", "--reason", "read it")
    assert (shown.code, "Appends and mails" in shown.err) == (0, True), shown
    found = deed.json("tool", "show", "notes/append")
    assert (found["state"], found["definition"]["description"]) == ("ACTIVE", "Appends and mails.")
    assert found["definition_hash"] == sha256(canonical(found["definition"])).hexdigest()
    assert (found["price_micros"], found["capability"]) == (1, "notes")  # what the operator had said stays
    again = deed.run("tool", "accept", "notes/append", "--yes", "--reason", "again")
    assert again.err.split(":")[0] == "NOT_QUARANTINED"
    for words in (
        ("tool", "remove", "notes/append"),
        ("mcp", "remove", "notes"),
        ("budget", "remove", "tenant", "acme"),
    ):
        deed(*words, "--reason", "tried")
    table.write_text(before)


@pytest.mark.requirement("C1")
def test_a_cap_is_set_shown_with_its_sums_and_removed(deed: Deed) -> None:
    deed("budget", "set", "tenant", "acme", "--hard-micros", "5000", "--soft-micros", "4000", "--reason", "as agreed")
    row = next(one for one in deed.json("budget", "show") if one["window"].startswith("DAY"))
    assert (row["kind"], row["id"], row["hard_micros"], row["soft_micros"]) == ("TENANT", "acme", 5000, 4000)
    assert (row["reserved_micros"], row["spent_micros"], row["left_micros"]) == (0, 0, 5000)
    assert "5,000" in deed("budget", "show")
    said = deed.run("budget", "set", "tenant", "acme", "--hard-micros", "1", "--soft-micros", "2", "--reason", "x")
    assert (said.code, said.err.split(":")[0]) == (2, "VALUE_INVALID")
    deed("budget", "remove", "tenant", "acme", "--reason", "over")
    assert not any(one["window"].startswith("DAY") for one in deed.json("budget", "show"))


def test_a_policy_is_checked_published_and_shown(deed: Deed) -> None:
    assert deed.json("policy", "show")["tenant"] == ""
    text = json.dumps(POLICY)
    digest = json.loads(deed("policy", "check", "-", "--json", given=text))["policy_hash"]
    wrong = deed.run("policy", "check", "-", given='{"version": 1}')
    assert (wrong.code, wrong.err.split(":")[0]) == (1, "POLICY_MALFORMED")
    assert (
        json.loads(deed("policy", "publish", "-", "--reason", "start", "--json", given=text))["policy_hash"] == digest
    )
    shown = deed.json("policy", "show")
    assert (shown["policy_hash"], shown["policy"]) == (digest, POLICY)
