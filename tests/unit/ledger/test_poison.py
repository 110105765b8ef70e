"""Poison (guarantees.md invariant 13, flow.md decision 17): what a decider that raises, loops or kills costs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from libs.contracts import events as e
from libs.ledger.inbox import DirectItem, Inbox, RecordItem, Taken
from libs.ledger.poison import Mark, care_at_claim, passed, pick
from libs.ledger.protocol import Commit, LaneRow, Load, Published, Suspect, Suspected
from libs.ledger.service import Due, DueKind, Event, Fact, Record
from libs.testkit.simulation.bench import Bench
from libs.testkit.simulation.deciders import BUDGET, INTAKE, OUTCOME
from libs.testkit.simulation.executing import EXECUTION

SERVICES = {s.name: s for s in (INTAKE, BUDGET, EXECUTION, OUTCOME)}


def record(topic: str, offset: int) -> Record:
    return Record(topic, 0, offset, 0, b"", b"")


def rows(previous: bytes, suspect: str = "") -> list[LaneRow]:
    return [LaneRow("x", 2, 0, b"", Published(), {}, previous, 5, 0, 1, suspect)]


@pytest.mark.parametrize("service", ["intake", "budget", "execution", "outcome"])
@pytest.mark.parametrize("shape", ["colocated", "separate"])
def test_an_input_that_kills_costs_three_deaths_and_stops_only_its_own_key(service: str, shape: str) -> None:
    bench = Bench(shape=shape)
    if shape == "separate":
        bench.process.kill()
        for one in SERVICES.values():
            bench.group = (one,)
            bench.process = bench.start()
    key = bench.order(1)
    bench.world.poison.kills[(service, key)] = True
    for n in range(2, 6):
        bench.order(n)
    schemas = bench.world.database.schemas

    def where() -> list[str]:
        return [name for name, schema in schemas.items() if key in schema.parked.get(0, {})]

    bench.until(lambda: len(bench.names("outcome")) >= 4, 20_000)
    bench.until(lambda: where() or any(key in record.value for record in bench.log("dead.intake")), 20_000)
    assert sum(bench.world.supervisor.deaths.values()) <= 3
    bench.world.poison.kills.clear()
    for name in where():
        bench.world.tell(e.Unpark, key, service=name)
        bench.until(lambda: bench.state("outcome", key) and bench.state("outcome", key).status, 10_000)


def test_a_decider_that_raises_parks_its_key_with_its_bytes_and_an_unpark_goes_on() -> None:
    bench = Bench().open()
    key = bench.order(1)
    bench.world.poison.raises[("budget", key)] = True
    bench.order(2)
    bench.until(lambda: bench.names("outcome")).run(100)
    assert bench.names("budget").count("KeyParked") == 1
    assert bench.facts("budget")[-1].envelope.seq == bench.row("budget").out_seq
    assert list(bench.world.database.schemas["budget"].parked[0]) == [key]
    bench.world.tell(e.Unpark, key, service="budget")  # too early: it is parked again
    bench.until(lambda: bench.names("budget").count("KeyParked") == 2).run(100)
    assert bench.names("budget").count("KeyUnparked") == 1
    bench.world.poison.raises.clear()
    bench.world.tell(e.Unpark, key, service="budget")
    bench.until(lambda: bench.state("outcome", key) and bench.state("outcome", key).status)
    assert bench.world.database.schemas["budget"].parked[0] == {}


def test_an_unpark_by_somebody_who_may_not_is_refused_and_says_nothing() -> None:
    bench = Bench().open()
    key = bench.order(1)
    bench.world.poison.raises[("budget", key)] = True
    bench.until(lambda: "KeyParked" in bench.names("budget"))
    for principal in (
        e.Principal("acme", "x", e.ActorKind.HUMAN, (), ()),
        e.Principal("other", "y", e.ActorKind.HUMAN, (), ("operator",)),
    ):
        bench.world.tell(e.Unpark, key, service="budget", principal=principal)
    bench.until(lambda: bench.names("budget").count("CommandRejected") == 2)
    refusals = [fact for fact in bench.facts("budget") if isinstance(fact.body, e.CommandRejected)]
    assert {fact.body.code for fact in refusals} == {"NOT_PARKED"}
    assert [fact.envelope.tenant for fact in refusals] == ["acme", "other"]
    assert list(bench.world.database.schemas["budget"].parked[0]) == [key]


def test_two_unparks_in_one_batch_take_the_inputs_up_once() -> None:
    bench = Bench().open()
    key = bench.order(1)
    bench.world.poison.raises[("budget", key)] = True
    bench.until(lambda: "KeyParked" in bench.names("budget")).run(50)
    bench.world.poison.raises.clear()
    bench.worker.pause_until_ms = bench.world.clock.boot_ms + 50
    for _ in range(2):
        bench.world.tell(e.Unpark, key, service="budget")
    bench.until(lambda: bench.names("outcome")).run(100)
    assert bench.names("budget").count("KeyUnparked") == 1
    assert bench.names("budget").count("CommandRejected") == 1
    assert bench.state("budget", key).folded == 8  # four of its own besides the refusal, three that it read


def test_an_unpark_finds_what_was_put_aside_just_before_it_in_order() -> None:
    bench = Bench().open()
    key = bench.order(1, effect_class="OPAQUE")
    bench.world.poison.raises[("execution", key)] = True
    bench.until(lambda: "KeyParked" in bench.names("execution")).run(50)
    bench.world.poison.raises.clear()
    bench.worker.pause_until_ms = bench.world.clock.boot_ms + 50
    bench.world.tell(e.Cancel, key)
    bench.world.tell(e.Unpark, key, service="execution")
    bench.until(lambda: bench.names("outcome"))
    assert bench.world.database.schemas["execution"].parked[0] == {}
    names = bench.names("execution")
    assert names.index("KeyUnparked") < names.index("ExecutionDispatched") < names.index("CancelRequested")


def test_a_service_that_names_no_owner_is_not_open_to_other_tenants() -> None:
    anonymous = replace(OUTCOME, owner=lambda state: ("", "", ""))
    bench = Bench([INTAKE, BUDGET, EXECUTION, anonymous]).open()
    key = bench.order(1)
    bench.world.poison.raises[("outcome", key)] = True
    bench.until(lambda: "KeyParked" in bench.names("outcome"))
    stranger = e.Principal("other", "y", e.ActorKind.HUMAN, (), ("operator",))
    bench.world.tell(e.Unpark, key, service="outcome", principal=stranger)
    bench.until(lambda: "CommandRejected" in bench.names("outcome"))
    assert list(bench.world.database.schemas["outcome"].parked[0]) == [key]


def test_inputs_of_a_parked_key_wait_in_their_order() -> None:
    bench = Bench().open()
    key = bench.order(1, effect_class="OPAQUE")
    bench.world.poison.raises[("execution", key)] = True
    bench.until(lambda: "KeyParked" in bench.names("execution")).run(50)
    bench.world.tell(e.Cancel, key)
    bench.until(lambda: len(bench.world.database.schemas["execution"].parked[0][key]) == 3)
    waiting = bench.world.database.schemas["execution"].parked[0][key]
    assert [one.n for one in waiting] == [0, 1, 2]
    assert [one.record.topic for one in waiting] == ["ledger.intake", "ledger.budget", "commands"]
    bench.world.poison.raises.clear()
    bench.world.tell(e.Unpark, key, service="execution")
    bench.until(lambda: bench.names("outcome"))
    assert "CancelRequested" in bench.names("execution")


def test_a_record_that_breaks_prepare_goes_to_the_dead_letters_and_the_lane_goes_on() -> None:
    def broken(record: Record, world: Any) -> Any:
        if record.value == b"boom":
            raise RuntimeError("prepare")
        return INTAKE.prepare(record, world)  # type: ignore[misc]

    bench = Bench([replace(INTAKE, prepare=broken), BUDGET, EXECUTION, OUTCOME]).open()
    bench.world.append("intents", 0, b"", b"boom")
    bench.order(1)
    bench.until(lambda: bench.names("outcome") and bench.log("dead.intake"))
    assert b"boom" in bench.log("dead.intake")[0].value


def test_deciders_that_answer_each_other_without_end_stop_only_their_key() -> None:
    def echo(item: Any, state: Any, world: Any) -> Any:
        if isinstance(item, Fact) and item.envelope.intent_id == loop[0]:
            return [Event(e.CommandRejected(b"", "", "", ""))]
        return BUDGET.decide(item, state, world)

    def answer(item: Any, state: Any, world: Any) -> Any:
        if isinstance(item, Fact) and item.topic == "ledger.budget" and item.envelope.intent_id == loop[0]:
            return [Event(e.CommandRejected(b"", "", "", ""))]
        return EXECUTION.decide(item, state, world)

    loop = [b""]
    bench = Bench([INTAKE, replace(BUDGET, decide=echo), replace(EXECUTION, decide=answer), OUTCOME]).open()
    loop[0] = bench.order(1)
    bench.order(2)
    bench.until(lambda: bench.names("outcome"))
    assert "DECIDE_ENDLESS" in bench.alarms()
    assert len(bench.names("budget")) < 20


def test_an_event_that_cannot_be_written_parks_its_key() -> None:
    def wrong(item: Any, state: Any, world: Any) -> Any:
        found = BUDGET.decide(item, state, world)
        return [Event(object())] if found and item.envelope.intent_id == bad[0] else found

    bad = [b""]
    bench = Bench([INTAKE, replace(BUDGET, decide=wrong), EXECUTION, OUTCOME]).open()
    bad[0] = bench.order(1)
    bench.order(2)
    bench.until(lambda: bench.names("outcome"))
    assert list(bench.world.database.schemas["budget"].parked[0]) == [bad[0]]


# ---------------------------------------------------------------- marks


def test_a_lane_that_was_given_back_needs_no_care_and_ones_own_claim_is_no_death() -> None:
    assert care_at_claim(rows(b""), b"me", 100).left == 0
    assert care_at_claim(rows(b"me"), b"me", 100).left == 0
    assert care_at_claim(rows(b"other"), b"me", 100).left == 100


@pytest.mark.parametrize(
    ("previous", "single", "suspects", "poison"),
    [
        (b"other", False, True, False),
        (b"other", True, False, True),
        (b"me", False, False, False),
        (b"me", True, True, False),
    ],
)
def test_what_a_mark_means_to_the_next_claim(previous: bytes, single: bool, suspects: bool, poison: bool) -> None:
    text = f'{{"single":{str(single).lower()},"records":{{"intents":5}},"keys":[]}}'
    care = care_at_claim(rows(previous, text), b"me", 100)
    assert (care.suspicious, care.poison) == (suspects, ["intents@5"] if poison else [])


def test_suspects_are_taken_one_at_a_time_and_poison_not_at_all() -> None:
    care = care_at_claim(rows(b"other", '{"single":false,"records":{"a":1},"keys":["intake/6b/Due"]}'), b"me", 100)
    direct = DirectItem(INTAKE, Due(b"k", DueKind.TIMER))
    offered = Taken([direct], raw=[record("a", 0), record("a", 1), record("a", 2), record("b", 0)])
    taken, mark = pick(care, offered)
    assert (taken.direct, taken.raw, mark) == ([direct], [], Mark(True, keys=["intake/6b/Due"]))
    passed(care, Taken([direct]))
    for offset in (0, 1):
        taken, mark = pick(care, Taken(raw=[record("a", n) for n in range(offset, 3)]))
        assert (taken.raw, mark) == ([record("a", offset)], Mark(True, {"a": offset}))
        passed(care, Taken(records=[RecordItem(record("a", offset))]))
    taken, mark = pick(care, Taken(raw=[record("a", 2), record("b", 0)]))
    assert (len(taken.raw), mark) == (2, Mark(False, {"a": 2, "b": 0}))
    care = care_at_claim(rows(b"other", '{"single":true,"records":{"a":1},"keys":[]}'), b"me", 100)
    taken, mark = pick(care, Taken(raw=[record("a", 0), record("a", 1), record("b", 0)]))
    assert (taken.raw, mark) == ([record("a", 0), record("b", 0)], Mark(False, {"a": 0, "b": 0}, [], ["a@1"]))
    assert pick(care, Taken(raw=[record("a", 1), record("b", 0)])) == (Taken(raw=[record("a", 1)]), None)


def test_a_marked_batch_is_alone_in_its_round_and_its_commit_takes_the_mark_away() -> None:
    bench = Bench(lanes=2).open()
    bench.worker.lanes[0].care.left = 50
    bench.hold(Suspect, Commit)
    bench.worker.pause_until_ms = bench.world.clock.boot_ms + 60
    bench.order(1, lane=0)
    bench.order(2, lane=1)
    suspect = bench.held(Suspect)
    assert not bench.has_held(Commit)
    loads = len(bench.seen(Load))
    bench.run(30)
    assert len(bench.seen(Load)) == loads
    bench.let(suspect)
    commit = bench.held(Commit)
    assert [change.lane for change in commit.changes["intake"]] == [0]
    assert bench.row("intake").suspect
    bench.hold().let(commit).run(50)
    assert bench.row("intake").suspect == ""
    assert bench.worker.lanes[0].care.left < 50


def test_a_mark_that_could_not_be_written_decides_nothing() -> None:
    bench = Bench().open()
    bench.lane.care.left = 50
    bench.hold(Suspect)
    bench.order(1)
    suspect = bench.held(Suspect)
    bench.answer(Suspected(0, suspect.claim, False))
    assert "SUSPECT_FAILED" in bench.alarms()
    assert bench.seen(Load) == []


def test_an_inbox_is_emptied_in_even_shares_and_in_order() -> None:
    inbox = Inbox()
    inbox.extend("a", [record("a", n) for n in range(9)])
    inbox.extend("b", [record("b", n) for n in range(2)])
    shares = {topic: [r.offset for r in records] for topic, records in inbox.shares(6, None)}
    assert shares == {"b": [0, 1], "a": [0, 1, 2, 3]}
    assert {t: len(r) for t, r in inbox.shares(6, frozenset({"a"}))} == {"a": 6}
    inbox.drop([RecordItem(record("a", 0))])
    assert len(inbox) == 10
