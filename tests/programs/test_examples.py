"""The examples, as a person starts them: an agent with the SDK and one with plain gRPC do the same, once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from libs.stack.folders import home
from libs.stack.scratch import scratch
from tests.programs.running import left_running, program

pytestmark = [pytest.mark.integration, pytest.mark.requirement("L1")]
LIMIT_S = 150


@pytest.fixture
def folder() -> Iterator[Path]:
    with scratch(home() / "tests") as made:
        yield made


def test_both_agents_order_what_runs_out_and_nothing_twice(folder: Path) -> None:
    with program("examples.shop", folder) as running:
        told, _ = running.communicate(timeout=LIMIT_S)
    assert running.returncode == 0, told
    assert told.count("bolts: SUCCEEDED, [{'affected_rows': 1}], cost 0.01") == 2
    assert told.count("bolts: KEY_REUSED") == 1
    assert "none twice is the point:\n  bolts: KEY_REUSED" in told, "whoever reads it knows that it shall be so"
    assert "SQLite itself says: {'bolts': 2, 'washers': 2}" in told
    assert left_running(folder) == []
