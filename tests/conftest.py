"""What all tests share: one source of servers per run, and fresh topics and databases per test."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from libs.stack.databases import create_database, drop_database
from libs.stack.folders import home
from libs.stack.scratch import scratch
from libs.stack.stack import Stack
from libs.stack.topics import create_topics, delete_topics
from tests.servers import SOURCES, Servers, chosen, docker_is_away, opened

if TYPE_CHECKING:  # they import every service, which unit tests need not wait for
    from tests.faults.rig import Rig
    from tests.faults.shared import Shared

T = TypeVar("T")
exercised: set[str] = set()


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """Kafka and PostgreSQL of this run, from the source that DEED_TEST_SERVERS names."""
    with opened(chosen()) as found:
        exercised.add(found.source)
        yield found


@pytest.fixture
def database(servers: Servers) -> Iterator[str]:
    """The DSN of an empty database."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    yield wait_for(create_database(servers.postgres_dsn, name))
    wait_for(drop_database(servers.postgres_dsn, name))


@pytest.fixture
def topic_prefix(servers: Servers) -> Iterator[str]:
    """All topics, fresh, with 8 lanes: the name of each is this prefix and the usual name."""
    prefix = f"t{uuid.uuid4().hex[:8]}."
    wait_for(create_topics(servers.kafka_bootstrap, prefix=prefix))
    yield prefix
    wait_for(delete_topics(servers.kafka_bootstrap, prefix))


@pytest.fixture
def own_stack() -> Iterator[Stack]:
    """Running servers of the test alone, with all topics under their own names: for tests that kill servers or need
    the real names. `stack.kafka` and `stack.postgres` have kill(), start(), stop(); they block, use a thread."""
    with scratch(home() / "tests") as folder:
        stack = Stack(folder)
        with stack as ends:
            wait_for(create_topics(ends.kafka_bootstrap))
            exercised.add("embedded")
            yield stack


@pytest.fixture(scope="session", params=["colocated", "separate"])
def shared_rig(request: pytest.FixtureRequest) -> Iterator[Shared]:
    """A running system per shape, for all tests that leave it whole. One shape at a time."""
    from tests.faults.shared import shared

    with shared(request.param) as one:
        exercised.add("embedded")
        yield one


@pytest.fixture
async def rig(shared_rig: Shared) -> AsyncIterator[Rig]:
    """A running system that was whole when the test before ended. Each test ends by proving it."""
    whole = await asyncio.to_thread(shared_rig.rig)
    async with whole.witness.at_hand():
        yield whole


def wait_for(work: Coroutine[Any, Any, T]) -> T:
    """Runs it to its end in a thread, so that the loop of an asynchronous test is not touched."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says which sources of servers were not exercised, so that a green run is not taken for more than it is."""
    if not exercised:
        return
    missing = [source for source in SOURCES if source not in exercised]
    terminalreporter.section("servers")
    terminalreporter.line(f"exercised: {', '.join(sorted(exercised))}")
    for source in missing:
        why = docker_is_away() if source == "docker" else ""
        why = f"Docker does not answer: {why}" if why else f"select it with DEED_TEST_SERVERS={source}"
        terminalreporter.line(f"not exercised: {source} ({why})")
