"""A pytest plugin: only tests that carry the number of a rule (`--rule 7`; 0 = of any rule)."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rule", type=int, default=0)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    rule: int = config.getoption("--rule")
    chosen = [item for item in items if any(not rule or rule in mark.args for mark in item.iter_markers("rule"))]
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = chosen
