"""Rules 9, 10 and 11: what the log must hold when a lane is claimed, and what is done about a tail that is lost."""

from __future__ import annotations

import pytest

from libs.ledger.anchors import Verdict, check_input, check_output
from libs.ledger.chain import ZERO, Anchor, Cursor
from libs.ledger.lane import Phase
from libs.ledger.protocol import (
    Check,
    Checked,
    Claim,
    Halt,
    Halted,
    LaneRow,
    OutRecord,
    Publish,
    Published,
    TailRecord,
)
from libs.testkit.simulation.bench import Bench
from libs.testkit.simulation.deciders import BUDGET, INTAKE, OUTCOME
from libs.testkit.simulation.executing import EXECUTION

H = [bytes([n]) * 32 if n else ZERO for n in range(12)]
TOPIC = "ledger.budget"


def row(out_seq: int, published: Published) -> LaneRow:
    """A lane row with so many events."""
    return LaneRow("budget", 1, out_seq, H[out_seq], published, {}, b"", 0, 0, 1, "")


def tail(*seqs: int, start: int = 0, other: int = -1) -> list[TailRecord]:
    """Records with these numbers, from an offset on; `other` has bytes of its own."""
    return [TailRecord(start + n, seq, H[seq - 1], H[11] if seq == other else H[seq]) for n, seq in enumerate(seqs)]


def kept(*seqs: int) -> dict[int, OutRecord]:
    """Outbox rows."""
    return {seq: OutRecord(seq, b"", b"", H[seq]) for seq in seqs}


# ---------------------------------------------------------------- inputs


@pytest.mark.rule(9)
@pytest.mark.parametrize(
    ("found", "chained", "verdict"),
    [
        ((H[3], 0), True, Verdict.OK),
        ((None, 0), True, Verdict.FULL),
        ((H[4], 0), True, Verdict.FULL),
        ((H[3], 0), False, Verdict.OK),
        ((None, 6), False, Verdict.OK),  # retention removed the anchor, and nothing behind it
        ((None, 7), False, Verdict.HALT),  # ... and one that was not read
        ((None, 0), False, Verdict.HALT),  # the tail was lost
        ((H[4], 0), False, Verdict.HALT),  # made again
    ],
)
def test_the_record_at_the_anchor_has_its_hash(
    found: tuple[bytes | None, int], chained: bool, verdict: Verdict
) -> None:
    cursor = Cursor(3, H[3], Anchor(5, 3, H[3])) if chained else Cursor(0, ZERO, Anchor(5, 0, H[3]))
    assert check_input(TOPIC, cursor, found, chained).verdict is verdict


@pytest.mark.rule(8)
@pytest.mark.rule(9)
def test_nobody_starts_in_the_middle_without_an_anchor() -> None:
    assert check_input(TOPIC, Cursor(), (None, 4), True).verdict is Verdict.HALT
    assert check_input(TOPIC, Cursor(), (None, 0), True).verdict is Verdict.OK


@pytest.mark.rule(9)
def test_a_record_that_a_mended_tail_holds_elsewhere_is_the_anchor_there() -> None:
    cursor = Cursor(3, H[3], Anchor(5, 3, H[3]))
    found = check_input(TOPIC, cursor, (H[4], 0), True, tail(1, 2, 3, 4, 5, 6))
    assert (found.verdict, found.cursor) == (Verdict.OK, Cursor(3, H[3], Anchor(2, 3, H[3])))


@pytest.mark.rule(9)
def test_other_bytes_under_the_anchors_number_are_another_topic() -> None:
    cursor = Cursor(3, H[3], Anchor(5, 3, H[3]))
    assert check_input(TOPIC, cursor, (H[4], 0), True, tail(1, 2, 3, 4, other=3)).verdict is Verdict.HALT


