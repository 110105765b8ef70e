"""What was taken from a lane goes into a batch, by the reader's rule (lane_rules 8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from libs.contracts.events import Unpark
from libs.ledger.batch import LaneBatch
from libs.ledger.chain import Seen, applied, consumed, look
from libs.ledger.errors import LaneBroken
from libs.ledger.inbox import Taken
from libs.ledger.lane import Lane
from libs.ledger.parking import as_input
from libs.ledger.service import Command, Fact, Input, Record, Service

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
            _unpark(worker, lane, batch, *item.unpark)
    batch.finish()


def put_aside(batch: LaneBatch, taken: Taken) -> None:
    """The third death: an event's or effect's key is parked without deciding; a record without a known key goes to the
    dead letters, since finding its key out may be what kills."""
    for entry in taken.direct:
        batch.park(entry.service, entry.item, "KILLED_PROCESS", POISON)
    for item in taken.records:
        record, fact = item.record, item.fact
        for service in batch.hosted.readers[record.topic]:
            part = batch.parts[service.name]
            if fact is None:
                if _is_new(batch, service, record):
                    part.cursors[record.topic] = consumed(record.offset, record.value)
                    batch.bury(service, record, "KILLED_PROCESS", POISON)
            elif _fits(batch, service, record, fact):
                part.cursors[fact.topic] = applied(
                    part.cursors[fact.topic], record.offset, fact.envelope.seq, fact.hash
                )
                batch.park(service, fact, "KILLED_PROCESS", POISON)
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


def _unpark(worker: Worker, lane: Lane, batch: LaneBatch, body: Unpark, command: Command) -> None:
    service, who = batch.hosted.by_name[body.service], body.principal
    stored, part = lane.parts[service.name].parked, batch.parts[service.name]
    waiting = [] if command.key in part.unparked else stored.get(command.key, [])
    waiting = [*waiting, *part.parked.get(command.key, ())]  # also those that this very batch has put aside
    inputs: list[Input] = []
    broken: list[tuple[Record, str]] = []
    for one in waiting:
        try:
            item = as_input(one.record, service, worker.tools.decode, lambda s, r: worker.prepare(s, r, lane.number))
            inputs.extend([] if item is None else [item])
        except Exception as error:  # noqa: BLE001 - what cannot be read again must not stop the lane
            broken.append((one.record, f"{type(error).__name__}: {error}"))
    owners = {service.owner(batch.state(part, command.key))[0]}
    owners |= {item.envelope.tenant for item in inputs if isinstance(item, Fact)}
    if not waiting or "operator" not in who.roles or owners - {"", who.tenant}:
        batch.refuse(service, command, who.tenant, "NOT_PARKED")
    elif not body.reason:
        batch.refuse(service, command, who.tenant, "REASON_MISSING")
    else:
        batch.unpark(service, command, inputs, (who.subject, body.reason))
        for record, error_text in broken:
            batch.bury(service, record, "PREPARE_FAILED", error_text)
