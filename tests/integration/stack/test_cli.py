"""`deed ps`, `logs` and `down` on stand-ins, and what they say when there is nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.testing import CliRunner

from libs.client.cli import build
from libs.ledger.database import migrate
from libs.stack import processes
from libs.stack.folders import Folder, home
from libs.stack.report import load
from libs.stack.scratch import scratch
from libs.stack.where import database_of
from tests.conftest import wait_for
from tests.servers import Servers

pytestmark = pytest.mark.integration
WAIT_S = 30.0


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Folder]:
    with scratch(home() / "tests") as root:
        monkeypatch.setenv("DEED_HOME", str(root))
        yield Folder(root)


def deed(*words: str, status: int = 0) -> str:
    said = CliRunner().invoke(build(), words)
    assert said.exit_code == status, said.output
    return said.output


def start(folder: Folder, servers: Servers, *names: str) -> subprocess.Popen[bytes]:
    folder.create()
    env = {**os.environ, "KAFKA": servers.kafka_bootstrap, "POSTGRES": servers.postgres_dsn}
    words = [sys.executable, "-m", "tests.integration.stack.standin_system", str(folder.root), *names]
    process = subprocess.Popen(words, env=env, start_new_session=True)
    deadline = time.monotonic() + WAIT_S
    while load(folder).phase != "ready":
        assert time.monotonic() < deadline, load(folder)
        assert process.poll() is None, f"it ended with {process.returncode}"
        time.sleep(0.05)
    return process


def test_what_runs_is_shown_and_stopped(folder: Folder, servers: Servers) -> None:
    process = start(folder, servers, "w1", "gateway")
    shown = deed("ps").splitlines()
    assert shown[0].split() == ["NAME", "PID", "STATE", "RESTARTS", "READY", "PORTS"]
    assert [line.split()[0] for line in shown[1:3]] == ["w1", "gateway"]
    assert shown[1].split()[2:5] == ["running", "0", "yes"]
    report = json.loads(deed("ps", "--json"))
    assert report["phase"] == "ready"
    assert [line["name"] for line in report["lines"]] == ["w1", "gateway"]
    assert deed("logs") == "gateway      gateway is up\nw1           w1 is up\n"
    assert deed("logs", "w1", "-n", "1") == "w1 is up\n"
    assert deed("down") == "Stopped w1, gateway.\n"
    assert process.wait(WAIT_S) == 0
    assert processes.alive(folder.run) == []


def test_a_service_is_found_in_the_database_of_the_shape_that_runs(
    folder: Folder, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert deed("format", "show", "budget", status=5).startswith("AWAY: Nothing runs: `deed up`")
    monkeypatch.delenv("DEED_POSTGRES_DSN", raising=False)
    process = start(folder, replace(servers, postgres_dsn=""), "w1")
    wait_for(migrate(database_of(folder, "budget"), ["budget"]))
    assert deed("format", "show", "budget").startswith("budget writes state format 1.")
    said = deed("format", "show", "gateway", status=3)
    assert said.startswith("SERVICE_UNKNOWN: gateway keeps no rows; these do: intake,")
    deed("down")
    assert process.wait(WAIT_S) == 0


def test_nothing_is_no_error(folder: Folder) -> None:
    assert deed("ps") == "Nothing runs.\n"
    assert deed("down") == "Nothing was running.\n"
    assert deed("logs") == f"There are no logs in {folder.logs}: nothing was started here yet (`deed up`).\n"


def test_whoever_reads_may_stop_reading(folder: Folder) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    try:
        words = [sys.executable, "-m", "libs.client.cli", "tool", "example"]
        said = subprocess.run(words, stdout=theirs, stderr=subprocess.PIPE, check=False, timeout=WAIT_S)
    finally:
        os.close(theirs)
    assert (said.returncode, said.stderr) == (141, b""), "as if SIGPIPE had ended it"


def test_the_version_is_that_of_the_package() -> None:
    assert deed("--version") == f"deed {version('deedbook')}\n"


def test_wrong_words_are_refused(folder: Folder) -> None:
    assert "sideways is none of colocated, separate" in deed("up", "--shape", "sideways", status=2)
    assert deed("logs", "w9", status=3) == "LOG_NOT_FOUND: There is no log of w9; there are: none.\n"


def test_a_missing_java_is_said_in_one_sentence_and_nothing_is_left(folder: Folder, tmp_path: Path) -> None:
    kept = [name for name in ("unshare", "setpriv", "true", "test") if (Path("/usr/bin") / name).exists()]
    for name in kept:
        (tmp_path / name).symlink_to(Path("/usr/bin") / name)
    env = {**os.environ, "PATH": str(tmp_path), "JAVA_HOME": ""}
    words = [sys.executable, "-m", "libs.client.cli", "up"]
    said = subprocess.run(words, env=env, capture_output=True, text=True, check=False, timeout=WAIT_S)
    assert said.returncode == 1
    assert said.stderr.strip().splitlines()[-1].startswith("START_FAILED: Kafka needs Java 17 or newer and none was")
    assert processes.alive(folder.run) == []
    assert deed("ps").startswith("Nothing runs. The last start: Kafka needs Java 17")


@pytest.mark.requirement("D3")
@pytest.mark.parametrize("command", ["up", "up --foreground", "ps", "down", "logs w1", "lanes", "format show budget"])
def test_a_data_folder_that_cannot_be_made_is_said_in_a_sentence(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEED_HOME", "/dev/null/deed")
    monkeypatch.delenv("DEED_DATABASE_URL", raising=False)
    said = CliRunner().invoke(build(), command.split())
    assert said.exception is None or isinstance(said.exception, SystemExit), said.exception
    if command.startswith("up"):
        assert said.exit_code == 1
        assert said.output == (
            "STACK: The data folder /dev/null/deed cannot be made (Not a directory): name another one in DEED_HOME.\n"
        )
