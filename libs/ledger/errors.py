"""What can go wrong while a batch is decided. None of these leaves the lane protocol.

Exception
+-- NeedsMore      something is not in memory: load it, decide anew
+-- KeyBroken      one key cannot be decided: decide anew without it
+-- LaneBroken     the lane must halt
+-- EventTooLarge  one decision cannot be written: its key is parked
"""

from __future__ import annotations

from collections.abc import Sequence


class NeedsMore(Exception):
    """States, scope rows or cited events that the batch asked for are not in memory: load them and decide it anew."""

    def __init__(self, keys: Sequence[bytes], scopes: Sequence[str], cited: Sequence[tuple[bytes, bytes]] = ()) -> None:
        super().__init__(f"{len(keys)} keys, {len(scopes)} scopes, {len(cited)} cited events")
        self.keys, self.scopes, self.cited = tuple(keys), tuple(scopes), tuple(cited)


class KeyBroken(Exception):
    """A key's input does not come to rest: decide the batch anew with that key put aside."""

    def __init__(self, service: str, key: bytes) -> None:
        super().__init__(f"{service}: an input of {key.hex()} does not come to rest: deciders answer each other")
        self.place = (service, key)


class LaneBroken(Exception):
    """The lane must halt: corruption, or a foreign writer."""


class EventTooLarge(ValueError):
    """No topic would take this event; after the commit it would block the lane (rule 15)."""
