"""What the doctor says of what it was told: each thing that is wrong has a level and a way to mend it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from libs.client import watching
from libs.client.doctor.log import _settings as topic_settings
from libs.client.doctor.rows import clock, lanes_of
from libs.client.doctor.work import of
from libs.client.processes import Heard, Process, Sample
from libs.client.tool_servers import WORST_FIRST, worst
from libs.ledger.lanes import Lane, Parked
from libs.stack.topics import TOPICS
from services.execution.ports import Health

ONE = Process("w1", "http://127.0.0.1:1")
LEDGER = next(topic for topic in TOPICS if topic.name == "ledger.intake")


def lane(number: int, phase: str = "OWNED", halted: str = "") -> Lane:
    return Lane("budget", number, phase, "w1", 1, 0, halted)


def heard(**values: float) -> Heard:
    samples: tuple[Sample, ...] = tuple((name, {}, value) for name, value in values.items())
    return Heard(ONE, samples)


@pytest.mark.parametrize(
    ("lanes", "set_aside", "level", "said"),
    [
        ([lane(0), lane(1)], 0, "ok", "2 owned"),
        ([lane(0), lane(1, "FREE")], 0, "bad", "nobody works on lanes 1"),
        ([lane(0, "RUN_OUT"), lane(1, "FREE")], 0, "bad", "nobody works on lanes 0, 1"),
        ([lane(0), lane(1, "HALTED", "foreign writer")], 0, "bad", "halted: foreign writer"),
        ([lane(0), lane(1)], 3, "warn", "3 keys are parked"),
    ],
)
def test_lanes_are_owned_or_it_is_said(lanes: list[Lane], set_aside: int, level: str, said: str) -> None:
    parked = [Parked("budget", f"k{n}", 0, 1, datetime.now(UTC)) for n in range(set_aside)]
    (finding,) = lanes_of(lanes, parked, "deedbook")
    assert (finding.level, said in finding.said) == (level, True)
    assert bool(finding.mend) is (level != "ok")


@pytest.mark.parametrize(("apart", "level"), [(0.1, "ok"), (1.0, "warn"), (-1.0, "warn"), (6.0, "bad"), (-6.0, "bad")])
def test_clocks_that_are_apart_are_said(apart: float, level: str) -> None:
    assert clock("deedbook", 1000.0, 1000.0 + apart).level == level


@pytest.mark.parametrize(
    ("values", "level"),
    [
        ({"control_view_age_seconds": 0.5, "lane_lag": 3}, "ok"),
        ({"control_view_age_seconds": 9.0}, "bad"),
        ({"lane_lag": 90_000}, "warn"),
        ({"alarms_total": 2}, "warn"),
    ],
)
def test_a_process_is_well_or_it_is_said(values: dict[str, float], level: str) -> None:
    assert [finding.level for finding in of(heard(**values))] == [level]
    assert [finding.level for finding in of(Heard(ONE, error="no answer"))] == ["bad"]


def keeping(*servers: tuple[str, str]) -> Heard:
    """A worker that keeps these tool servers, in these states."""
    labels = [({"profile": name, "state": one}, float(one == now)) for name, now in servers for one in Health]
    return Heard(ONE, tuple(("mcp_server_state", label, value) for label, value in labels))


def test_a_tool_server_that_is_unwell_is_said_with_what_to_do() -> None:
    (finding,) = of(keeping(("crm", "ACTIVE"), ("git", "OFFLINE"), ("new", "PENDING")))
    assert (finding.level, finding.about) == ("warn", "w1")
    assert finding.said.startswith("tool server git is OFFLINE: ")
    assert "`deed logs w1`" in finding.mend
    assert [one.level for one in of(keeping(("git", "DEGRADED")))] == ["warn"]
    assert [one.level for one in of(keeping(("git", "ACTIVE"), ("crm", "PENDING")))] == ["ok"]


def test_of_several_workers_the_one_whose_tool_server_is_worst_off_counts() -> None:
    first = keeping(("git", "ACTIVE"), ("crm", "PENDING"), ("new", "PENDING"))
    second = keeping(("git", "OFFLINE"), ("crm", "ACTIVE"))
    assert worst([first, second]) == worst([second, first]) == {"git": "OFFLINE", "crm": "ACTIVE", "new": "PENDING"}
    assert worst([Heard(ONE, error="no answer")]) == {}
    assert set(WORST_FIRST) == set(Health)


@pytest.mark.parametrize(
    ("changed", "copies", "wrong"),
    [
        ({}, 1, 0),
        ({"retention.ms": "1000"}, 1, 1),
        ({"cleanup.policy": "compact"}, 1, 1),
        ({"min.insync.replicas": "2", "unclean.leader.election.enable": "false"}, 3, 0),
        ({"min.insync.replicas": "1", "unclean.leader.election.enable": "true"}, 3, 2),
    ],
)
def test_settings_under_which_events_are_lost_are_bad(changed: dict[str, str], copies: int, wrong: int) -> None:
    found = topic_settings(LEDGER, {**LEDGER.settings, **changed}, copies)
    assert [finding.level for finding in found] == ["bad"] * wrong


def test_rates_are_what_happened_between_two_looks_also_of_a_process_that_was_started_anew() -> None:
    def look(events: float, **more: Any) -> Heard:
        waits = ("waiting", {"service": "execution", "for": watching.IN_DOUBT}, 2.0)
        return Heard(ONE, (("events_total", {"topic": "ledger.intake"}, events), waits))

    found = watching.between([look(10)], [look(30)], 2.0)
    assert (found.events_per_s, found.in_doubt) == ({"ledger.intake": 10.0}, 2)
    assert found.processes[0].events_per_s == 10.0
    assert watching.between([look(100)], [look(30)], 2.0).processes[0].events_per_s == 15.0
    assert watching.between([look(1)], [Heard(ONE, error="away")], 2.0).processes[0].why == "away"
