"""What the workers' own histograms say: sums and counts of /metrics, and what came between two looks."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

TIMEOUT_S = 5.0
WANTED = {
    "commit_seconds": "commit of a batch",
    "publish_seconds": "publish to ack, per topic and lane",
    "tool_execution_duration_seconds": "a call of the tool",
}


async def look(ports: Iterable[int]) -> dict[str, tuple[float, float]]:
    """(sum, count) of each wanted histogram over the processes behind these ports."""
    totals: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for text in await asyncio.gather(*(asyncio.to_thread(_fetch, port) for port in ports)):
        for family in text_string_to_metric_families(text):
            if family.name in WANTED:
                for sample in family.samples:
                    if sample.name.endswith("_sum"):
                        totals[family.name][0] += sample.value
                    elif sample.name.endswith("_count"):
                        totals[family.name][1] += sample.value
    return {name: (total, count) for name, (total, count) in totals.items()}


def means(
    first: Mapping[str, tuple[float, float]], last: Mapping[str, tuple[float, float]]
) -> dict[str, tuple[float, float]]:
    """(mean, count) of what was observed between two looks."""
    found: dict[str, tuple[float, float]] = {}
    for name, (total, count) in last.items():
        before_total, before_count = first.get(name, (0.0, 0.0))
        number = count - before_count
        if number > 0:
            found[name] = (total - before_total) / number, number
    return found


def _fetch(port: int) -> str:
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=TIMEOUT_S) as answer:
        return bytes(answer.read()).decode()
