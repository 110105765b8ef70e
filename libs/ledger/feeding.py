"""What was taken from a lane goes into a batch, by the reader's rule (lane_rules 8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from libs.ledger import parking
from libs.ledger.batch import LaneBatch
from libs.ledger.chain import Seen, applied, consumed, look
from libs.ledger.errors import LaneBroken
from libs.ledger.inbox import Taken
from libs.ledger.lane import Lane
from libs.ledger.service import Fact, Record, Service

if TYPE_CHECKING:
    from libs.ledger.worker import Worker

POISON = "three processes died on this input"


def run_batch(worker: Worker, lane: Lane, taken: Taken, batch: LaneBatch) -> None:
    """Feed all of it. Raises LaneBroken: the lane must halt; NeedsMore: load and run it anew."""
    for entry in taken.direct:
        batch.feed(entry.service, entry.item)
    for item in taken.records:
        record = item.record
        if item.fact is not None:
            for service in batch.hosted.readers[record.topic]:
                if _fits(batch, service, record, item.fact):
                    batch.feed_fact(service, record.offset, item.fact)
        new = {service.name for service, _ in item.commands if _is_new(batch, service, record)}
        for service, command in item.commands:
            if service.name in new:
                batch.feed_command(service, record, command)
        for service, error in item.errors:
            if service.name in new:
                batch.bury(service, record, "PREPARE_FAILED", error)
        if item.unpark is not None and item.unpark[0].service in new:
            parking.unpark(worker, lane, batch, *item.unpark)
    batch.finish()


def park_all(batch: LaneBatch, taken: Taken) -> None:
    """The third death: an event's or effect's key is parked without deciding; a record without a known key goes to the
    dead letters, since finding its key out may be what kills."""
    for entry in taken.direct:
        parking.park(batch, entry.service, entry.item, "KILLED_PROCESS", POISON)
    for item in taken.records:
        record, fact = item.record, item.fact
        for service in batch.hosted.readers[record.topic]:
            part = batch.parts[service.name]
            if fact is None:
                if _is_new(batch, service, record):
                    part.cursors[record.topic] = consumed(record.offset, record.value)
                    batch.bury(service, record, "KILLED_PROCESS", POISON)
            elif _fits(batch, service, record, fact):
                part.cursors[fact.topic] = applied(record.offset, fact.envelope.seq, fact.hash)
                parking.park(batch, service, fact, "KILLED_PROCESS", POISON)
    batch.finish()


def _fits(batch: LaneBatch, service: Service, record: Record, fact: Fact) -> bool:
    match look(batch.parts[service.name].cursors[record.topic], fact.envelope.seq, fact.envelope.prev_hash):
        case Seen.APPLY:
            return True
        case Seen.GAP:
            batch.gaps[record.topic] = f"{service.name}: {record.topic} skips to seq {fact.envelope.seq}"
        case Seen.HALT:
            raise LaneBroken(f"{record.topic} offset {record.offset}: seq fits, prev_hash does not (other bytes)")
        case Seen.DROP:
            pass
    return False


def _is_new(batch: LaneBatch, service: Service, record: Record) -> bool:
    anchor = batch.parts[service.name].cursors[record.topic].anchor
    return anchor is None or record.offset > anchor.offset
