"""Rules 7, 8 and 22: where a reader is, what it does with each record, and hand-over in memory."""

from __future__ import annotations

import pytest

from libs.ledger.chain import ZERO, Anchor, Cursor, Seen, applied, handed_over, look
from libs.ledger.lane import Phase
from libs.ledger.protocol import Claim, Commit, FetchFailed, Follow, Publish, Records
from libs.ledger.service import Record
from libs.testkit.simulation.bench import Bench
from libs.testkit.simulation.deciders import BUDGET, INTAKE, OUTCOME
from libs.testkit.simulation.executing import EXECUTION

H = [bytes([n]) * 32 for n in range(9)]


def separate(name: str) -> Bench:
    """One service on the bench, the others in processes of their own."""
    services = {s.name: s for s in (INTAKE, BUDGET, EXECUTION, OUTCOME)}
    bench = Bench([services.pop(name)], shape="separate")
    for other in services.values():
        bench.group = (other,)
        bench.start()
    return bench.open()


def repeat(bench: Bench, topic: str, offset: int) -> None:
    """The writer was not sure, and publishes a record again."""
    record = bench.log(topic)[offset]
    bench.world.log.append(topic, 0, [(record.key or b"", record.value)])


@pytest.mark.rule(7)
def test_a_dropped_record_never_becomes_the_anchor() -> None:
    bench = separate("outcome")
    bench.order(1)
    bench.until(lambda: bench.names("outcome")).run(400)
    before = bench.row("outcome").cursors["ledger.intake"]
    repeat(bench, "ledger.intake", 0)
    bench.run(600)
    assert bench.lane.parts["outcome"].cursors["ledger.intake"] == before
    assert before.anchor == Anchor(0, 1, bench.facts("intake")[0].hash)


@pytest.mark.rule(7)
def test_reading_starts_behind_the_lowest_anchor_of_the_readers() -> None:
    bench = Bench().open()
    for n in range(3):
        bench.order(n)
    bench.until(lambda: len(bench.names("outcome")) == 3).run(400)
    bench.hold(Follow)
    bench.row("intake").cursors["commands"] = Cursor(0, ZERO, None)
    bench.worker.claim(bench.lane)
    follow = bench.until(lambda: bench.lane.phase is Phase.OPEN).seen(Follow)[-1]
    assert follow.positions[("intents", 0)][1] == bench.row("intake").cursors["intents"].anchor.offset + 1
    assert follow.positions[("commands", 0)][1] is None


@pytest.mark.rule(7)
def test_an_event_that_was_handed_over_is_anchored_when_its_writer_has_the_ack() -> None:
    bench = Bench().open()
    bench.order(1)
    bench.until(lambda: bench.names("outcome")).run(600)
    cursor = bench.row("outcome").cursors["ledger.execution"]
    published = bench.row("execution").published
    assert cursor.last_seq == 2
    assert cursor.anchor == Anchor(published.offset, published.seq, published.hash)
    assert cursor.anchor.seq <= cursor.last_seq


@pytest.mark.rule(7)
def test_a_handed_over_event_moves_the_position_but_not_the_anchor() -> None:
    cursor = applied(4, 1, H[1])
    assert handed_over(cursor, 2, H[2]) == Cursor(2, H[2], Anchor(4, 1, H[1]))


@pytest.mark.rule(7)
def test_positions_of_all_partitions_are_given_again_when_one_changes() -> None:
    bench = Bench(lanes=2).open()
    bench.order(1, lane=1)
    bench.until(lambda: bench.names("outcome", 1)).run(400)
    bench.hold(Claim)
    bench.worker.claim(bench.worker.lanes[0])
    bench.held(Claim)
    follow = bench.seen(Follow)[-1]
    assert follow.positions[("intents", 1)] == (bench.worker.lanes[1].claim, 1)


@pytest.mark.rule(7)
def test_records_that_were_fetched_twice_are_decided_once() -> None:
    bench = Bench().open().hold(Commit)
    bench.order(1)
    bench.held(Commit)
    lane, record = bench.lane, bench.log("intents")[0]
    bench.answer(Records("intents", 0, lane.claim, (record,)))
    assert len(lane.queue) == 1


@pytest.mark.rule(8)
@pytest.mark.parametrize(
    ("seq", "prev", "seen"),
    [
        (2, H[1], Seen.DROP), (3, H[2], Seen.DROP), (4, H[3], Seen.APPLY), (4, H[7], Seen.HALT), (5, H[4], Seen.GAP),
        (3, H[7], Seen.DROP), (9, H[3], Seen.GAP),
    ],
)  # fmt: skip
def test_the_readers_rule(seq: int, prev: bytes, seen: Seen) -> None:
    assert look(Cursor(3, H[3], Anchor(8, 3, H[3])), seq, prev) is seen


