"""Metrics of a process, Prometheus format. One object, built in `__main__`, handed to what measures. Names of seed
systems are kept where they exist. Children are looked up once and kept, so that a count costs a dictionary look-up."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

FAST = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
SLOW = (0.005, 0.01, 0.015, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


class Metrics:
    """All metrics, by area. Label values come from our own code only, never from a caller: they are bounded."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self._flow()
        self._lane()
        self._fronts()
        self._tools()
        self._count: Callable[[], None] = lambda: None
        if registry is None:
            ProcessCollector(registry=self.registry)
            PlatformCollector(registry=self.registry)

    def _flow(self) -> None:
        r = self.registry
        self.events = Counter("events_total", "Events put on the ledger.", ["topic"], registry=r)
        self.permission_checks = Counter(
            "permission_checks_total", "Checks of identity and right.", ["result"], registry=r
        )

    def _lane(self) -> None:
        r = self.registry
        self.lag = Gauge("lane_lag", "Records of our lanes that were not decided on yet.", registry=r)
        self.lane_owned = Gauge("lanes_owned", "Lanes that this process owns.", ["service"], registry=r)
        self.commit_seconds = Histogram(
            "commit_seconds", "Time of the one commit of a batch.", buckets=FAST, registry=r
        )
        self.publish_seconds = Histogram("publish_seconds", "Time from publish to all acks.", buckets=FAST, registry=r)
        self.waiting = Gauge("waiting", "Keys of our lanes that wait, by what for.", ["service", "for"], registry=r)
        self.halted = Gauge("lanes_halted", "Lanes that an operator must look at.", registry=r)
        self.alarms = Counter("alarms_total", "Things an operator must see, by code.", ["code"], registry=r)
        self.control_seq = Gauge("control_seq", "Last control event that this process has applied.", registry=r)
        self.control_seen = Gauge(
            "control_seq_seen_timestamp_seconds", "When it was applied, by this machine's clock.", registry=r
        )
        self.control_age = Gauge("control_view_age_seconds", "Time since the control view was confirmed.", registry=r)

    def _fronts(self) -> None:
        r = self.registry
        self.calls = Counter("grpc_requests_total", "Answered gRPC calls.", ["method", "code"], registry=r)
        self.call_seconds = Histogram(
            "grpc_request_seconds", "Time to answer a gRPC call.", ["method"], buckets=FAST, registry=r
        )
        self.watches = Gauge("watches", "Open Watch streams.", registry=r)

    def _tools(self) -> None:
        r = self.registry
        self.tool_invocations = Counter("tool_invocations_total", "Calls of tools.", ["tool_id", "status"], registry=r)
        self.tool_seconds = Histogram(
            "tool_execution_duration_seconds", "Time of a tool's call.", ["tool_id"], buckets=SLOW, registry=r
        )
        self.effects_running = Gauge("effects_running", "Calls under way.", ["effect_class"], registry=r)

    def before_text(self, count: Callable[[], None]) -> None:
        """Call this before each answer, for what is cheaper counted when asked for."""
        self._count = count

    def text(self) -> bytes:
        """The exposition that /metrics answers."""
        self._count()
        return generate_latest(self.registry)
