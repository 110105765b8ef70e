"""One decision of one service: everything that can raise, before any of it is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from libs.contracts.events import Actor, ActorKind, Envelope
from libs.ledger.chain import derived_id, event_hash
from libs.ledger.errors import EventTooLarge
from libs.ledger.parked import as_record
from libs.ledger.pieces import BatchPart, Step
from libs.ledger.protocol import OutRecord
from libs.ledger.service import Dead, Event, Fact, Forward, Input, Service, cause_of, key_of

if TYPE_CHECKING:
    from libs.ledger.batch import LaneBatch


Place = tuple[int, bytes, bytes, Any]  # seq, prev_hash, key, state before


def take_step(batch: LaneBatch, part: BatchPart, key: bytes, item: Input) -> Step | None:
    """All that can raise, with nothing kept yet. None: a fact that means nothing to this service."""
    service = part.service
    before = after = batch.state(part, key)
    if isinstance(item, Fact):
        after = service.evolve(before, item)
    decisions = service.decide(item, after, batch.world)
    if not decisions and after is before and isinstance(item, Fact):
        return None
    step = Step({key: after})
    for decision in decisions:
        match decision:
            case Event():
                emit(batch, step, part, item, decision)
            case Dead():
                value = batch.hosted.dead_letter(
                    service.name, decision.code, decision.reason, as_record(item, batch.hosted.encode)
                )
                step.sides.append((f"dead.{service.name}", batch.view.lane, key, value))
            case Forward():
                step.sides.append((decision.topic, decision.partition, decision.key, decision.value))
    _look_ahead(step, service)
    if step.lines:
        batch.scopes.fold(step.lines)
    return step


def emit(batch: LaneBatch, step: Step, part: BatchPart, item: Input, event: Event) -> None:
    """One event: its place in the chain, its bytes, and what it makes of the state."""
    service, topic = part.service, part.service.writes
    if topic is None:
        raise TypeError(f"{service.name} has no output topic")
    key = event.key or key_of(item)
    seq = part.out_seq + len(step.facts) + 1
    before = step.states[key] if key in step.states else batch.state(part, key)
    prev_hash = step.facts[-1].hash if step.facts else part.out_hash
    envelope = _envelope(batch, part, item, event, (seq, prev_hash, key, before))
    value = batch.hosted.encode(envelope, event.body)
    if len(value) > batch.view.limits[topic]:
        raise EventTooLarge(
            f"{type(event.body).__name__} has {len(value)} bytes, {topic} takes {batch.view.limits[topic]}"
        )
    fact = Fact(topic, envelope, event.body, event_hash(value))
    step.records.append(OutRecord(seq, key, value, fact.hash))
    step.facts.append(fact)
    if service.lines is not None:
        step.lines.extend(service.lines(fact))
    step.states[key] = service.evolve(before, fact)


def _look_ahead(step: Step, service: Service) -> None:
    if service.waits is not None:
        step.waits = {key: service.waits(state) for key, state in step.states.items()}
    if service.react is not None:
        step.effects = {key: service.react(state) for key, state in step.states.items()}


def _envelope(
    batch: LaneBatch, part: BatchPart, item: Input, event: Event, place: tuple[int, bytes, bytes, Any]
) -> Envelope:
    seq, prev_hash, key, state = place
    cause = cause_of(item)
    if isinstance(item, Fact):
        tenant, account, trace = item.envelope.tenant, item.envelope.account, item.envelope.trace_parent
    else:
        tenant, account, trace = part.service.owner(state)
    name = part.service.writes or part.service.name
    return Envelope(
        seq=seq,
        prev_hash=prev_hash,
        event_id=derived_id(cause.id, name, seq),
        intent_id=key,
        tenant=tenant if event.tenant is None else event.tenant,
        account=account if event.account is None else event.account,
        cause=cause,
        control_seq=batch.world.control.seq,
        occurred_at=batch.world.now_at,
        trace_parent=trace if event.trace_parent is None else event.trace_parent,
        actor=event.actor or Actor(id=f"deedbook/{part.service.name}", kind=ActorKind.SYSTEM),
        producer=batch.hosted.producer,
    )
