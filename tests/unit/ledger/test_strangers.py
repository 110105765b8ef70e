"""Whatever strangers put into a record, the lane goes on behind it, and what it keeps of them is bounded."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.contracts import events as e
from libs.ledger.codec import CATALOGUE
from libs.ledger.producing import BATCH_BYTES_MAX
from libs.ledger.protocol import Alarm, Load
from libs.ledger.records import SHORT_VALUE_MAX, VALUE_MAX, dead_letter, from_log, shorter
from libs.ledger.service import Record
from libs.testkit.simulation.bench import Bench

pytestmark = [pytest.mark.requirement("T5"), pytest.mark.requirement("X11")]
SENDABLE = BATCH_BYTES_MAX - 1_024 - 1_024  # the record's own head, and its key


def letter(raw: bytes) -> e.DeadLetter:
    """It can be sent, and read again."""
    assert len(raw) <= SENDABLE
    found: e.DeadLetter = CATALOGUE.decode_message(raw, "dead.intake")
    return found


@st.composite
def records(draw: st.DrawFn) -> Record:
    """As no client of ours would send them."""
    names = st.text(st.characters(exclude_categories=()), max_size=9)
    headers: Any = draw(st.lists(st.tuples(names, st.none() | st.binary(max_size=9)), max_size=50))
    value: Any = draw(st.none() | st.binary(max_size=9))
    times = draw(st.integers(1, 400_000))
    at = draw(st.integers(-(2**80), 2**80))
    key = draw(st.none() | st.binary(max_size=9))
    return Record("intents", 0, 7, at, key and key * times, value and value * times, tuple(headers))


@settings(max_examples=200, deadline=None)
@given(records(), st.text(st.characters(exclude_categories=()), max_size=3_000))
def test_every_record_has_a_dead_letter_that_can_be_sent(record: Record, reason: str) -> None:
    found = letter(dead_letter("intake", "OVERSIZE", reason, record))
    assert (found.topic, found.partition, found.offset) == ("intents", 0, 7)
    assert (record.value or b"").startswith(found.value)


@pytest.mark.parametrize("size", [VALUE_MAX, VALUE_MAX + 1, 900_001, 1_048_450, 20 << 20])
def test_what_is_cut_off_is_said(size: int) -> None:
    value = b"j" * size
    headers = tuple((f"h{n}", b"x" * 100_000) for n in range(100))
    raw = dead_letter("intake", "OVERSIZE", "r" * 5_000, Record("intents", 0, 7, 0, b"k" * 900_000, value, headers))
    found = letter(raw)
    whole = len(found.value) == size
    assert whole == (size == VALUE_MAX)
    assert whole or f"{VALUE_MAX} of {size} bytes; SHA-256 of all: {sha256(value).hexdigest()}" in found.reason


def test_a_letter_can_be_made_shorter_once() -> None:
    raw = dead_letter("intake", "OVERSIZE", "too large", Record("intents", 0, 7, 5, b"k", b"j" * 300_000))
    less = shorter("dead.intake", raw)
    assert less is not None
    found = letter(less)
    assert (found.code, found.offset, found.key, len(found.value)) == ("OVERSIZE", 7, b"k", SHORT_VALUE_MAX)
    assert len(less) < SHORT_VALUE_MAX + 8_192
    assert shorter("intake.home", bytes(200_000)) is None, "nothing can be left out of a forward"
    assert shorter("dead.intake", bytes(10)) is None


def test_a_header_or_record_without_a_value_has_an_empty_one() -> None:
    found = SimpleNamespace(
        topic="intents", partition=1, offset=2, timestamp=3, key=None, value=None, checksum=None,
        headers=(("a", None), ("b", b"x")),
    )  # fmt: skip
    assert from_log(found) == Record("intents", 1, 2, 3_000, None, b"", (("a", b""), ("b", b"x")))


def test_a_lane_goes_on_when_no_letter_can_be_made() -> None:
    def none(*_: Any) -> bytes:
        raise RuntimeError("no letter")

    def unreadable(record: Record, world: Any) -> Any:
        raise RuntimeError("prepare")

    bench = Bench()
    intake = replace(bench.worker.hosted.by_name["intake"], prepare=unreadable)
    bench = Bench([intake, *bench.worker.hosted.services[1:]])
    bench.worker.hosted = replace(bench.worker.hosted, dead_letter=none)
    bench.open()
    bench.order(1)
    bench.until(lambda: "NO_DEAD_LETTER" in bench.alarms())
    bench.until(lambda: bench.lane.parts["intake"].cursors["intents"].anchor, 1_000)
    assert not bench.lane.queue


def test_too_many_submissions_that_fail_go_to_the_dead_letters() -> None:
    bench = Bench().open()
    bench.worker.limits = replace(bench.worker.limits, parked_max=3)
    for n in range(6):
        bench.world.poison.raises[("intake", bench.order(n))] = True
    parked = bench.world.database.schemas["intake"].parked
    bench.until(lambda: len(bench.log("dead.intake")) == 3)
    assert sum(map(len, parked[0].values())) == 3
    assert bench.alarms().count("DECIDE_FAILED") == 6
    good = bench.order(9)
    bench.until(lambda: bench.state("outcome", good))
    bench.world.poison.raises.clear()
    bench.world.tell(e.Unpark, next(iter(parked[0])), service="intake")
    bench.until(lambda: sum(map(len, parked[0].values())) == 2)


def test_what_comes_for_a_parked_key_is_bounded_too_but_for_events() -> None:
    bench = Bench().open()
    bench.worker.limits = replace(bench.worker.limits, parked_max=1)
    key = bench.order(1, effect_class="OPAQUE")
    bench.world.poison.raises[("execution", key)] = True
    schema = bench.world.database.schemas["execution"]
    bench.until(lambda: len(schema.parked.get(0, {}).get(key, ())) == 2)
    assert [one.record.topic for one in schema.parked[0][key]] == ["ledger.intake", "ledger.budget"]
    bench.world.tell(e.Cancel, key)
    bench.until(lambda: bench.log("dead.execution"))
    assert "PARKED_FULL" in bench.alarms()
    bench.world.poison.raises.clear()
    bench.world.tell(e.Unpark, key, service="execution")
    bench.until(lambda: bench.state("outcome", key))


def test_taking_keys_of_a_full_lane_up_in_vain_parks_them_again() -> None:
    bench = Bench().open()
    bench.worker.limits = replace(bench.worker.limits, parked_max=1)
    key = bench.order(1)
    bench.world.poison.raises[("intake", key)] = True
    bench.until(lambda: "KeyParked" in bench.names("intake")).run(50)
    bench.world.invariants.caused.clear()  # the same submission parks its key again
    bench.world.tell(e.Unpark, key, service="intake")
    bench.until(lambda: bench.names("intake").count("KeyParked") == 2)
    assert not bench.log("dead.intake")
    assert list(bench.world.database.schemas["intake"].parked[0]) == [key]


def test_a_topic_whose_records_are_large_is_paused_by_their_bytes() -> None:
    bench = Bench().open().hold(Load)
    bench.worker.limits = replace(bench.worker.limits, queue_bytes_max=1_000)
    bench.order(1)
    bench.held(Load)
    assert bench.worker.paused() == set()
    bench.world.append("intents", 0, b"", bytes(1_000))
    bench.run(100)
    assert bench.worker.paused() == {("intents", 0)}


@pytest.mark.rule(8)
def test_what_cannot_be_read_on_a_ledger_halts_the_lane() -> None:
    bench = Bench().open()
    bench.world.invariants.strict = False
    reader = next(s for s in bench.worker.hosted.services if s.reads)
    topic = reader.reads[0]
    bench.lane.queue.extend(topic, [Record(topic, 0, 0, 0, None, b"", flaw="offsets 0 to 4: no gzip")])
    bench.until(lambda: "HALTED" in bench.alarms())
    assert "offsets 0 to 4: no gzip" in bench.seen(Alarm)[-1].text
