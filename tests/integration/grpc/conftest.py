"""A Kafka with the real topic names for the tests of this folder, and keys of an issuer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from libs.runtime import devkeys
from libs.stack.folders import home
from libs.stack.scratch import scratch
from libs.stack.stack import Stack
from libs.stack.topics import create_topics
from tests.conftest import wait_for


@pytest.fixture(scope="module")
def log() -> Iterator[Stack]:
    """Running servers with all topics, shared by the tests of one module."""
    with scratch(home() / "tests") as folder:
        stack = Stack(folder)
        with stack as ends:
            wait_for(create_topics(ends.kafka_bootstrap))
            yield stack


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an issuer's keys."""
    folder = tmp_path_factory.mktemp("issuer")
    devkeys.ensure(folder)
    return folder