@pytest.mark.rule(8)
def test_a_gap_raises_an_alarm_and_is_read_over_until_the_missing_one_comes() -> None:
    bench = separate("outcome")
    for n in range(3):
        bench.order(n)
    bench.until(lambda: len(bench.names("outcome")) == 3).run(300)
    bench.world.invariants.strict = False
    partition = bench.world.log.partition("ledger.budget", 0)
    values = [(r.key or b"", r.value) for r in partition.records]
    bench.world.lose_tail("ledger.budget", 0, len(values) - 1)
    bench.lane.parts["outcome"].cursors["ledger.budget"] = applied(0, 1, partition.heads[0].hash)
    bench.lane.fetch_next["ledger.budget"] = 1
    bench.process.shell.broker.follows[("ledger.budget", 0)] = (bench.lane.claim, 1)
    bench.world.log.append("ledger.budget", 0, [values[2]])
    bench.run(50)
    assert bench.alarms() == ["GAP"]
    assert bench.lane.parts["outcome"].cursors["ledger.budget"].last_seq == 1
    bench.world.log.append("ledger.budget", 0, values[1:])
    bench.until(lambda: bench.lane.parts["outcome"].cursors["ledger.budget"].last_seq == len(values))
    assert bench.lane.gaps == {}


@pytest.mark.rule(8)
def test_a_gap_that_nobody_fills_is_looked_at_by_a_new_claim() -> None:
    bench = separate("outcome")
    bench.order(1)
    bench.until(lambda: bench.names("outcome")).run(300)
    bench.lane.gaps["ledger.budget"] = bench.world.clock.boot_ms
    claims = len(bench.seen(Claim))
    bench.until(lambda: len(bench.seen(Claim)) > claims).open()


@pytest.mark.rule(8)
def test_other_bytes_under_the_next_number_halt_the_lane() -> None:
    bench = separate("outcome")
    bench.order(1)
    bench.until(lambda: bench.names("outcome")).run(300)
    cursor = bench.lane.parts["outcome"].cursors["ledger.budget"]
    bench.lane.parts["outcome"].cursors["ledger.budget"] = Cursor(cursor.last_seq, H[5], cursor.anchor)
    bench.world.invariants.strict = False
    bench.order(2)
    bench.until(lambda: "HALTED" in bench.alarms())
    assert "prev_hash" in bench.row("outcome").halted


@pytest.mark.rule(8)
def test_a_record_that_is_no_event_halts_a_chained_lane() -> None:
    bench = separate("outcome")
    bench.world.invariants.strict = False
    lane = bench.lane
    bench.answer(Records("ledger.budget", 0, lane.claim, (Record("ledger.budget", 0, 0, 0, b"", b"\xff nonsense"),)))
    bench.until(lambda: "HALTED" in bench.alarms())


@pytest.mark.rule(22)
def test_what_a_reader_has_not_read_yet_is_read_from_the_log_before_anything_new_is_taken() -> None:
    bench = separate("outcome")
    for n in range(3):
        bench.order(n)
    bench.until(lambda: len(bench.names("outcome")) == 3).run(700)
    world = bench.world
    behind = world.database.schemas["outcome"]
    behind.rows[0].cursors = {}
    behind.states.clear()
    behind.outbox.clear()
    behind.rows[0].out_seq, behind.rows[0].out_hash, behind.rows[0].published = (
        0,
        ZERO,
        type(behind.rows[0].published)(),
    )
    world.log.partitions.pop(("ledger.outcome", 0))
    for process in world.supervisor.processes:
        process.kill()
    world.supervisor.shape = "colocated"
    bench.group = (INTAKE, BUDGET, EXECUTION, OUTCOME)
    bench.order(9)
    process = bench.start()
    bench.process = process
    bench.hold(Commit)
    commit = bench.held(Commit)
    assert bench.lane.behind
    assert [
        type(world.cast.decode("ledger.intake", r.value).body).__name__
        for c in commit.changes["intake"]
        for r in c.records
    ] == []
    bench.hold().let(commit)
    bench.until(lambda: len(bench.names("outcome")) == 4)
    bench.until(lambda: not bench.lane.behind)


@pytest.mark.rule(22)
def test_a_reader_that_is_not_in_step_is_not_handed_over_to() -> None:
    bench = Bench().open().hold(Commit)
    part = bench.lane.parts["budget"]
    part.cursors["ledger.intake"] = Cursor(3, H[3], Anchor(2, 3, H[3]))
    bench.order(1)
    commit = bench.held(Commit)
    assert "budget" not in commit.changes
    bench.let(commit).run(50)
    assert bench.lane.parts["budget"].cursors["ledger.intake"].last_seq == 3


@pytest.mark.rule(8)
def test_a_reader_whose_position_was_overtaken_by_a_lost_tail_finds_the_next_event() -> None:
    bench = separate("outcome")
    bench.order(1)
    bench.until(lambda: bench.names("outcome")).run(300)
    repeat(bench, "ledger.budget", 1)
    bench.run(50)
    bench.world.lose_tail("ledger.budget", 0, 1)  # only the repeat, which this reader has passed
    bench.order(2)
    bench.until(lambda: len(bench.names("outcome")) == 2)
    bench.until(lambda: bench.row("outcome").cursors["ledger.budget"].last_seq == bench.row("budget").out_seq)


@pytest.mark.rule(9)
def test_an_input_that_can_no_longer_be_read_is_looked_at_by_a_new_claim() -> None:
    bench = Bench().open().hold(Claim)
    bench.answer(FetchFailed(0, bench.lane.claim, "cut"))
    bench.held(Claim)
    assert bench.seen(Publish) == []
