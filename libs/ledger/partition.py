"""The home lane of an intent. Our own function, so that clients of every language and version agree; it never changes
(lane rule 25)."""

from __future__ import annotations


def lane_of(intent_id: bytes, lanes: int) -> int:
    """The first 8 bytes, read as a big-endian number, modulo the number of lanes."""
    return int.from_bytes(intent_id[:8]) % lanes
