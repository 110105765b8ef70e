"""Keys that wait: an input that could not be decided is put aside with all that comes for its key, until an operator
takes the key up again. Others go on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from libs.contracts.events import CommandRejected, KeyParked, KeyUnparked, Unpark
from libs.ledger.deciding import emit
from libs.ledger.parked import as_input, as_record
from libs.ledger.partition import lane_of
from libs.ledger.pieces import BatchPart, Step
from libs.ledger.protocol import ParkedInput
from libs.ledger.service import Command, Due, Event, Fact, Input, Record, Service, cause_of, key_of

if TYPE_CHECKING:
    from libs.ledger.batch import LaneBatch
    from libs.ledger.lane import Lane
    from libs.ledger.worker import Worker

REFUSED = {
    "NOT_PARKED": "no input of this key waits here, or it is not yours to take up",
    "REASON_MISSING": "taking a key up again needs a reason",
}


def is_parked(batch: LaneBatch, part: BatchPart, key: bytes) -> bool:
    """Does the key wait, as this batch has left it?"""
    return key in part.parked or (key in batch.view.parked[part.service.name] and key not in part.unparked)


def park(batch: LaneBatch, service: Service, item: Input, code: str, error: str) -> None:
    """Put a key aside with the input that it failed on: the key waits, others go on. A record that is not in its
    home lane goes to the dead letters instead: whoever takes the key up again speaks to its home lane. So does one
    that anybody may have sent when too many wait already; an event waits always, since none may be skipped."""
    part, key = batch.parts[service.name], key_of(item)
    at_home = lane_of(key, batch.world.lanes) == batch.view.lane
    if isinstance(item, Command) and not (at_home and batch.view.has_room_for(part)):
        batch.bury(service, item.record, code, error, batch.trace_of(part, item))
        return
    first = not is_parked(batch, part, key)
    put_aside(batch, part, item)
    text = error.encode("utf-8", "replace").decode()[:500]
    batch.alarms.append((code, f"{service.name}: key {key.hex()} parked: {text}", batch.trace_of(part, item)))
    if first and service.writes:
        cause = cause_of(item)
        _announce(batch, part, item, KeyParked(
            service=service.name, code=code, error=text, input_topic=cause.topic, input_position=cause.position
        ))  # fmt: skip


def put_aside(batch: LaneBatch, part: BatchPart, item: Input) -> None:
    """One more input of a key that is parked."""
    key = key_of(item)
    if isinstance(item, Due) and is_parked(batch, part, key):
        return  # whether it is due is asked again when the key is taken up
    if isinstance(item, Command) and not batch.view.has_room_for(part):
        why = f"key {key.hex()} is parked, and too many inputs wait"
        batch.bury(part.service, item.record, "PARKED_FULL", why, batch.trace_of(part, item))
        return
    waiting = part.parked.setdefault(key, [])
    before = batch.view.parked[part.service.name].get(key, ())
    n = (before[-1].n + 1 if before else 0) + len(waiting)
    waiting.append(ParkedInput(n, as_record(item, batch.hosted.encode)))


def unpark(worker: Worker, lane: Lane, batch: LaneBatch, body: Unpark, command: Command) -> None:
    """An operator takes a key up again, if they may: its waiting inputs are decided in their order."""
    service, who = batch.hosted.by_name[body.service], body.principal
    stored, part = lane.parts[service.name].parked, batch.parts[service.name]
    waiting = [] if command.key in part.unparked else stored.get(command.key, [])
    waiting = [*waiting, *part.parked.get(command.key, ())]  # also those that this very batch has put aside
    inputs: list[Input] = []
    broken: list[tuple[Record, str]] = []
    for one in waiting:
        try:
            item = as_input(
                one.record, service, worker.functions.decode, lambda s, r: worker.prepare(s, r, lane.number)
            )
            inputs.extend([] if item is None else [item])
        except Exception as error:  # noqa: BLE001 - what cannot be read again must not stop the lane
            broken.append((one.record, f"{type(error).__name__}: {error}"))
    owners = {service.owner(batch.state(part, command.key))[0]}
    owners |= {item.envelope.tenant for item in inputs if isinstance(item, Fact)}
    if not waiting or "operator" not in who.roles or owners - {"", who.tenant}:
        _refuse(batch, part, command, who.tenant, "NOT_PARKED")
        return
    if not body.reason:
        _refuse(batch, part, command, who.tenant, "REASON_MISSING")
        return
    part.unparked.append(command.key)
    part.parked.pop(command.key, None)
    _announce(batch, part, command, KeyUnparked(
        service=service.name, command_id=command.id, by=who.subject, reason=body.reason
    ))  # fmt: skip
    for item in inputs:
        batch.feed(service, item)
    for record, error_text in broken:
        batch.bury(service, record, "PREPARE_FAILED", error_text, batch.trace_of(part, command))


def _refuse(batch: LaneBatch, part: BatchPart, command: Command, tenant: str, code: str) -> None:
    """A command to the lane itself that changes nothing: recorded like any refusal (rule 24)."""
    kind = type(command.body).__name__
    body = CommandRejected(command_id=command.id, command=kind, code=code, reason=REFUSED[code])
    _announce(batch, part, command, body, tenant)


def _announce(batch: LaneBatch, part: BatchPart, item: Input, body: Any, tenant: str | None = None) -> None:
    """An event of the lane itself about a key."""
    if part.service.writes is None:
        return
    key = key_of(item)
    state = batch.state(part, key)
    step = Step({})
    try:
        emit(batch, step, part, item, Event(body, key=key, tenant=tenant))
    except Exception as error:  # noqa: BLE001 - an evolve that raises must not keep its key from being parked
        text = f"{part.service.name}: {type(error).__name__}: {error}"
        batch.alarms.append(("EVOLVE_FAILED", text, batch.trace_of(part, item)))
        step.states = {key: state}
    batch.keep(part, step)
