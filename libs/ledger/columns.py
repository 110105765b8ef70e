"""Rows to values and values to columns: how the lane protocol's words look to the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import msgspec

from libs.ledger.chain import Cursor
from libs.ledger.protocol import LaneRow, Published, RowChange, WorkRow
from libs.ledger.service import Service, Waiting, WaitKind

encode = msgspec.msgpack.Encoder().encode
_cursors = msgspec.msgpack.Decoder(dict[str, Cursor])


def lane_row(row: Any) -> LaneRow:
    cursors = _cursors.decode(row["cursors"]) if row["cursors"] else {}
    published = Published(row["published_offset"], row["published_seq"], row["published_hash"])
    return LaneRow(
        row["service"], row["epoch"], row["out_seq"], row["out_hash"], published, cursors, row["previous_token"] or b"",
        row["lease_end_at"], row["quiet_until"], row["unfinished"], row["suspect"],
    )  # fmt: skip


def work_row(row: Any) -> WorkRow:
    waiting = Waiting(WaitKind(row["kind"]), row["attempt"], row["due_at"], row["why"], row["owner"])
    return WorkRow(row["key"], waiting, row["started_at"], row["first_started_at"])


_COMMIT_TYPES = (
    "int[]", "bigint[]", "bigint[]", "bigint[]", "bytea[]", "bigint[]", "bigint[]", "bytea[]", "bytea[]",
    "bigint[]", "int[]", "bigint[]", "bigint[]", "bytea[]", "int[]", "uuid[]", "bytea[]", "text[]", "text[]",
    "bigint[]", "text[]", "int[]", "uuid[]", "int[]", "text[]", "bigint[]", "text[]", "text[]", "uuid[]",
    "text[]", "int[]", "bigint[]", "bigint[]", "bigint[]", "bigint[]", "bigint[]", "boolean[]", "bigint[]",
    "jsonb",
)  # fmt: skip


@cache
def commit_statement(names: tuple[str, ...]) -> str:
    """One call for these services: all of their rows or none."""
    calls, n = [], 4
    for name in names:
        arguments = ", ".join(f"${n + i}::{kind}" for i, kind in enumerate(_COMMIT_TYPES))
        calls.append(f"{name}.commit_lanes($1, $2, $3, {arguments})")
        n += len(_COMMIT_TYPES)
    return "SELECT " + ", ".join(calls)


def _columns(rows: Sequence[tuple[Any, ...]], width: int) -> list[Sequence[Any] | None]:
    """NULL costs the driver and the server less than an empty array, and most of a small commit is empty."""
    return list(zip(*rows, strict=True)) if rows else [None] * width


def commit_arguments(service: Service, changes: Sequence[RowChange]) -> list[Any]:
    """The arguments of `commit_lanes` for one service: columns, in the order of _COMMIT_TYPES."""
    lanes = [
        (
            c.lane, c.epoch, c.seen_out_seq, c.out_seq, c.out_hash, c.published.seq, c.published.offset,
            c.published.hash, encode(c.cursors), c.control_seq,
        )
        for c in changes
    ]  # fmt: skip
    boxes = [(c.lane, c.records[0].seq, c.records[-1].seq, encode(c.records)) for c in changes if c.records]
    states = [_state_row(service, c.lane, key, state) for c in changes for key, state in c.states.items()]
    work = [
        (c.lane, key, w.attempt, w.kind.value, w.due_at, w.why, w.owner)
        for c in changes for key, w in c.work.items() if w is not None
    ]  # fmt: skip
    idle = [key for c in changes for key, w in c.work.items() if w is None]
    scopes = sorted(
        (r.scope, r.stripe, seen, r.version, r.share_micros, r.pending_micros, r.posted_micros, r.frozen, r.cap_seq)
        for c in changes
        for seen, r in c.scopes
    )
    return [
        *_columns(lanes, 10), *_columns(boxes, 4), *_columns(states, 7), *_columns(work, 7), idle or None,
        *_columns(scopes, 9), _rare(changes),
    ]  # fmt: skip


def _state_row(service: Service, lane: int, key: bytes, state: Any) -> tuple[Any, ...]:
    index: Mapping[str, Any] = (service.index(state) if service.index is not None else None) or {}
    return (lane, key, encode(state), index.get("tenant"), index.get("account"), index.get("at"), index.get("label"))


def _rare(changes: Sequence[RowChange]) -> str | None:
    """Bytes as hex: what older releases' functions read too, which one that starts anew puts back."""
    sides = [(c.lane, s.id, s.topic, s.partition, s.key.hex(), s.value.hex()) for c in changes for s in c.sides]
    done = [(c.lane, n) for c in changes for n in c.sides_done]
    parked = [(c.lane, key.hex(), p.n, encode(p.record).hex()) for c in changes for key, p in c.parked]
    unparked = [key.hex() for c in changes for key in c.unparked]
    if not (sides or done or parked or unparked):
        return None
    rare = {"sides": sides, "sides_done": done, "parked": parked, "unparked": unparked}
    return msgspec.json.encode(rare).decode()
