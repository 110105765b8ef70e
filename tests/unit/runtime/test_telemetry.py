"""Metrics carry the names that dashboards and alerts are made for (K1)."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from libs.runtime.telemetry import Metrics

pytestmark = [pytest.mark.requirement("K1")]


def test_names_are_the_promised_ones() -> None:
    metrics = Metrics(CollectorRegistry())
    metrics.events.labels("ledger.intake").inc(3)
    metrics.lane_owned.labels("intake").set(2)
    metrics.commit_seconds.observe(0.002)
    metrics.permission_checks.labels("denied").inc()
    metrics.tool_invocations.labels("git/git_log", "SUCCEEDED").inc()
    text = metrics.text().decode()
    for line in (
        'events_total{topic="ledger.intake"} 3.0',
        'lanes_owned{service="intake"} 2.0',
        "commit_seconds_count 1.0",
        'permission_checks_total{result="denied"} 1.0',
        'tool_invocations_total{status="SUCCEEDED",tool_id="git/git_log"} 1.0',
        "tool_execution_duration_seconds",
    ):
        assert line in text


def test_two_processes_in_one_interpreter_do_not_share_metrics() -> None:
    one, two = Metrics(CollectorRegistry()), Metrics(CollectorRegistry())
    one.events.labels("ledger.intake").inc()
    assert b"ledger.intake" not in two.text()
