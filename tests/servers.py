"""Where the integration tests get their Kafka and PostgreSQL: embedded, from Docker, or existing ones."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from libs.stack.folders import home
from libs.stack.ports import Ports
from libs.stack.scratch import scratch
from libs.stack.stack import Endpoints, Stack

SOURCES = ("embedded", "docker", "existing")
KAFKA_IMAGE = "apache/kafka:4.3.1"
POSTGRES_IMAGE = "postgres:18"


@dataclass(frozen=True)
class Servers(Endpoints):
    """The servers of this test run. `stack` is there for the embedded ones only, which tests may kill."""

    source: str
    stack: Stack | None = None


def chosen() -> str:
    """The source that DEED_TEST_SERVERS names; embedded unless said otherwise."""
    source = os.environ.get("DEED_TEST_SERVERS", "embedded")
    if source not in SOURCES:
        raise pytest.UsageError(f"DEED_TEST_SERVERS is {source!r} and must be one of {', '.join(SOURCES)}")
    return source


@contextmanager
def opened(source: str) -> Iterator[Servers]:
    """The servers of one source, for a while."""
    match source:
        case "docker":
            with _docker() as servers:
                yield servers
        case "existing":
            yield _existing()
        case _:
            with scratch(home() / "tests") as folder:
                stack = Stack(folder)
                with stack as ends:
                    yield Servers(ends.kafka_bootstrap, ends.postgres_dsn, source, stack)


def docker_is_away() -> str:
    """'' when a Docker daemon answers, otherwise why not."""
    import docker
    from docker.errors import DockerException

    try:
        docker.from_env(timeout=3).ping()
    except DockerException as error:
        return str(error).splitlines()[0][:120]
    return ""


def _existing() -> Servers:
    kafka, postgres = os.environ.get("DEED_KAFKA_BOOTSTRAP"), os.environ.get("DEED_POSTGRES_DSN")
    if not kafka or not postgres:
        raise pytest.UsageError("DEED_TEST_SERVERS=existing needs DEED_KAFKA_BOOTSTRAP and DEED_POSTGRES_DSN")
    return Servers(kafka, postgres, "existing")


@contextmanager
def _docker() -> Iterator[Servers]:
    from testcontainers.community.postgres import PostgresContainer
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.wait_strategies import LogMessageWaitStrategy

    # The broker tells clients its own address, so the port outside has to be known before the container starts.
    with scratch(home() / "tests") as folder:
        port = Ports(folder / "ports.json").get("kafka")
    kafka = (
        DockerContainer(KAFKA_IMAGE)
        .with_bind_ports(9092, port)
        .with_envs(**kafka_variables("EXTERNAL", f"127.0.0.1:{port}"))
        .waiting_for(LogMessageWaitStrategy("Kafka Server started").with_startup_timeout(60))
    )
    postgres = PostgresContainer(POSTGRES_IMAGE, driver=None)
    with kafka, postgres:
        yield Servers(f"127.0.0.1:{port}", postgres.get_connection_url(), "docker")


def kafka_variables(listener: str, advertised: str) -> dict[str, str]:
    """Settings of the official image for one node that clients reach at `advertised`."""
    return {
        "KAFKA_NODE_ID": "1",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_LISTENERS": f"{listener}://0.0.0.0:9092,CONTROLLER://127.0.0.1:9093",
        "KAFKA_ADVERTISED_LISTENERS": f"{listener}://{advertised}",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": f"{listener}:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "KAFKA_INTER_BROKER_LISTENER_NAME": listener,
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@127.0.0.1:9093",
        "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
        "KAFKA_MESSAGE_MAX_BYTES": "1048576",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
    }
