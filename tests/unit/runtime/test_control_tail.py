"""The control view: whole, in order, and fresh only while that is known (D1, T19; flow.md decision 13)."""

from __future__ import annotations

import pytest

from libs.contracts.events import Actor, ActorKind, Cause, Envelope, SwitchFlipped, SwitchKind
from libs.ledger.chain import ZERO, event_hash
from libs.ledger.codec import encode_event
from libs.runtime.control_tail import Question, Tail, confirm, read

pytestmark = [pytest.mark.requirement("D1"), pytest.mark.requirement("T19")]

SYSTEM = Actor(id="control", kind=ActorKind.SYSTEM)


def flipped(seq: int, prev_hash: bytes, tenant: str) -> bytes:
    envelope = Envelope(
        seq=seq,
        prev_hash=prev_hash,
        event_id=seq.to_bytes(16),
        intent_id=bytes(16),
        tenant="",
        account="",
        cause=Cause(topic="control.commands", position=seq, id=bytes(16)),
        control_seq=seq - 1,
        occurred_at=1,
        trace_parent="",
        actor=SYSTEM,
        producer="test",
    )
    body = SwitchFlipped(
        command_id=bytes(16), by="ops", reason="test", kind=SwitchKind.TENANT, id=f"{tenant}{seq}", stopped=True
    )
    return encode_event(envelope, body)


def chain(length: int, tenant: str = "t") -> list[bytes]:
    values: list[bytes] = []
    for seq in range(1, length + 1):
        values.append(flipped(seq, event_hash(values[-1]) if values else ZERO, tenant))
    return values


def read_all(values: list[bytes], tail: Tail | None = None) -> Tail:
    tail = tail or Tail()
    for value in values:
        tail = read(tail, tail.next_offset, value)
    return tail


def stopped(tail: Tail) -> list[str]:
    return [name for _, name in tail.view.switches]


def test_events_are_folded_in_order_and_repeats_dropped() -> None:
    one, two, three = chain(3)
    tail = read_all([one, two, one, two, three])
    assert stopped(tail) == ["t1", "t2", "t3"]
    assert (tail.view.seq, tail.next_offset, tail.broken) == (3, 5, "")


def test_a_view_is_fresh_only_within_the_limit_after_the_question() -> None:
    tail = confirm(read_all(chain(2)), Question(asked_ms=1000, next_offset=2), end_offset=2)
    assert tail.fresh(now_ms=6000, stale_max_ms=5000)
    assert not tail.fresh(now_ms=6001, stale_max_ms=5000)


def test_an_empty_log_that_was_confirmed_is_fresh() -> None:
    assert not Tail().fresh(0, 5000)
    assert confirm(Tail(), Question(0, 0), 0).fresh(0, 5000)


def test_what_is_not_read_yet_keeps_the_view_from_being_fresh() -> None:
    tail = confirm(read_all(chain(2)), Question(1000, 2), end_offset=3)
    assert not tail.fresh(1000, 5000)
    later = read(tail, 2, chain(3)[2])
    assert confirm(later, Question(1000, 2), end_offset=3).fresh(1000, 5000)


def test_records_that_arrive_while_the_question_is_open_are_no_loss() -> None:
    tail = confirm(read_all(chain(3)), Question(1000, next_offset=1), end_offset=1)
    assert tail.fresh(1000, 5000)


def test_a_gap_applies_nothing_and_is_not_fresh_until_the_missing_one_comes() -> None:
    one, two, three = chain(3)
    tail = read_all([one, three])
    assert stopped(tail) == ["t1"]
    assert not confirm(tail, Question(0, 2), 2).fresh(0, 5000)
    mended = read_all([two, three], tail)
    assert stopped(mended) == ["t1", "t2", "t3"]
    assert confirm(mended, Question(0, 4), 4).fresh(0, 5000)


@pytest.mark.parametrize("foreign", [chain(2, "other")[1], b"poison", chain(2)[1] + b"x"])
def test_a_broken_chain_is_never_fresh_again(foreign: bytes) -> None:
    one, two = chain(2)
    before = confirm(read_all([one]), Question(0, 1), 1)
    broken = read_all([foreign], before)
    assert broken.broken
    assert stopped(broken) == ["t1"]
    assert not broken.fresh(0, 5000)
    again = confirm(read_all([two], broken), Question(10, 3), 3)
    assert not again.fresh(10, 5000)


def shorter(length: int, end_offset: int) -> Tail:
    """A view of so many events, when its log was found to end earlier."""
    tail = confirm(read_all(chain(length)), Question(0, length), length)
    return confirm(tail, Question(1, length), end_offset)


def test_a_log_that_lost_its_tail_is_stale_until_it_has_the_same_bytes_again() -> None:
    tail = shorter(3, 1)
    assert (tail.next_offset, tail.broken, stopped(tail)) == (0, "", ["t1", "t2", "t3"])
    assert not tail.fresh(1, 5000)
    values = chain(5)
    tail = confirm(read_all(values[:1], tail), Question(2, 1), 1)
    assert not tail.fresh(2, 5000), "the switches of what is lost are still held to"
    assert (stopped(tail), tail.view.seq) == (["t1", "t2", "t3"], 3)
    tail = confirm(read_all(values[1:], tail), Question(3, 5), 5)
    assert tail.fresh(3, 5000)
    assert stopped(tail) == ["t1", "t2", "t3", "t4", "t5"]


def test_a_log_that_lost_its_tail_twice_is_held_to_what_was_read_first() -> None:
    tail = read_all(chain(2), shorter(3, 2))
    tail = confirm(tail, Question(2, 2), 1)
    assert (tail.next_offset, tail.folded.last_seq) == (0, 3)
    tail = confirm(read_all(chain(3), tail), Question(3, 3), 3)
    assert tail.fresh(3, 5000)


def test_a_log_that_says_something_else_now_is_broken() -> None:
    one, two = chain(2)
    other = flipped(3, event_hash(two), "other")
    tail = read_all([one, two, other], shorter(3, 2))
    assert "seq 3 at offset 2 has other bytes" in tail.broken
    assert stopped(tail) == ["t1", "t2", "t3"]
    assert "seq 2" in read_all(chain(4, "other"), shorter(2, 1)).broken


def test_an_event_that_came_back_at_another_place_is_looked_for_once() -> None:
    """Two repeats stood on the lost tail; what was written since begins before the place that we read from."""
    values = chain(6)
    tail = confirm(read_all([*values[:4], values[2], values[3]]), Question(0, 6), 6)
    tail = confirm(read_all([values[5]], tail), Question(1, 6), 7)
    assert (tail.next_offset, tail.searched) == (0, 6)
    assert confirm(read_all(values, tail), Question(2, 6), 6).fresh(2, 5000)
    missing = read_all([*values[:4], values[5]], tail)
    assert confirm(missing, Question(2, 5), 5) == missing, "a gap that is really there is waited for"
