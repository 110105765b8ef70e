"""The supervisor starts, restarts, reports and stops; what it leaves when killed is found and cleaned up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from libs.stack import background, processes, tail
from libs.stack.errors import Busy, StackError, StartFailed
from libs.stack.folders import Folder, home, is_held
from libs.stack.ports import is_listening
from libs.stack.report import Line, Report, load
from libs.stack.scratch import scratch
from libs.stack.shapes import Plan
from libs.stack.stack import Endpoints
from tests.servers import Servers

pytestmark = pytest.mark.integration
WAIT_S = 60.0


class System:
    """A supervisor over stand-ins, as a process."""

    def __init__(self, folder: Path) -> None:
        self.folder = Folder(folder)
        self.folder.create()
        self._started: list[subprocess.Popen[bytes]] = []

    def up(self, *names: str, servers: Endpoints | None = None) -> subprocess.Popen[bytes]:
        """Without `servers` it starts its own."""
        given = servers or Endpoints("", "")
        env = {**os.environ, "KAFKA": given.kafka_bootstrap, "POSTGRES": given.postgres_dsn}
        with (self.folder.logs / "supervisor.log").open("ab") as log:
            words = [sys.executable, "-m", "tests.integration.stack.standin_system", str(self.folder.root), *names]
            self._started.append(subprocess.Popen(words, stdout=log, stderr=log, env=env, start_new_session=True))
        return self._started[-1]

    def until(self, holds: Callable[[Report], bool]) -> Report:
        deadline = time.monotonic() + WAIT_S
        while time.monotonic() < deadline:
            report = load(self.folder)
            if holds(report):
                return report
            time.sleep(0.05)
        raise AssertionError(f"never so: {load(self.folder)}")

    def line(self, name: str) -> Line:
        return next(line for line in load(self.folder).lines if line.name == name)

    def close(self) -> None:
        background.end(self.folder)
        for process in self._started:
            process.wait(WAIT_S)


@pytest.fixture
def system() -> Iterator[System]:
    with scratch(home() / "tests") as folder:
        made = System(folder)
        yield made
        made.close()


def ready(report: Report) -> bool:
    return report.phase == "ready" and all(line.ready for line in report.lines)


def test_everything_starts_is_reported_and_stops_in_order(system: System) -> None:
    process = system.up("w1", "gateway")
    report = system.until(ready)
    assert [line.name for line in report.lines] == ["kafka", "postgres", "w1", "gateway"]
    assert set(system.line("gateway").ports) == {"http", "grpc"}
    assert all(line.state == "running" and line.pid for line in report.lines)
    assert list(tail.lines(system.folder.logs, "w1", 10, follow=False)) == ["w1 is up"]
    assert background.end(system.folder) == ["kafka", "postgres", "w1", "gateway"]
    assert process.wait(WAIT_S) == 0
    assert not is_held(system.folder.lock)
    assert load(system.folder).phase == "stopped"
    assert processes.alive(system.folder.run) == []


def test_ctrl_c_stops_everything(system: System) -> None:
    process = system.up("w1")
    report = system.until(ready)
    process.send_signal(signal.SIGINT)
    assert process.wait(WAIT_S) == 0
    assert not any(is_listening(port) for line in report.lines for port in line.ports.values())


def test_a_killed_process_is_started_again_on_the_same_port(system: System, servers: Servers) -> None:
    system.up("w1", servers=servers)
    _kill_and_see_it_back(system, "w1")


def test_a_killed_server_is_started_again_on_the_same_port(system: System) -> None:
    system.up("w1")
    _kill_and_see_it_back(system, "kafka")
    _kill_and_see_it_back(system, "postgres")


def _kill_and_see_it_back(system: System, victim: str) -> None:
    system.until(ready)
    before = system.line(victim)
    assert before.pid is not None
    os.kill(before.pid, signal.SIGKILL)
    waiting = system.until(lambda report: any(line.state == "waiting" for line in report.lines))
    assert next(line.why for line in waiting.lines if line.name == victim).startswith("killed by SIGKILL")
    system.until(lambda report: ready(report) and system.line(victim).restarts == 1)
    after = system.line(victim)
    assert (after.ports, after.restarts) == (before.ports, 1)
    assert after.pid != before.pid


def test_a_full_disk_ends_nothing_and_when_it_is_over_all_is_as_before(system: System, servers: Servers) -> None:
    """What cannot be written here is a folder of that name; the kernel's answer is as final as ENOSPC."""
    system.up("w1", servers=servers)
    before = system.until(ready).lines[0].pid
    assert before is not None
    unwritable = [system.folder.state.with_suffix(".new"), system.folder.run / "w1.new"]
    for path in unwritable:
        path.mkdir()
    os.kill(before, signal.SIGKILL)
    said = system.folder.logs / "supervisor.log"
    until(lambda: "the report cannot be saved" in said.read_text())
    time.sleep(2.5)  # two starts in vain
    assert said.read_text().count("the report cannot be saved") == 1
    assert is_held(system.folder.lock), "the supervisor lives"
    unwritable[0].rmdir()
    waiting = system.until(lambda report: any(line.state == "waiting" for line in report.lines))
    assert "w1.new" in waiting.lines[0].why
    unwritable[1].rmdir()
    system.until(ready)
    assert processes.alive(system.folder.run)[0].pid == system.line("w1").pid != before
    log = (system.folder.logs / "w1.log").read_text()
    assert log.count("w1 is up") == 2, "who could not be written down did not go on"


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_what_keeps_dying_is_started_at_ever_longer_pauses(system: System, servers: Servers) -> None:
    system.up("dies", servers=servers)
    report = system.until(lambda report: any(line.restarts >= 2 and line.state == "waiting" for line in report.lines))
    assert report.phase == "starting"
    [line] = report.lines
    assert not line.ready
    assert line.why == "ended with status 3: something broke"


