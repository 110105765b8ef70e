"""What a deed costs our processes in their own code (protocol, deciders, codec, states to bytes and back), without
servers, network and loop: `python -m benchmarks.deciding`. `--profile` says where it goes."""

from __future__ import annotations

import argparse
import cProfile
import pstats
import sys
import time
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from benchmarks.intents import Press
from benchmarks.report import say
from libs.contracts import events
from libs.governance.policy import read_policy
from libs.governance.tokens import Issuer, KeySet, TokenVerifier, read_jwks
from libs.ledger import protocol as p
from libs.ledger.chain import ZERO
from libs.ledger.codec import CATALOGUE
from libs.ledger.hosted import Hosted
from libs.ledger.partition import lane_of
from libs.ledger.records import dead_letter, decode_fact, decode_unpark
from libs.ledger.service import Record, Result
from libs.ledger.worker import Functions, Limits, Worker
from libs.runtime import devkeys
from libs.stack.shapes import SHAPES
from libs.testkit import samples, seeding
from services.intake.decider import IntakeWorld
from services.table import DECIDERS, TABLE

TOKEN = bytes(16)
LANES = 8
LIMIT = 1 << 20
FOREVER_MS = 1 << 60  # the control view never grows stale here
WARM_DEEDS = 500
ROW_ZERO = p.Published()