@pytest.mark.rule(9)
def test_an_input_whose_tail_is_away_is_waited_for() -> None:
    cursor = Cursor(3, H[3], Anchor(5, 3, H[3]))
    assert check_input(TOPIC, cursor, (None, 0), True, tail(1, 2)).verdict is Verdict.WAIT


@pytest.mark.rule(9)
def test_a_lane_whose_input_was_made_again_halts_until_an_operator_clears_it() -> None:
    bench = Bench().open()
    bench.order(1)
    bench.until(lambda: bench.names("outcome")).run(400)
    bench.world.invariants.strict = False
    bench.world.log.partitions.pop(("intents", 0))
    bench.order(7)
    bench.worker.claim(bench.lane)
    bench.until(lambda: "HALTED" in bench.alarms())
    assert "made again" in bench.row("intake").halted
    claims = len(bench.seen(Claim))
    bench.run(1_000)
    assert len(bench.seen(Claim)) == claims
    assert bench.worker.halted == {0: bench.row("intake").halted}


@pytest.mark.rule(9)
def test_a_halt_that_the_fence_refuses_is_no_alarm() -> None:
    bench = Bench().open().hold(Halt, Claim)
    bench.worker.halt(bench.lane, "a paused claimer saw its successor's records")
    bench.answer(Halted(0, bench.lane.claim, False))
    assert bench.alarms() == []
    assert bench.lane.phase in (Phase.FREE, Phase.CLAIMING)


@pytest.mark.rule(9)
def test_one_mends_ones_own_tail_though_anothers_is_away() -> None:
    services = {s.name: s for s in (INTAKE, BUDGET, EXECUTION, OUTCOME)}
    bench = Bench([services["budget"]], shape="separate")
    for name in ("intake", "execution", "outcome"):
        bench.group = (services[name],)
        bench.start()
    bench.open()
    for n in range(2):
        bench.order(n)
    bench.until(lambda: len(bench.names("outcome")) == 2).run(700)
    whole = {name: len(bench.log(f"ledger.{name}")) for name in ("budget", "execution")}
    for name in whole:
        bench.world.lose_tail(f"ledger.{name}", 0, 2)
    bench.until(lambda: all(len(bench.log(f"ledger.{name}")) >= n for name, n in whole.items()), 10_000)
    bench.until(
        lambda: all(
            p.worker.lanes[0].phase == "OPEN" and not p.worker.lanes[0].mending
            for p in bench.world.supervisor.processes
        )
    )
    bench.order(5)
    bench.until(lambda: len(bench.names("outcome")) == 3)


# ---------------------------------------------------------------- outputs


@pytest.mark.rule(10)
@pytest.mark.parametrize(
    ("seqs", "other", "verdict"),
    [
        ((3,), -1, Verdict.OK),
        ((3, 4, 5), -1, Verdict.OK),  # appended late, and ours
        ((3, 2, 3, 1), -1, Verdict.OK),  # an old repeat is legal
        ((3, 4, 6), -1, Verdict.HALT),  # beyond our row
        ((3, 4), 4, Verdict.HALT),  # not our bytes
        ((), -1, Verdict.FULL),
        ((4,), -1, Verdict.FULL),
    ],
)
def test_the_output_ends_as_our_row_says(seqs: tuple[int, ...], other: int, verdict: Verdict) -> None:
    found = check_output(
        TOPIC, row(5, Published(2, 3, H[3])), tail(*seqs, start=2, other=other), kept(1, 2, 3, 4, 5), False
    )
    assert found.verdict is verdict
    if verdict is Verdict.OK:
        assert found.published == Published(2, 3, H[3])


@pytest.mark.rule(10)
def test_something_that_is_no_event_is_a_foreign_writer() -> None:
    strange = [*tail(3, start=2), TailRecord(3, 1 << 62, b"", H[9])]
    assert check_output(TOPIC, row(5, Published(2, 3, H[3])), strange, kept(4, 5), False).verdict is Verdict.HALT


