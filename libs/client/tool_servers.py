"""How the tool servers are, by what the workers that keep them say in their metrics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from libs.client.processes import Heard

METRIC = "mcp_server_state"
WORST_FIRST = ("OFFLINE", "DEGRADED", "ACTIVE", "PENDING")  # PENDING says least: that worker did not need it yet


def states(heard: Heard) -> Iterator[tuple[str, str]]:
    """Each profile that this process keeps a server of, and how that is."""
    for labels, value in heard.all(METRIC):
        if value == 1 and labels.get("state") in WORST_FIRST:
            yield labels.get("profile", ""), labels["state"]


def worst(heard: Sequence[Heard]) -> dict[str, str]:
    """By profile: each worker keeps a server of its own, and the one that is worst off counts."""
    found: dict[str, str] = {}
    for profile, state in (said for one in heard for said in states(one)):
        found[profile] = min(state, found.get(profile, state), key=WORST_FIRST.index)
    return found
