"""What a commit may write, of each kind something."""

from __future__ import annotations

from typing import Any

from libs.ledger.chain import consumed
from libs.ledger.protocol import ParkedInput, SideRecord
from libs.ledger.service import Record, ScopeRow, Waiting, WaitKind
from tests.integration.ledger.given import State


def key(lane: int, n: int = 0) -> bytes:
    return lane.to_bytes(8) + n.to_bytes(8)


def scope(lane: int, version: int, **more: Any) -> ScopeRow:
    fields: dict[str, Any] = {"share_micros": 100, "pending_micros": 0, "posted_micros": 0, "cap_seq": 1}
    return ScopeRow(f"tenant/{lane}", lane, version, **fields | more)


def all_kinds(lane: int) -> dict[str, Any]:
    """Something in every table that a commit writes."""
    record = Record("intents", lane, 5, 0, b"k", b"v")
    return {
        "states": {key(lane): State(1)},
        "work": {key(lane): Waiting(WaitKind.DISPATCHED, 1, 9)},
        "sides": [SideRecord(0, "intake.home", lane, b"k", b"v")],
        "parked": [(key(lane), ParkedInput(0, record))],
        "cursors": {"intents": consumed(5, b"v")},
    }