def test_a_wrong_setting_ends_the_start_with_its_sentence(system: System, servers: Servers) -> None:
    process = system.up("w1", "misconfigured", servers=servers)
    assert process.wait(WAIT_S) != 0
    report = load(system.folder)
    assert report.phase == "failed"
    assert report.message == "misconfigured does not start: DEED_X is not set."
    assert processes.alive(system.folder.run) == []


def test_who_waits_too_long_is_told_what_is_not_ready(system: System, servers: Servers) -> None:
    process = system.up("never-ready", servers=servers)
    system.until(lambda report: any(line.why == "catching up" for line in report.lines))
    with pytest.raises(StartFailed, match=r"never-ready \(catching up\)"):
        background.wait_ready(system.folder, process.pid, 0.1, lambda report: None)


def test_what_a_killed_supervisor_leaves_is_taken_over_by_the_next_or_stopped_by_down(system: System) -> None:
    first = system.up("w1")
    before = system.until(ready)
    first.kill()
    first.wait()
    orphans = load(system.folder)
    assert {line.name: line.state for line in orphans.lines} == dict.fromkeys(("kafka", "postgres", "w1"), "orphan")
    second = system.up("w1")
    after = system.until(lambda report: report.pid == second.pid and ready(report))
    assert [line.ports for line in after.lines] == [line.ports for line in before.lines]
    assert {line.pid for line in after.lines}.isdisjoint({line.pid for line in before.lines})
    second.kill()
    second.wait()
    assert sorted(background.end(system.folder)) == ["kafka", "postgres", "w1"]
    assert processes.alive(system.folder.run) == []


def test_a_second_system_in_the_same_folder_is_refused_and_disturbs_nothing(system: System, servers: Servers) -> None:
    system.up("w1", servers=servers)
    before = system.until(ready)
    with pytest.raises(Busy, match="`deed down` first"):
        background.begin(system.folder, Plan("separate"))
    assert background.begin(system.folder, Plan()) == before.pid
    assert system.up("w1", servers=servers).wait(WAIT_S) != 0
    assert load(system.folder) == before
    assert [identity.pid for identity in processes.alive(system.folder.run)] == [before.lines[0].pid]


def test_logs_of_an_unknown_process_are_refused_with_the_names_there_are(system: System) -> None:
    (system.folder.logs / "w1.log").write_text("one\ntwo\n")
    with pytest.raises(StackError, match="There is no log of w9; there are: w1"):
        list(tail.lines(system.folder.logs, "w9", 1, follow=False))
    assert list(tail.lines(system.folder.logs, "", 1, follow=False)) == ["w1           two"]
