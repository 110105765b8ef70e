"""What a deed costs a co-located worker, and status, in their own code (protocol, deciders, codec, states to bytes and
back), without servers, network and loop: `python -m benchmarks.deciding`. `--profile` says where it goes."""

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
from libs.ledger.batch import Hosted
from libs.ledger.chain import ZERO
from libs.ledger.codec import CATALOGUE
from libs.ledger.partition import lane_of
from libs.ledger.records import dead_letter, decode_fact, decode_unpark
from libs.ledger.service import Record, Result
from libs.ledger.worker import Limits, Tools, Worker
from libs.runtime import devkeys
from libs.testkit import samples, seeding
from services.intake.decider import IntakeWorld
from services.table import DECIDERS, TABLE

TOKEN = bytes(16)
LANES = 8
LIMIT = 1 << 20
WARM_DEEDS = 500
ROW_ZERO = p.Published()


class Servers:
    """Answers every action at once, as servers would that take no time."""

    def __init__(self, names: Sequence[str], batch_max: int, effects_max: int = 0) -> None:
        services = [TABLE[name] for name in names]
        self.hosted = Hosted.of(services, CATALOGUE.encode_event, dead_letter, "benchmark")
        limits = Limits(LANES, batch_max=batch_max, effects_max={"OPAQUE": effects_max})
        self.press, keys = _agents()
        tools = Tools(decode_fact, decode_unpark, {"intake": IntakeWorld(keys, TokenVerifier())})
        self.worker = Worker(self.hosted, limits, tools, TOKEN)
        self._encode = msgspec.msgpack.Encoder().encode
        self._decoders: dict[str, Any] = {s.name: msgspec.msgpack.Decoder(s.state_type) for s in services}
        self._states: dict[str, dict[bytes, bytes]] = {s.name: {} for s in services}
        self._offsets: dict[tuple[str, int], int] = {}
        self._answers: list[p.Answer] = []
        self._boot_ms = count(1_000_000)
        self.published: list[p.Publish] = []
        self.outcomes = self.serial = 0
        self._answers.append(p.ControlSeen(_control(), True))

    def run(self, deeds: int, at_once: int) -> None:
        """Until that many intents have their outcome; at most `at_once` wait."""
        sent = 0
        target = self.outcomes + deeds
        while self.outcomes < target:
            if sent < deeds and sent - (self.outcomes + deeds - target) < at_once:
                self._arrive(sent, min(at_once, deeds - sent))
                sent += min(at_once, deeds - sent)
            self._turn()

    def read(self, log: Sequence[p.Publish]) -> None:
        """Take what others have published, each batch as one fetch, until all of it is committed."""
        for action in log:
            lane, at = action.lane, time.time_ns() // 1000
            first = self._next((action.topic, lane), len(action.records))
            records = [
                Record(action.topic, lane, first + n, at, one.key, one.value) for n, one in enumerate(action.records)
            ]
            self._answers.append(p.Records(action.topic, lane, self.worker.lanes[lane].claim, records))
            self._turn()
        while any(len(lane.queue) for lane in self.worker.lanes.values()):
            self._turn()

    def open(self) -> None:
        """Until the worker owns all lanes."""
        while not all(lane.phase == "OPEN" for lane in self.worker.lanes.values()):
            self._turn()

    def _turn(self) -> None:
        now = next(self._boot_ms)
        answers, self._answers = self._answers, []
        actions = self.worker.handle_all(answers, now) if answers else self.worker.tick(now)
        for action in actions:
            handle = _HANDLERS.get(type(action))
            if handle is not None and (answer := handle(self, action)) is not None:
                self._answers += answer if isinstance(answer, list) else [answer]

    def _arrive(self, start: int, number: int) -> None:
        by_lane: dict[int, list[Record]] = {}
        at = time.time_ns() // 1000
        for n in range(start, start + number):
            serial = self.serial + n
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
        if action.topic == "ledger.outcome":
            self.outcomes += number
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


def main(arguments: list[str]) -> None:
    """Measure, print, and profile if asked to."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.deciding", description=__doc__)
    parser.add_argument("--deeds", type=int, default=5_000)
    parser.add_argument("--batch-max", type=int, default=256)
    parser.add_argument("--effects-max", type=int, default=256)
    parser.add_argument("--at-once", type=int, default=2_000)
    parser.add_argument("--profile", action="store_true")
    given = parser.parse_args(arguments)
    worker = Servers(DECIDERS, given.batch_max, given.effects_max)
    worker.open()
    worker.run(WARM_DEEDS, given.at_once)
    worker.serial = WARM_DEEDS
    status = Servers(["status"], given.batch_max)
    status.open()
    status.read(worker.published)
    worker.published.clear()
    for name, part, work in (
        ("worker", worker, lambda: worker.run(given.deeds, given.at_once)),
        ("status", status, lambda: status.read(worker.published)),
    ):
        first = part.worker.round_number
        spent = _spent(work, given.profile)
        rounds = part.worker.round_number - first
        say(f"{name}: {spent / given.deeds * 1e6:,.0f} us of CPU per deed, {given.deeds / spent:,.0f} deeds/s per core,"
            f" {given.deeds / rounds:.1f} deeds per round")  # fmt: skip


def _spent(work: Callable[[], None], profiled: bool) -> float:
    profile = cProfile.Profile()
    if profiled:
        profile.enable()
    began = time.process_time()
    work()
    spent = time.process_time() - began
    if profiled:
        profile.disable()
        pstats.Stats(profile).sort_stats("tottime").print_stats(45)
        pstats.Stats(profile).sort_stats("cumtime").print_stats(60)
    return spent


if __name__ == "__main__":
    main(sys.argv[1:])