class Servers:
    """Answers every action at once, as servers would that take no time."""

    def __init__(self, names: Sequence[str], batch_max: int, effects_max: int, press: Press, keys: KeySet) -> None:
        services = [TABLE[name] for name in names]
        self.hosted = Hosted.of(services, CATALOGUE.encode_event, dead_letter, "benchmark")
        limits = Limits(LANES, batch_max=batch_max, effects_max={"OPAQUE": effects_max})
        self.press = press
        functions = Functions(decode_fact, decode_unpark, {"intake": IntakeWorld(keys, TokenVerifier())})
        self.worker = Worker(self.hosted, limits, functions, TOKEN)
        self._encode = msgspec.msgpack.Encoder().encode
        self._decoders: dict[str, Any] = {s.name: msgspec.msgpack.Decoder(s.state_type) for s in services}
        self._states: dict[str, dict[bytes, bytes]] = {s.name: {} for s in services}
        self._offsets: dict[tuple[str, int], int] = {}
        self._answers: list[p.Answer] = []
        self._boot_ms = count(1_000_000)
        self.reads = set(self.hosted.readers) - set(self.hosted.written)
        self.published: list[p.Publish] = []
        self.spent_s = 0.0
        self._answers.append(p.ControlSeen(_control(), FOREVER_MS))

    def open(self) -> None:
        """Until the worker owns all lanes."""
        while not all(lane.phase == "OPEN" for lane in self.worker.lanes.values()):
            self.turn()

    def take(self, action: p.Publish) -> None:
        """What another process has published is fetched, if this one reads the topic."""
        if action.topic in self.reads:
            lane, number = action.lane, len(action.records)
            first, at = self._next((action.topic, lane), number), time.time_ns() // 1000
            records = [Record(action.topic, lane, first + n, at, r.key, r.value) for n, r in enumerate(action.records)]
            self._answers.append(p.Records(action.topic, lane, self.worker.lanes[lane].claim, records))

    @property
    def idle(self) -> bool:
        """Is there nothing to answer, and nothing that waits?"""
        return not self._answers and not any(len(lane.queue) for lane in self.worker.lanes.values())

    def turn(self) -> None:
        """One turn of the loop: answers in, actions out, and each is answered at once."""
        began = time.process_time()
        now = next(self._boot_ms)
        answers, self._answers = self._answers, []
        actions = self.worker.handle_all(answers, now) if answers else self.worker.tick(now)
        for action in actions:
            handle = _HANDLERS.get(type(action))
            if handle is not None and (answer := handle(self, action)) is not None:
                self._answers.append(answer)
        self.spent_s += time.process_time() - began

    def submit(self, serials: range) -> None:
        """Intents arrive."""
        by_lane: dict[int, list[Record]] = {}
        at = time.time_ns() // 1000
        for serial in serials:
            key = self.press.key(serial)
            lane = lane_of(key, LANES)
            offset = self._next(("intents", lane), 1)
            headers = tuple(self.press.headers(serial))
            record = Record("intents", lane, offset, at, key, self.press.value(serial), headers)
            by_lane.setdefault(lane, []).append(record)
        for lane, records in by_lane.items():
            self._answers.append(p.Records("intents", lane, self.worker.lanes[lane].claim, records))

    def _next(self, place: tuple[str, int], number: int) -> int:
        first = self._offsets.get(place, 0)
        self._offsets[place] = first + number
        return first

    # -- answers

    def survey(self, action: p.Survey) -> p.Answer:
        lanes = [p.LaneSeen(n, None, True, "") for n in range(LANES)]
        return p.Surveyed(self.worker.boot_ms, time.time_ns() // 1000, [TOKEN], lanes)

    def claim(self, action: p.Claim) -> p.Answer:
        names = self._states
        rows = {n: p.LaneRow(n, 1, 0, ZERO, ROW_ZERO, {}, b"", 0, 0, 1, "") for n in names}
        nothing: dict[str, Any] = {n: [] for n in names}
        parked: dict[str, Any] = {n: {} for n in names}
        return p.Claimed(action.lane, action.claim, self.worker.boot_ms, rows, nothing, nothing, nothing, parked)

    def check(self, action: p.Check) -> p.Answer:
        services = self.hosted.services
        anchors = {f"{s.name}/{t}": (None, 0) for s in services for t in s.reads + s.commands}
        limits = {s.writes: LIMIT for s in services if s.writes}
        tails: dict[str, Any] = {s.name: [] for s in services}
        return p.Checked(action.lane, action.claim, anchors, tails, {n: {} for n in tails}, limits)

    def load(self, action: p.Load) -> p.Answer:
        states = {
            name: {key: self._decoders[name].decode(raw) for key in keys if (raw := self._states[name].get(key))}
            for name, keys in action.keys.items()
        }
        return p.Loaded(action.round, states, {scope: [] for scope in action.scopes})

    def commit(self, action: p.Commit) -> p.Answer:
        for name, changes in action.changes.items():
            for change in changes:
                self._encode(change.cursors)
                self._encode(change.records)
                self._states[name].update({key: self._encode(state) for key, state in change.states.items()})
        return p.Committed(action.round, self.worker.boot_ms)

    def publish(self, action: p.Publish) -> p.Answer:
        number = len(action.records)
        first = self._next((action.topic, action.lane), number)
        self.published.append(action)
        last = action.records[-1]
        return p.Acked(action.lane, action.claim, action.service, first, first + number - 1, last.seq, last.hash)

    def connect(self, action: p.Connect) -> p.Answer:
        return p.Connected(action.lane, action.claim, [(e.key, e.attempt) for e in action.effects])

    def start(self, action: p.Start) -> p.Answer:
        return p.Started({lane: marks for lane, _, _, marks in action.marks}, {m[0]: m[1] for m in action.marks})

    def call(self, action: p.Call) -> p.Answer:
        effect = action.effect
        refs = (events.ObjectRef(type="journal_line", id=f"{effect.key.hex()}/{effect.attempt}"),)
        answer = events.ToolAnswer(
            status=events.AnswerStatus.SUCCEEDED, started_at=time.time_ns() // 1000, duration_ms=0, object_refs=refs,
            summary="written to the journal",
        )  # fmt: skip
        return p.Finished(action.lane, Result(effect.key, effect.attempt, answer))

    def renew(self, action: p.Renew) -> p.Answer:
        return p.Renewed(self.worker.boot_ms, [(lane, claim) for lane, claim, _ in action.lanes], ())

    def alarm(self, action: p.Alarm) -> None:
        say(f"alarm: {action.code}: {action.text}")


_HANDLERS: dict[type, Callable[[Servers, Any], p.Answer | None]] = {
    p.Survey: Servers.survey,
    p.Claim: Servers.claim,
    p.Check: Servers.check,
    p.Load: Servers.load,
    p.Commit: Servers.commit,
    p.Publish: Servers.publish,
    p.Connect: Servers.connect,
    p.Start: Servers.start,
    p.Call: Servers.call,
    p.Renew: Servers.renew,
    p.Alarm: Servers.alarm,
}


def _agents() -> tuple[Press, KeySet]:
    with TemporaryDirectory() as name:
        jwks = devkeys.ensure(Path(name))
        accounts = tuple(f"account-{n}" for n in range(16))
        who = [devkeys.Who(f"agent-{n}", seeding.TENANT, accounts=accounts) for n in range(4)]
        tokens = [devkeys.mint(Path(name), one) for one in who]
        keys = read_jwks(msgspec.json.decode(jwks.read_bytes()), devkeys.ALGORITHM)
    issuer = Issuer(devkeys.ISSUER, devkeys.AUDIENCE, devkeys.ALGORITHM, keys)
    return Press("pure-", tokens), KeySet(1, {devkeys.ISSUER: issuer})


def _control() -> Any:
    said = samples.said()
    text = msgspec.json.encode(seeding.POLICY).decode()
    kind, period = events.BudgetKind.TENANT, events.BudgetPeriod.ONCE
    return samples.control(
        events.ServerRegistered(**said, server="builtin", transport=events.Transport.BUILTIN, profile="builtin"),
        events.ToolRegistered(**said, tool="builtin/journal", entry=seeding.builtin_tool("journal")),
        events.PolicyPublished(**said, tenant="", policy=text, policy_hash=read_policy(text).hash),
        events.BudgetDefined(**said, kind=kind, id=seeding.TENANT, period=period, hard_micros=10**15),
    )


class System:
    """All processes of a shape, and status; what one publishes is fetched by those that read it."""

    def __init__(self, shape: str, batch_max: int, effects_max: int) -> None:
        hosted = {"worker": DECIDERS} if shape == "colocated" else {name: (name,) for name in DECIDERS}
        agents = _agents()
        self.parts = {
            name: Servers(names, batch_max, effects_max, *agents)
            for name, names in (hosted | {"status": ("status",)}).items()
        }
        self._sent = self._ended = 0
        for part in self.parts.values():
            part.open()

    def run(self, deeds: int, at_once: int) -> None:
        """Until that many more intents have their outcome and all came to rest; at most `at_once` wait."""
        goal = self._sent + deeds
        front = next(iter(self.parts.values()))
        while self._ended < goal or not all(part.idle for part in self.parts.values()):
            room = min(goal - self._sent, at_once - (self._sent - self._ended))
            if room > 0:
                front.submit(range(self._sent, self._sent + room))
                self._sent += room
            for part in self.parts.values():
                part.turn()
                self._carry(part)

    def _carry(self, part: Servers) -> None:
        published, part.published = part.published, []
        for action in published:
            self._ended += len(action.records) if action.topic == "ledger.outcome" else 0
            for other in self.parts.values():
                other.take(action)


def main(arguments: list[str]) -> None:
    """Measure, print, and profile if asked to."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.deciding", description=__doc__)
    parser.add_argument("--shape", choices=SHAPES, default=SHAPES[0])
    parser.add_argument("--deeds", type=int, default=4_000)
    parser.add_argument("--batch-max", type=int, default=256)
    parser.add_argument("--effects-max", type=int, default=1_000)
    parser.add_argument("--at-once", type=int, default=500, help="intents without an outcome")
    parser.add_argument("--profile", action="store_true")
    given = parser.parse_args(arguments)
    system = System(given.shape, given.batch_max, given.effects_max)
    system.run(WARM_DEEDS, given.at_once)
    before = {name: (part.spent_s, part.worker.round_number) for name, part in system.parts.items()}
    profile = cProfile.Profile()
    if given.profile:
        profile.enable()
    system.run(given.deeds, given.at_once)
    if given.profile:
        profile.disable()
        pstats.Stats(profile).sort_stats("tottime").print_stats(45)
        pstats.Stats(profile).sort_stats("cumtime").print_stats(60)
    for name, part in system.parts.items():
        spent, rounds = part.spent_s - before[name][0], part.worker.round_number - before[name][1]
        micros, at_once = spent / given.deeds * 1e6, given.deeds / rounds
        say(f"{name:<11}{micros:6,.0f} us of CPU per deed, {at_once:5.1f} deeds per round")


if __name__ == "__main__":
    main(sys.argv[1:])
