"""Rules 12 to 15: what leaves the process after a commit, how, and how often it is tried."""

from __future__ import annotations

import pytest

from libs.ledger.lane import Phase
from libs.ledger.protocol import (
    Acked,
    Claim,
    Commit,
    Connect,
    DropProducer,
    Load,
    Publish,
    PublishFailed,
    Release,
)
from libs.testkit.simulation.bench import Bench
from libs.testkit.simulation.deciders import BUDGET, INTAKE


def acked(bench: Bench, publish: Publish, first_offset: int = -1) -> Acked:
    """All of it is on the log."""
    if first_offset < 0:
        first_offset = bench.world.log.append(publish.topic, publish.lane, [(r.key, r.value) for r in publish.records])
    end = publish.records[-1]
    last = first_offset + len(publish.records) - 1
    return Acked(publish.lane, publish.claim, publish.service, first_offset, last, end.seq, end.hash)


def publishing(bench: Bench) -> list[Publish]:
    """Hold the publishes of one batch back."""
    bench.hold(Publish)
    bench.order(1)
    bench.until(lambda: len(bench.process.held) == 3)  # intake, budget, execution
    return [bench.held(Publish) for _ in range(3)]


@pytest.mark.rule(12)
def test_effects_wait_for_the_acks_of_all_topics_of_their_batch() -> None:
    bench = Bench().open()
    first, second, third = publishing(bench)
    for publish in (first, second):
        bench.answer(acked(bench, publish))
    bench.run(200)
    assert bench.seen(Connect) == []
    bench.answer(acked(bench, third))
    assert len(bench.seen(Connect)) == 1


@pytest.mark.rule(12)
def test_a_separate_service_decides_only_on_what_it_read() -> None:
    bench = Bench([BUDGET], shape="separate")
    bench.group = (INTAKE,)
    intake = bench.start()
    bench.open()
    intake.holding = (Publish,)
    bench.order(1)
    bench.until(lambda: bench.names("intake")).run(300)
    assert bench.names("budget") == []
    intake.holding = ()
    intake.do(intake.held.pop())
    bench.until(lambda: bench.names("budget"))
    cursor = bench.row("budget").cursors["ledger.intake"]
    assert cursor.anchor.seq == cursor.last_seq == 1


@pytest.mark.rule(13)
def test_nothing_new_is_decided_for_a_lane_that_has_unacked_rows() -> None:
    bench = Bench().open()
    publishes = publishing(bench)
    commits = len(bench.seen(Commit))
    bench.order(2)
    bench.run(300)
    assert len(bench.seen(Commit)) == commits
    assert len(bench.seen(Publish)) == 3
    bench.hold()
    for publish in publishes:
        bench.answer(acked(bench, publish))
    bench.until(lambda: len(bench.seen(Commit)) > commits)


@pytest.mark.rule(13)
def test_stored_bytes_are_published_in_order_from_behind_the_frontier() -> None:
    bench = Bench().open()
    for n in range(3):
        bench.order(n)
    bench.until(lambda: len(bench.names("outcome")) == 3).run(30)
    for name in ("intake", "budget", "execution", "outcome"):
        published = [r for publish in bench.seen(Publish) if publish.service == name for r in publish.records]
        assert published == bench.world.database.schemas[name].outbox[0]
        assert [r.seq for r in published] == list(range(1, len(published) + 1))


@pytest.mark.rule(13)
def test_what_was_not_acked_is_published_again_by_the_next_claim_byte_for_byte() -> None:
    bench = Bench().open()
    first, *_ = publishing(bench)
    bench.answer(PublishFailed(0, first.claim, first.service))
    bench.hold()
    for action in bench.process.held:
        assert isinstance(action, Publish)
        bench.answer(PublishFailed(0, first.claim, action.service))
    bench.until(lambda: len([p for p in bench.seen(Publish) if p.service == first.service]) == 2)
    again = [p for p in bench.seen(Publish) if p.service == first.service][1]
    assert again.records == first.records


@pytest.mark.rule(13)
def test_any_error_drops_the_producer_once_and_the_lane_claims_again_after_a_back_off() -> None:
    bench = Bench().open()
    publishes = publishing(bench)
    bench.hold(Claim)
    now = bench.world.clock.boot_ms
    for publish in publishes:
        bench.answer(PublishFailed(0, publish.claim, publish.service))
    assert len(bench.seen(DropProducer)) == 1
    assert bench.lane.phase is Phase.BACKOFF
    bench.held(Claim)
    assert bench.world.clock.boot_ms >= now + bench.worker.limits.backoff_ms


@pytest.mark.rule(13)
def test_the_back_off_doubles_up_to_its_limit_and_ends_with_a_success() -> None:
    bench = Bench().open().hold(Claim)
    limits, waits = bench.worker.limits, []
    for _ in range(5):
        bench.worker.fail(bench.lane, "TEST", "", release=False)
        waits.append(bench.lane.trouble.retry_ms - bench.worker.boot_ms)
    assert waits == [60, 120, 240, 480, limits.backoff_max_ms]
    bench.hold()
    bench.open()
    assert bench.lane.trouble.failures == 0