@pytest.mark.rule(10)
def test_the_published_record_must_be_at_its_offset() -> None:
    found = check_output(TOPIC, row(5, Published(2, 3, H[3])), tail(3, start=4), kept(), False)
    assert found.verdict is Verdict.FULL


@pytest.mark.rule(11)
def test_a_lost_tail_sets_the_frontier_back_to_the_last_intact_record() -> None:
    found = check_output(TOPIC, row(6, Published(4, 5, H[5])), tail(1, 2, 3), kept(3, 4, 5, 6), True)
    assert (found.verdict, found.published) == (Verdict.OK, Published(2, 3, H[3]))


@pytest.mark.rule(11)
def test_a_lost_tail_that_the_outbox_no_longer_has_halts_the_lane() -> None:
    found = check_output(TOPIC, row(6, Published(4, 5, H[5])), tail(1, 2, 3), kept(5, 6), True)
    assert found.verdict is Verdict.HALT
    assert "from seq 4 on" in found.reason


@pytest.mark.rule(11)
def test_an_empty_topic_with_acknowledged_events_was_made_again() -> None:
    assert check_output(TOPIC, row(6, Published(4, 5, H[5])), [], kept(1, 2, 3, 4, 5, 6), True).verdict is Verdict.HALT


@pytest.mark.rule(11)
def test_a_record_that_landed_beyond_a_gap_does_not_count_as_intact() -> None:
    found = check_output(TOPIC, row(6, Published(4, 5, H[5])), tail(1, 2, 5), kept(3, 4, 5, 6), True)
    assert (found.verdict, found.published) == (Verdict.OK, Published(1, 2, H[2]))


@pytest.mark.rule(14)
def test_a_scan_never_moves_the_frontier_forward() -> None:
    found = check_output(TOPIC, row(6, Published(9, 3, H[3])), tail(1, 2, 3, 4, 5), kept(3, 4, 5, 6), True)
    assert found.published == Published(2, 3, H[3])


@pytest.mark.rule(11)
def test_what_was_lost_is_published_again_from_the_outbox() -> None:
    bench = Bench().open()
    for n in range(3):
        bench.order(n)
    bench.until(lambda: len(bench.names("outcome")) == 3).run(400)
    values = [record.value for record in bench.log("ledger.budget")]
    bench.world.lose_tail("ledger.budget", 0, 3)
    bench.worker.claim(bench.lane)
    bench.until(lambda: [record.value for record in bench.log("ledger.budget")] == values)
    assert "TAIL_LOST" in bench.alarms()


@pytest.mark.rule(11)
def test_an_owner_that_has_nothing_to_publish_hears_of_a_lost_tail_too() -> None:
    bench = Bench().open()
    bench.order(1)
    bench.until(lambda: bench.names("outcome")).run(400)
    bench.world.lose_tail("ledger.budget", 0, 1)
    bench.until(lambda: len(bench.log("ledger.budget")) == 2)


@pytest.mark.rule(11)
def test_the_whole_partition_is_asked_for_once_per_claim_and_place() -> None:
    bench = Bench().open()
    bench.order(1)
    bench.until(lambda: bench.names("outcome")).run(400)
    bench.world.lose_tail("ledger.budget", 0, 1)
    bench.world.lose_tail("ledger.execution", 0, 1)
    bench.hold(Check)
    bench.worker.claim(bench.lane)
    first = bench.held(Check)
    assert first.full == ()
    bench.let(first)
    second = bench.held(Check)
    assert set(second.full) == {"budget", "execution"}
    bench.hold().let(second).open()


@pytest.mark.rule(15)
def test_a_check_that_fails_opens_nothing() -> None:
    bench = Bench().hold(Check, Publish)
    check = bench.held(Check)
    bench.answer(Checked(0, check.claim, {}, {}, {}, {}, "no right to write"))
    assert bench.lane.phase is Phase.BACKOFF
    assert bench.alarms() == ["CHECK_FAILED"]
