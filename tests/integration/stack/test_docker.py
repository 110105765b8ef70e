"""The servers from Docker serve the same tests as the embedded ones. Skipped, and said so, where Docker is not."""

from __future__ import annotations

import pytest

from libs.stack.databases import create_database, drop_database
from libs.stack.topics import TOPICS, create_topics
from tests.conftest import exercised
from tests.servers import docker_is_away, opened

pytestmark = pytest.mark.integration


async def test_servers_in_containers_take_topics_and_databases() -> None:
    away = docker_is_away()
    if away:
        pytest.skip(f"Docker does not answer: {away}")
    with opened("docker") as servers:
        exercised.add(servers.source)
        assert len(await create_topics(servers.kafka_bootstrap)) == len(TOPICS)
        await create_database(servers.postgres_dsn, "deedbook_docker")
        await drop_database(servers.postgres_dsn, "deedbook_docker")
