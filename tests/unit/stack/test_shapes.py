"""Which processes run, which databases they get, and when a dead one is started again."""

from __future__ import annotations

import pytest

from libs.stack import restarts
from libs.stack.probe import read_answer
from libs.stack.restarts import STEADY_S, WAIT_MAX_S, Restarts
from libs.stack.shapes import Plan
from libs.stack.topics import DECIDERS, FOREVER, TOPICS


def test_colocated_workers_host_all_deciders_in_one_database() -> None:
    plan = Plan("colocated", workers=3)
    assert [row.name for row in plan.rows] == ["w1", "w2", "w3", "control", "status", "gateway"]
    assert {row.module for row in plan.rows[:3]} == {("services", "--host", ",".join(DECIDERS))}
    assert plan.databases == ("deedbook", "deedbook_control", "deedbook_status")


def test_separate_services_have_a_process_and_a_database_each() -> None:
    plan = Plan("separate")
    assert [row.name for row in plan.rows] == [*DECIDERS, "control", "status", "gateway"]
    assert plan.databases == tuple(f"deedbook_{name}" for name in (*DECIDERS, "control", "status"))


@pytest.mark.parametrize("shape", ["colocated", "separate"])
def test_fronts_stop_before_deciders_and_readers_last(shape: str) -> None:
    stages = {row.name: row.stage for row in Plan(shape).rows}
    deciders = {stage for name, stage in stages.items() if name in DECIDERS or name.startswith("w")}
    assert stages["gateway"] < min(deciders)
    assert max(deciders) < min(stages["control"], stages["status"])


def test_pauses_double_up_to_the_maximum() -> None:
    state, now, pauses = restarts.started(Restarts(), 0.0), 0.0, []
    for _ in range(8):
        state = restarts.ended(state, now)
        assert state.due_at is not None
        pauses.append(state.due_at - now)
        now = state.due_at
        assert restarts.is_due(state, now)
        state = restarts.started(state, now)
    assert pauses == [1, 2, 4, 8, 16, WAIT_MAX_S, WAIT_MAX_S, WAIT_MAX_S]
    assert state.count == 8


def test_a_steady_life_is_rewarded_with_a_short_pause() -> None:
    state = Restarts(wait_s=16.0, started_at=100.0)
    assert restarts.ended(state, 100.0 + STEADY_S).due_at == 100.0 + STEADY_S + 1.0
    assert restarts.ended(state, 100.0 + STEADY_S - 1).due_at == 100.0 + STEADY_S - 1 + 16.0


def test_what_runs_is_not_due() -> None:
    assert not restarts.is_due(Restarts(), 1e9)


def test_nothing_on_the_ledger_is_ever_deleted_or_compacted() -> None:
    ledger = [topic for topic in TOPICS if topic.name.startswith("ledger.")]
    assert len(ledger) == len(DECIDERS) + 1
    assert all(topic.retention_ms == FOREVER for topic in ledger)
    assert {topic.settings["cleanup.policy"] for topic in TOPICS} == {"delete"}


def test_control_has_one_partition_and_the_pipeline_has_lanes() -> None:
    assert {topic.name for topic in TOPICS if not topic.lanes} == {"ledger.control", "control.commands"}


def test_the_time_of_an_intent_is_the_brokers() -> None:
    intents = next(topic for topic in TOPICS if topic.name == "intents")
    assert intents.settings["message.timestamp.type"] == "LogAppendTime"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("HTTP/1.1 200 OK\r\nA: b\r\n\r\nok\n", (True, "")),
        ("HTTP/1.1 503 Service Unavailable\r\n\r\nlane 3 lags\n", (False, "lane 3 lags")),
        ("HTTP/1.1 503 Service Unavailable\r\n\r\n", (False, "not ready")),
        ("", (False, "not ready")),
    ],
)
def test_only_200_is_ready_and_the_reason_is_passed_on(answer: str, expected: tuple[bool, str]) -> None:
    assert read_answer(answer) == expected
