"""Rules 1, 3 and 21: who owns which lane, and how a lane is handed over."""

from __future__ import annotations

import pytest

from libs.ledger.lane import Phase
from libs.ledger.protocol import Call, Claim, Commit, Finished, LaneSeen, Publish, Release, Survey, Surveyed
from libs.ledger.service import Result
from libs.testkit.simulation.bench import Bench
from tests.unit.ledger.given import answered, calling


def owners(bench: Bench) -> list[bytes]:
    """Who has which lane."""
    return [row.token for _, row in sorted(bench.world.database.schemas["intake"].rows.items())]


@pytest.mark.rule(1)
def test_workers_share_the_lanes_evenly_and_give_the_rest_back_politely() -> None:
    bench = Bench(lanes=4).open()
    assert owners(bench) == [bench.worker.token] * 4
    other = bench.start()
    bench.until(lambda: owners(bench).count(other.worker.token) == 2, 10_000)
    assert owners(bench).count(bench.worker.token) == 2
    bench.run(1_000)
    assert owners(bench).count(other.worker.token) == 2


@pytest.mark.rule(21)
def test_a_lane_is_released_only_when_its_results_are_recorded_published_and_the_frontier_is_written() -> None:
    bench = Bench().open()
    key, _ = calling(bench, "READ_ONLY")
    bench.process.leave()
    bench.run(200)
    assert bench.seen(Release) == []
    bench.answer(Finished(0, Result(key, 1, answered(bench))))
    bench.until(lambda: bench.row("intake").token == b"")
    assert bench.names("outcome") == ["OutcomeRecorded"]
    for name in ("intake", "budget", "execution", "outcome"):
        assert bench.row(name).published.seq == bench.row(name).out_seq
    kinds = [type(a) for a in bench.process.seen if isinstance(a, Commit | Publish | Release)]
    assert kinds[-2:] == [Commit, Release]
    assert bench.seen(Release)[0].quiet_until_at == 0


@pytest.mark.rule(21)
def test_a_lane_that_takes_too_long_to_give_back_leaves_its_quiet_time() -> None:
    bench = Bench().open()
    _, call = calling(bench, "OPAQUE")
    bench.process.leave()
    bench.until(lambda: bench.seen(Release))
    limits = bench.worker.limits
    release = bench.seen(Release)[0]
    assert release.quiet_until_at == bench.worker.now_at() + (call.effect.timeout_ms + limits.margin_ms) * 1000
    bench.until(lambda: bench.row("execution").token == b"")
    assert bench.row("execution").quiet_until_at == release.quiet_until_at


@pytest.mark.rule(21)
def test_a_lane_that_is_given_back_takes_nothing_more_and_calls_nothing_more() -> None:
    bench = Bench().open()
    bench.hold(Call)
    bench.order(1)
    bench.held(Call)
    bench.process.leave()
    bench.order(2)
    bench.run(300)
    assert len(bench.names("intake")) == 1
    assert len(bench.seen(Call)) == 1


@pytest.mark.rule(21)
def test_a_lost_answer_to_a_release_counts_as_released() -> None:
    bench = Bench().open()
    bench.world.weather.lost_answer = 1.0
    bench.process.leave()
    bench.until(lambda: bench.worker.stopped)
    assert bench.lane.phase is Phase.FREE


@pytest.mark.rule(21)
def test_a_worker_that_leaves_is_taken_off_the_list_so_that_others_take_its_lanes_at_once() -> None:
    bench = Bench(lanes=2).open()
    other = bench.start()
    bench.until(lambda: owners(bench).count(other.worker.token) == 1)
    bench.world.supervisor.switching = True  # nobody is started in its place
    other.leave()
    left = bench.world.clock.now_ms
    bench.until(lambda: owners(bench) == [bench.worker.token] * 2)
    assert bench.world.clock.now_ms - left < bench.worker.limits.worker_ttl_ms


@pytest.mark.rule(21)
def test_a_worker_stops_only_when_its_late_results_are_sent() -> None:
    bench = Bench().open()
    key, _ = calling(bench, "OPAQUE")
    bench.process.leave()
    bench.until(lambda: bench.lane.phase is Phase.FREE)
    bench.world.network.away_until["broker"] = bench.world.clock.now_ms + 300
    bench.answer(Finished(0, Result(key, 1, answered(bench))))
    assert not bench.worker.stopped
    bench.until(lambda: bench.worker.stopped)


@pytest.mark.rule(3)
def test_a_row_with_our_token_that_we_do_not_hold_is_claimed_again() -> None:
    bench = Bench().open()
    bench.worker.lose(bench.lane)
    lost = bench.world.clock.now_ms
    bench.until(lambda: bench.lane.phase is Phase.OPEN)
    assert bench.world.clock.now_ms - lost < bench.worker.limits.lease_ms / 2


@pytest.mark.rule(3)
def test_the_databases_clock_is_known_within_the_bounds_of_every_survey() -> None:
    bench = Bench().hold(Survey, Claim)
    worker, token = bench.worker, bench.worker.token
    for sent, now_at, boot, lowest, highest in (
        (10, 5_000_000, 30, 4_970_000, 4_990_000),
        (40, 5_010_000, 45, 4_965_000, 4_970_000),  # the first measurement was too high by more than its way
        (50, 9_000_000, 60, 8_940_000, 8_950_000),  # the clock was set
    ):
        worker.handle(Surveyed(sent, now_at, [token], []), boot)
        assert lowest <= worker.clock_offset_us <= highest


@pytest.mark.rule(1)
def test_a_lane_that_nobody_takes_is_taken_beyond_the_share() -> None:
    bench = Bench(lanes=2).hold(Claim, Survey).run(20)
    worker, claimed = bench.worker, []
    for _ in range(6):
        lanes = [LaneSeen(n, None, True, "") for n in range(2)]
        now = bench.world.clock.boot_ms
        worker.handle(Surveyed(now, bench.world.clock.now_at, sorted([worker.token, b"\xff" * 16]), lanes), now)
        claimed.append(sum(1 for lane in worker.lanes.values() if lane.phase is Phase.CLAIMING))
    assert claimed == [1, 1, 1, 2, 2, 2]
