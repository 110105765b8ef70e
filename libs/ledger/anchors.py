"""The checks at claim (lane_rules 9-11, 15): does the log still hold what our rows say it holds?

They find topics that were made again, lost tails (which the outbox mends), restored backups, lost commits and
foreign writers. Pure: what was read comes in, a verdict goes out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from libs.ledger.chain import Anchor, Cursor, Seen, applied, look
from libs.ledger.protocol import LaneRow, OutRecord, Published, TailRecord


class Verdict(StrEnum):
    """OK: go on. FULL: the quick look did not fit, read the whole partition. WAIT: an input's tail is away and its
    writer may mend it. HALT: somebody must look."""

    OK = "OK"
    FULL = "FULL"
    WAIT = "WAIT"
    HALT = "HALT"


@dataclass(frozen=True)
class OutputCheck:
    """The verdict on an output partition and, when OK, where its frontier really is."""

    verdict: Verdict
    published: Published = Published()
    reason: str = ""


@dataclass(frozen=True)
class InputCheck:
    """The verdict on an input partition and, when OK, the cursor with an anchor that is really there."""

    verdict: Verdict
    cursor: Cursor = Cursor()
    reason: str = ""


def check_output(
    topic: str, row: LaneRow, tail: Sequence[TailRecord], kept: Mapping[int, OutRecord], full: bool
) -> OutputCheck:
    """Rule 10 and 11. `tail`: from the frontier's offset on, or (`full`) from the start of the log."""
    if not full and row.published.seq > 0 and (not tail or _published(tail[0]) != row.published):
        return OutputCheck(Verdict.FULL)
    for record in tail:
        if not 0 < record.seq <= row.out_seq:
            text = f"{topic} holds seq {record.seq}, our row ends at {row.out_seq}: a foreign writer, or a lost commit"
            return OutputCheck(Verdict.HALT, reason=text)
        own = kept.get(record.seq)
        if own is not None and own.hash != record.hash:
            text = f"{topic} holds other bytes under seq {record.seq} (offset {record.offset}) than our outbox"
            return OutputCheck(Verdict.HALT, reason=text)
    return _mend(topic, row, tail, kept) if full else OutputCheck(Verdict.OK, row.published)


def _mend(topic: str, row: LaneRow, log: Sequence[TailRecord], kept: Mapping[int, OutRecord]) -> OutputCheck:
    """The frontier is the last intact record up to which we had acks; what is missing above is published again."""
    if not log and row.published.seq > 0:
        text = f"{topic} is empty but seq {row.published.seq} was acknowledged: the topic was made again"
        return OutputCheck(Verdict.HALT, reason=f"{text}; restore it, or rebuild into a new topic generation")
    cursor, offset = Cursor(), -1
    for record in log:
        seen = look(cursor, record.seq, record.prev_hash)
        if seen is Seen.HALT:
            return OutputCheck(Verdict.HALT, reason=f"{topic}: the chain breaks at offset {record.offset}")
        if seen is Seen.APPLY and record.seq <= row.published.seq:
            cursor, offset = applied(record.offset, record.seq, record.hash), record.offset
    missing = [seq for seq in range(cursor.last_seq + 1, row.published.seq + 1) if seq not in kept]
    if missing:
        text = f"{topic} lost its records from seq {missing[0]} on, and the outbox no longer keeps them"
        return OutputCheck(Verdict.HALT, reason=f"{text}; raise outbox_keep, restore the topic from a replica")
    return OutputCheck(Verdict.OK, Published(offset, cursor.last_seq, cursor.last_hash))


def check_input(
    topic: str,
    cursor: Cursor,
    found: tuple[bytes | None, int],
    chained: bool,
    whole: Sequence[TailRecord] | None = None,
) -> InputCheck:
    """Rule 9: the record at the anchor has the anchor's hash. `found`: (hash or None, first offset of the log).
    `whole`: the whole partition, when the quick look did not fit; a mended tail may hold the record elsewhere."""
    anchor, (digest, log_start) = cursor.anchor, found
    if anchor is None:
        if log_start > 0:
            text = f"{topic} begins at offset {log_start}: nobody starts in the middle without an anchor"
            return InputCheck(Verdict.HALT, reason=text)
        return InputCheck(Verdict.OK, cursor)
    if digest == anchor.hash:
        return InputCheck(Verdict.OK, cursor)
    if chained:
        return InputCheck(Verdict.FULL) if whole is None else _search(topic, cursor, anchor, whole)
    if digest is None and log_start == anchor.offset + 1:
        return InputCheck(Verdict.OK, cursor)  # retention removed it, and nothing that we have not read
    if digest is None and log_start > anchor.offset:
        text = f"{topic}: retention removed records up to {log_start}, read up to {anchor.offset} only"
    else:
        text = f"{topic}: not what was applied at offset {anchor.offset}: its tail was lost, or it was made again"
    return InputCheck(Verdict.HALT, reason=text)


def _search(topic: str, cursor: Cursor, anchor: Anchor, whole: Sequence[TailRecord]) -> InputCheck:
    for record in whole:
        if record.seq == anchor.seq:
            if record.hash != anchor.hash:
                text = f"{topic}: other bytes under seq {anchor.seq} than the ones applied: the topic was made again"
                return InputCheck(Verdict.HALT, reason=text)
            return InputCheck(
                Verdict.OK, Cursor(cursor.last_seq, cursor.last_hash, Anchor(record.offset, anchor.seq, anchor.hash))
            )
    text = f"{topic}: seq {anchor.seq} is not in the log any more; its writer must publish it again"
    return InputCheck(Verdict.WAIT, reason=text)


def _published(record: TailRecord) -> Published:
    return Published(record.offset, record.seq, record.hash)
