"""`deed up` with the real services, in both shapes; and the environment of docker-compose.yml is enough for each."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from libs.stack import processes
from libs.stack.folders import Folder, checkout, home
from libs.stack.ports import Ports
from libs.stack.prepare import prepare
from libs.stack.probe import is_ready
from libs.stack.processes import Child
from libs.stack.report import Line, load
from libs.stack.scratch import scratch
from libs.stack.shapes import Plan
from libs.stack.stack import Endpoints, Stack

pytestmark = pytest.mark.integration
READY_S = 60.0


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Folder]:
    with scratch(home() / "tests") as root:
        monkeypatch.setenv("DEED_HOME", str(root))
        yield Folder(root)
        deed("down")


def deed(*words: str) -> str:
    argv = [sys.executable, "-m", "libs.client.cli", *words]
    said = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=150)
    assert said.returncode == 0, said.stderr
    return said.stdout


def lines(folder: Folder) -> dict[str, Line]:
    """What `deed ps` shows, without a process for each look."""
    return {line.name: line for line in load(folder).lines}


@pytest.mark.parametrize("shape", ["colocated", "separate"])
def test_a_system_comes_up_goes_on_in_the_background_and_goes_down(folder: Folder, shape: str) -> None:
    deed("up", "--shape", shape)
    plan = Plan(shape)
    shown = {line["name"]: line for line in json.loads(deed("ps", "--json"))["lines"]}
    assert set(shown) == {"kafka", "postgres", *(row.name for row in plan.rows)}
    assert all(line["ready"] for line in shown.values())
    victim = shown[plan.rows[0].name]
    os.kill(victim["pid"], signal.SIGKILL)
    deadline = time.monotonic() + READY_S
    while lines(folder)[victim["name"]].restarts == 0 or not all(line.ready for line in lines(folder).values()):
        assert time.monotonic() < deadline, lines(folder)
        time.sleep(0.2)
    assert "was ready after" in deed("up", "--shape", shape), "a second `up` finds it running"
    assert deed("down").startswith("Stopped kafka, postgres, ")
    assert processes.alive(folder.run) == []


@pytest.fixture(scope="module")
def stack() -> Iterator[Endpoints]:
    with scratch(home() / "tests") as root, Stack(root) as ends:
        asyncio.run(prepare(ends, Plan()))
        yield ends


@pytest.mark.parametrize("name", ["worker", "control", "status", "gateway"])
def test_the_environment_of_compose_is_enough(stack: Endpoints, tmp_path: Path, name: str) -> None:
    service = yaml.safe_load((checkout() / "docker-compose.yml").read_text())["services"][name]
    folder = Folder(tmp_path)
    port = Ports(folder.ports).get("http")
    _keys(tmp_path)
    given = {key: _here(value, stack, tmp_path) for key, value in service["environment"].items()}
    given |= {"DEED_HTTP_PORT": str(port), "PATH": os.environ["PATH"]}
    if "DEED_GRPC_PORT" in given:
        given["DEED_GRPC_PORT"] = str(Ports(folder.ports).get("grpc"))
    child = Child(name, folder.run, folder.logs / f"{name}.log")
    child.spawn([sys.executable, *service["command"][1:]], [], given, checkout())
    try:
        assert _until_ready(child, port) == "", child.log.read_text()
    finally:
        child.end()


def _keys(folder: Path) -> None:
    words = [sys.executable, "-m", "libs.runtime.devkeys", str(folder / "keys")]
    subprocess.run(words, check=True, capture_output=True)


def _here(value: str, ends: Endpoints, folder: Path) -> str:
    """The same setting, with the addresses and folders of this machine in place of the containers'."""
    server = ends.postgres_dsn.rpartition("/")[0]
    value = re.sub(r"^postgresql://.*@postgres:5432", server, value)
    value = re.sub(r"^\$\{DEED_\w+:\?.*\}$", "a-secret-of-this-very-test-run", value)
    value = value.replace("kafka:9092", ends.kafka_bootstrap)
    return value.replace("/var/lib/deedbook-keys", str(folder / "keys")).replace("/var/lib/deedbook", str(folder))


def _until_ready(child: Child, port: int) -> str:
    deadline = time.monotonic() + READY_S
    while True:
        ready, why = asyncio.run(is_ready(port))
        if ready:
            return ""
        if child.pid is None or time.monotonic() > deadline:
            return why
        time.sleep(0.1)
