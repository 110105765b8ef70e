"""Processes start, stop and fail in one way, with exit codes that mean something (K7, D3)."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

pytestmark = [pytest.mark.requirement("K7"), pytest.mark.requirement("D3")]

WAIT_S = 15.0
POLITE = """
import asyncio
from libs.runtime.process import Process, run

async def main(process: Process) -> None:
    process.ready = lambda: ""
    await process.until_stopped()
    await asyncio.sleep(0.05)
    print("cleaned up", flush=True)

run("polite", main)
"""
STUBBORN = """
import asyncio
from libs.runtime.process import Process, run

async def main(process: Process) -> None:
    process.ready = lambda: ""
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            if SWALLOW:
                continue
            raise

run("stubborn", main)
"""
RAISING = """
from libs.runtime.process import Process, run
from libs.runtime.settings import SettingsError, StartRefused

async def main(process: Process) -> None:
    raise WHAT

run("raising", main)
"""


class Started:
    """A process under test, and the lines of its log."""

    def __init__(self, program: str, **variables: str) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("DEED_")}
        environment = {**kept, **variables}
        self.popen = subprocess.Popen(
            [sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self.log: list[dict[str, Any]] = []
        self.seen: list[str] = []

    def line(self, event: str) -> dict[str, Any]:
        """Read the log until this event."""
        assert self.popen.stderr is not None
        deadline = time.monotonic() + WAIT_S
        while time.monotonic() < deadline:
            if not select.select([self.popen.stderr], [], [], 0.2)[0]:
                continue
            text = self.popen.stderr.readline().decode()
            self.seen.append(text)
            if text.startswith("{") and json.loads(text)["event"] == event:
                found: dict[str, Any] = json.loads(text)
                return found
            if not text:
                break
        raise AssertionError(f"no '{event}' in {self.seen}")

    def end(self) -> tuple[int, str, str]:
        out, err = self.popen.communicate(timeout=WAIT_S)
        return self.popen.returncode, out.decode(), "".join(self.seen) + err.decode()


@pytest.fixture
def start() -> Iterator[Any]:
    made: list[Started] = []

    def make(program: str, **variables: str) -> Started:
        made.append(Started(program, **variables))
        return made[-1]

    yield make
    for one in made:
        if one.popen.poll() is None:
            one.popen.kill()
        one.popen.communicate()


def http(port: int, path: str, host: str = "localhost") -> tuple[int, str]:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Host": host})
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_main_finish_and_the_code_is_zero(start: Any, number: signal.Signals) -> None:
    process = start(POLITE)
    port = process.line("started")["http_port"]
    assert http(port, "/ready") == (200, "ok\n")
    process.popen.send_signal(number)
    code, out, log = process.end()
    assert (code, out) == (0, "cleaned up\n")
    assert '"event": "stopping"' in log


def test_the_health_port_serves_three_pages_to_its_own_names(start: Any) -> None:
    process = start(POLITE)
    port = process.line("started")["http_port"]
    assert http(port, "/live")[0] == 200
    status, metrics = http(port, "/metrics")
    assert status == 200
    assert "process_cpu_seconds_total" in metrics
    assert http(port, "/metrics", host="evil.example")[0] == 421
    assert http(port, "/nothing")[0] == 404


def test_a_stop_that_takes_too_long_is_cancelled(start: Any) -> None:
    process = start(STUBBORN.replace("SWALLOW", "False"), DEED_STOP_TIMEOUT_MS="200")
    process.line("started")
    process.popen.terminate()
    assert process.end()[0] == os.EX_TEMPFAIL


def test_a_main_that_swallows_its_cancellation_still_ends(start: Any) -> None:
    process = start(STUBBORN.replace("SWALLOW", "True"), DEED_STOP_TIMEOUT_MS="200")
    process.line("started")
    process.popen.terminate()
    assert process.end()[0] == os.EX_TEMPFAIL


def test_a_second_signal_does_not_wait(start: Any) -> None:
    process = start(STUBBORN.replace("SWALLOW", "False"), DEED_STOP_TIMEOUT_MS="600000")
    process.line("started")
    process.popen.terminate()
    process.line("stopping")
    process.popen.terminate()
    assert process.end()[0] == os.EX_TEMPFAIL


@pytest.mark.parametrize(
    ("what", "code", "said"),
    [
        ("SettingsError('DEED_X is wrong.')", os.EX_CONFIG, "raising does not start: DEED_X is wrong."),
        ("StartRefused('Kafka is away.')", os.EX_UNAVAILABLE, "raising does not start: Kafka is away."),
        ("ValueError('a bug')", os.EX_SOFTWARE, "ended by an error"),
    ],
)
def test_the_exit_code_says_why(start: Any, what: str, code: int, said: str) -> None:
    ended, _, log = start(RAISING.replace("WHAT", what)).end()
    assert ended == code
    assert said in log


def test_a_wrong_setting_ends_the_start_with_one_sentence(start: Any) -> None:
    code, out, log = start(POLITE, DEED_HTTP_PORT="eighty").end()
    assert (code, out) == (os.EX_CONFIG, "")
    assert log.startswith("polite does not start: DEED_HTTP_PORT is wrong: ")
    assert log.count("\n") == 1


def test_a_port_that_is_taken_is_named(start: Any) -> None:
    first = start(POLITE)
    port = first.line("started")["http_port"]
    code, _, log = start(POLITE, DEED_HTTP_PORT=str(port)).end()
    assert code == os.EX_CONFIG
    assert "DEED_HTTP_PORT" in log