@pytest.mark.rule(13)
def test_a_lane_that_failed_twice_in_a_row_has_a_producer_of_its_own_until_it_succeeds() -> None:
    bench = Bench().open()
    owns: list[bool] = []
    for _ in range(3):
        publishes = publishing(bench) if not owns else [bench.held(Publish) for _ in range(3)]
        owns.append(publishes[0].own_producer)
        drops = len(bench.seen(DropProducer))
        for publish in publishes:
            bench.answer(PublishFailed(0, publish.claim, publish.service))
        assert len(bench.seen(DropProducer)) == drops + (0 if owns[-1] else 1)
        bench.open()
    assert owns == [False, False, True]
    bench.hold()
    for publish in [action for action in bench.process.held if isinstance(action, Publish)]:
        bench.let(publish)
    bench.until(lambda: bench.names("outcome"))
    bench.until(lambda: not bench.seen(Publish)[-1].own_producer)


@pytest.mark.rule(13)
def test_a_lane_that_could_not_publish_for_long_is_released_for_another_worker() -> None:
    bench = Bench().open()
    publishing(bench)
    bench.hold(Publish, Release, Claim)
    bench.lane.trouble.since_ms = bench.worker.boot_ms - bench.worker.limits.release_after_ms
    bench.worker.fail(bench.lane, "TEST", "")
    bench.run(1)
    bench.let(bench.held(Release))
    bench.until(lambda: bench.lane.phase is Phase.FREE)
    assert bench.row("intake").token == b""
    bench.run(bench.worker.limits.shun_ms - 100)
    assert not bench.has_held(Claim)
    bench.held(Claim)


@pytest.mark.rule(13)
def test_one_partition_never_has_two_unacked_batches_of_ours() -> None:
    bench = Bench().open()
    first, *others = publishing(bench)
    bench.worker.claim(bench.lane)  # another failure, while all three are under way
    bench.open().run(200)
    assert [p for p in bench.process.held if isinstance(p, Publish)] == []
    bench.answer(acked(bench, first))  # of the earlier claim: what it says no longer counts
    again = bench.held(Publish)
    assert (again.service, again.claim, again.records) == (first.service, first.claim + 1, first.records)
    assert bench.lane.parts[first.service].published.seq == 0
    for publish in others:
        bench.answer(PublishFailed(0, publish.claim, publish.service))
    assert len([p for p in bench.process.held if isinstance(p, Publish)]) == 2


@pytest.mark.rule(14)
def test_only_own_acks_move_the_frontier_and_the_next_commit_writes_it() -> None:
    bench = Bench().open().hold(Publish)
    bench.order(1)
    bench.until(lambda: len(bench.process.held) == 3)
    publishes = {p.service: p for p in (bench.held(Publish) for _ in range(3))}
    acks = [acked(bench, publish) for publish in publishes.values()]
    bench.run(100)
    assert bench.lane.parts["intake"].published.seq == 0
    for ack in acks:
        bench.answer(ack)
    assert bench.lane.parts["intake"].published.seq == 1
    assert bench.row("intake").published.seq == 0
    bench.hold().until(lambda: bench.row("intake").published.seq == 1)


@pytest.mark.rule(14)
def test_the_frontier_is_written_after_a_while_of_quiet() -> None:
    bench = Bench().open()
    bench.order(1)
    bench.until(lambda: bench.names("outcome")).run(bench.worker.limits.flush_ms + 200)
    for name in ("intake", "budget", "execution", "outcome"):
        assert bench.row(name).published.seq == bench.row(name).out_seq > 0
    commits = len(bench.seen(Commit))
    bench.run(2_000)
    assert len(bench.seen(Commit)) == commits


@pytest.mark.rule(14)
def test_an_ack_that_is_not_above_every_offset_seen_before_means_loss() -> None:
    bench = Bench().open()
    bench.order(0)
    bench.until(lambda: bench.names("outcome")).run(400)
    publish, *_ = publishing(bench)
    seen = bench.lane.highest_offset[publish.service]
    bench.answer(acked(bench, publish, first_offset=seen))
    assert bench.lane.phase is Phase.BACKOFF
    assert "TAIL_LOST" in bench.alarms()


@pytest.mark.rule(15)
def test_an_event_that_no_topic_takes_parks_its_key_and_is_not_committed() -> None:
    bench = Bench().open()
    bench.lane.limits["ledger.intake"] = 600
    key = bench.order(1)
    bench.until(lambda: bench.names("intake")).run(100)
    stored = bench.world.database.schemas["intake"]
    assert bench.names("intake") == ["KeyParked"]
    assert all(len(record.value) <= 600 for record in stored.outbox[0])
    assert list(stored.parked[0]) == [key]
    bench.lane.limits["ledger.intake"] = 1 << 20
    bench.order(2)
    bench.until(lambda: bench.names("outcome"))


@pytest.mark.rule(15)
def test_without_a_known_limit_nothing_is_decided() -> None:
    bench = Bench()
    taken = bench.process.shell.broker.limits
    bench.process.shell.broker.limits = lambda hosted: {t: n for t, n in taken(hosted).items() if t != "ledger.budget"}  # type: ignore[method-assign]
    bench.order(1)
    bench.until(lambda: "CHECK_FAILED" in bench.alarms()).run(300)
    assert bench.seen(Load) == []
