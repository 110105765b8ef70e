"""Decide to quiescence: one lane's part of a batch, purely in memory.

Each input is given to the services that read it; an event that one hosted service emits is at once input to the
other hosted services that read its topic. What comes out is what the commit writes: events as stored bytes, states,
the index of what waits, scope stripes, forwards and dead letters. Nothing here touches the lane's own memory: a batch
that is refused is simply thrown away.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Container, Mapping
from dataclasses import replace
from typing import Any

from libs.ledger import parking
from libs.ledger.chain import applied, consumed, handed_over
from libs.ledger.deciding import take_step
from libs.ledger.errors import KeyBroken, NeedsMore
from libs.ledger.hosted import Hosted
from libs.ledger.pieces import BatchPart, LaneView, Step
from libs.ledger.protocol import Published, RowChange
from libs.ledger.scopes import ScopeView
from libs.ledger.service import (
    Citation,
    CitedNeeded,
    Command,
    Fact,
    Input,
    Record,
    Recover,
    ScopesNeeded,
    Service,
    World,
    key_of,
    means_something,
)

EVENTS_PER_INPUT_MAX = 64
SIDE_KEY_MAX = 1_024


class LaneBatch:
    """Feed inputs, `finish`, then read `change()` per service."""

    def __init__(
        self,
        view: LaneView,
        hosted: Hosted,
        states: Mapping[str, Mapping[bytes, Any]],
        asked: Mapping[str, Container[bytes]],
        world: World,
    ) -> None:
        self.view, self.hosted, self._states, self._asked = view, hosted, states, asked
        self.scopes = ScopeView(view.lane, world.lanes, view.scopes, view.scopes_full)
        self.world = replace(world, lane=view.lane, scopes=self.scopes, dispatch_free=self._dispatch_free)
        self.parts = {
            s.name: BatchPart(s, p[0], p[1], dict(p[2]), p[3]) for s in hosted.services if (p := view.parts[s.name])
        }
        self.dispatched: dict[str, int] = {}
        self.starved: dict[bytes, str] = {}  # key -> the effect class that had no room for it
        self.alarms: list[tuple[str, str, str]] = []  # code, text, traceparent of the intent that it is about
        self.gaps: dict[str, str] = {}  # topic -> what is missing
        self.applied: set[str] = set()
        self.recovered: set[bytes] = set()  # keys whose recovery was decided
        self._opened: set[bytes] = set()
        self._queue: deque[tuple[Service, Input]] = deque()
        self._deciding = b""
        self._missing_keys: dict[bytes, None] = {}
        self._missing_scopes: dict[str, None] = {}
        self._missing_cited: dict[Citation, None] = {}

    # -- feeding

    def feed(self, service: Service, item: Input) -> None:
        """Decide on one input and on all that follows from it within this process."""
        self._queue.append((service, item))
        self._come_to_rest()

    def _come_to_rest(self) -> None:
        left = EVENTS_PER_INPUT_MAX * len(self.hosted.services) + len(self._queue)
        emitted: list[tuple[str, bytes]] = []
        while self._queue:
            service, item = self._queue.popleft()
            if left == 0:
                raise KeyBroken(*Counter(emitted).most_common(1)[0][0])
            left -= 1
            part = self.parts[service.name]
            before = part.out_seq
            self._one(part, item)
            if part.out_seq > before:
                emitted.append((service.name, key_of(item)))

    def feed_fact(self, service: Service, offset: int, fact: Fact) -> None:
        """A chained record that the reader's rule says to apply."""
        part = self.parts[service.name]
        part.cursors[fact.topic] = applied(offset, fact.envelope.seq, fact.hash)
        self.applied.add(fact.topic)
        if service.writes is None:
            self._fold(part, fact)
        elif means_something(service, fact):
            self.feed(service, fact)

    def feed_command(self, service: Service, record: Record, command: Command | None) -> None:
        """A record of an unchained topic; None: it is not for this service, only the position moves."""
        self.parts[service.name].cursors[record.topic] = consumed(record.offset, record.value)
        if command is not None:
            self.feed(service, command)

    def finish(self) -> None:
        """Raises NeedsMore if anything was decided without a state or scope row that it asked for."""
        self._come_to_rest()
        missing = (tuple(self._missing_keys), tuple(self._missing_scopes), tuple(self._missing_cited))
        if any(missing):
            raise NeedsMore(*missing)

    def bury(self, service: Service, record: Record, code: str, reason: str, trace: str = "") -> None:
        """Original bytes to the dead letters, without a decision. The lane gets rid of anything here: never raises."""
        part = self.parts[service.name]
        try:
            value = self.hosted.dead_letter(service.name, code, reason, record)
        except Exception as error:  # noqa: BLE001 - the alarm names the record
            self.alarms.append(("NO_DEAD_LETTER", f"{service.name}: {type(error).__name__}: {error}", trace))
        else:
            part.add_side(f"dead.{service.name}", self.view.lane, (record.key or b"")[:SIDE_KEY_MAX], value)
        self.alarms.append((code, f"{service.name}: {record.topic}/{record.offset}: {reason}", trace))

    # -- one decision

    def _one(self, part: BatchPart, item: Input) -> None:
        service, key = part.service, key_of(item)
        if parking.is_parked(self, part, key):
            parking.put_aside(self, part, item)
            return
        if (service.name, key) in self.view.broken:
            parking.park(self, service, item, "DECIDE_ENDLESS", "deciders answer each other without end")
            return
        self._deciding = key
        try:
            step = take_step(self, part, key, item)
        except ScopesNeeded as need:
            self._missing_scopes[need.scope] = None
        except CitedNeeded as need:
            self._missing_cited.update(dict.fromkeys(need.citations))
        except Exception as error:  # noqa: BLE001 - a bug in a decider must stop its own key only
            parking.park(self, service, item, "DECIDE_FAILED", f"{type(error).__name__}: {error}")
        else:
            if step is not None:
                self.keep(part, step)
            if isinstance(item, Recover):
                self.recovered.add(key)

    def _fold(self, part: BatchPart, fact: Fact) -> None:
        """A projection: nothing follows from its state."""
        key = fact.envelope.intent_id
        if parking.is_parked(self, part, key):
            parking.put_aside(self, part, fact)
            return
        try:
            part.states[key] = part.service.evolve(self.state(part, key), fact)
        except Exception as error:  # noqa: BLE001 - as above
            parking.park(self, part.service, fact, "EVOLVE_FAILED", f"{type(error).__name__}: {error}")

    def keep(self, part: BatchPart, step: Step) -> None:
        """Take over what one decision has made."""
        part.states |= step.states
        part.waits |= step.waits
        for target, effect in step.effects.items():
            part.effects[target] = effect
            if effect is not None and target not in self.view.open_effects and target not in self._opened:
                self._opened.add(target)
                if target in self.view.woken:
                    continue  # its room was set aside when it was woken
                self.dispatched[effect.effect_class] = self.dispatched.get(effect.effect_class, 0) + 1
        for side in step.sides:
            part.add_side(*side)
        part.records.extend(step.records)
        for fact in step.facts:
            part.out_seq, part.out_hash = fact.envelope.seq, fact.hash
            for reader in self.hosted.readers.get(fact.topic, ()):
                cursors = self.parts[reader.name].cursors
                in_step = cursors[fact.topic].last_seq == fact.envelope.seq - 1
                if in_step:  # otherwise it is read from the topic (rule 22)
                    cursors[fact.topic] = handed_over(cursors[fact.topic], fact.envelope.seq, fact.hash)
                    if means_something(reader, fact):
                        self._queue.append((reader, fact))

    # -- small parts

    def state(self, part: BatchPart, key: bytes) -> Any:
        """The state as this batch has made it. One that was never asked for counts as initial until `finish`."""
        if key in part.states:
            return part.states[key]
        name = part.service.name
        if key not in self._asked[name]:
            self._missing_keys[key] = None
        return self._states[name].get(key, part.service.initial)

    def trace_of(self, part: BatchPart, item: Input) -> str:
        """The traceparent of the intent that an input is about, as far as it is known: nothing is loaded for it."""
        if isinstance(item, Fact):
            return item.envelope.trace_parent
        key, loaded = key_of(item), self._states[part.service.name]
        trace = part.service.owner(part.states.get(key, loaded.get(key, part.service.initial)))[2]
        return trace or (item.trace_parent if isinstance(item, Command) else "")

    def _dispatch_free(self, effect_class: str) -> bool:
        free = self._deciding in self.view.woken
        free = free or self.view.free.get(effect_class, 0) > self.dispatched.get(effect_class, 0)
        if not free:
            self.starved[self._deciding] = effect_class
        return free

    # -- what comes out

    def change(self, service: Service, epoch: int, published: Published, control_seq: int) -> RowChange:
        """What the commit writes for this lane and service. States that did not change are left out."""
        part, (seen, _, _, _) = self.parts[service.name], self.view.parts[service.name]
        loaded = self._states[service.name]
        states = {k: v for k, v in part.states.items() if v is not loaded.get(k, service.initial)}
        return RowChange(
            lane=self.view.lane,
            epoch=epoch,
            seen_out_seq=seen,
            out_seq=part.out_seq,
            out_hash=part.out_hash,
            published=published,
            cursors=part.cursors,
            control_seq=control_seq,
            records=part.records,
            states=states,
            sides=part.sides,
            parked=[(key, item) for key, items in part.parked.items() for item in items],
            unparked=part.unparked,
            scopes=list(self.scopes.changed.values()) if service.lines is not None else [],
        )
