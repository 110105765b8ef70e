"""What an open lane looks at now and then: a log that has lost its tail tells nobody by itself (lane_rules 11)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from libs.ledger.chain import ZERO, Anchor, Cursor, event_hash
from libs.ledger.lane import Lane, Part, Phase
from libs.ledger.protocol import Check, Checked, LaneRow

if TYPE_CHECKING:
    from libs.ledger.worker import Worker


def on_time(worker: Worker, lane: Lane) -> None:
    """Whatever is found, the claim that follows finds out the rest."""
    if lane.phase is not Phase.OPEN:
        return
    if lane.gaps and worker.boot_ms - min(lane.gaps.values()) >= worker.limits.gap_wait_ms:
        worker.fail(lane, "GAP", f"still missing: {', '.join(lane.gaps)}")
    elif lane.mending and lane.published_all:
        worker.fail(lane, "INPUT_TAIL_LOST", lane.mending, release=False)
    elif worker.boot_ms >= lane.look_again_ms and lane.published_all:
        lane.look_again_ms = worker.boot_ms + worker.limits.look_again_ms
        lane.looking_for = {name: _as_seen(lane, part) for name, part in lane.parts.items()}
        worker.out.append(Check(lane.number, lane.claim, lane.looking_for))


def _as_seen(lane: Lane, part: Part) -> LaneRow:
    """The row with what this owner has published, and has fetched, last."""
    cursors = {
        topic: Cursor(0, ZERO, Anchor(record.offset, 0, event_hash(record.value)))
        for topic, record in lane.last_seen.items()
        if topic in part.cursors
    }
    return msgspec.structs.replace(part.row, published=part.published, cursors=cursors)


def looked_again(worker: Worker, lane: Lane, answer: Checked) -> None:
    """Is our own last record still there, and is what we read last still what we read?"""
    for name, row in lane.looking_for.items() if not answer.error else ():
        published = row.published
        first = next(iter(answer.tails.get(name, ())), None)
        if published.seq > 0 and (first is None or (first.offset, first.hash) != (published.offset, published.hash)):
            worker.fail(lane, "TAIL_LOST", f"{name}: seq {published.seq} is not at offset {published.offset} any more")
            return
        for topic, cursor in row.cursors.items():
            digest, log_start = answer.anchors[f"{name}/{topic}"]
            anchor = cursor.anchor
            if anchor is not None and anchor.offset >= log_start and digest != anchor.hash:
                if topic in worker.hosted.written:
                    continue  # read while we caught up; its writer is looked at by itself
                worker.fail(lane, "FETCH_FAILED", f"{topic}: not what was read at offset {anchor.offset} any more")
                return
