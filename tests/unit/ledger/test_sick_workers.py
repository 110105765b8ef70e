"""Rule 13, fault X12: a worker that reaches the database but not the log takes no lanes down. It leaves the count of
those who share them out, others serve its lanes, and it comes back when it can."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from libs.ledger.lane import Phase
from libs.ledger.protocol import (
    Action,
    Answer,
    Check,
    Checked,
    Claim,
    ClaimRefused,
    ControlSeen,
    Publish,
    PublishFailed,
    Release,
)
from libs.testkit.simulation.bench import Bench, BenchProcess

pytestmark = [pytest.mark.rule(13), pytest.mark.requirement("X12")]
LANES = 4


def served(process: BenchProcess) -> list[int]:
    """The lanes that a process has open."""
    return [lane.number for lane in process.worker.lanes.values() if lane.phase is Phase.OPEN]


def two_workers() -> tuple[Bench, BenchProcess, BenchProcess]:
    """Each with its share."""
    bench = Bench(lanes=LANES)
    one, other = bench.process, bench.start()
    bench.until(lambda: len(served(one)) == len(served(other)) == LANES // 2, 20_000)
    return bench, one, other


def cut_off(process: BenchProcess, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From now on the log does not take its events, and does not answer its questions but for the control ledger's end;
    gives back how to end that."""
    sound = process.do

    def do(action: Action) -> None:
        if isinstance(action, Check):
            process.take(Checked(action.lane, action.claim, {}, {}, {}, {}, "KafkaConnectionError"))
        elif isinstance(action, Publish):
            process.take(PublishFailed(action.lane, action.claim, action.service, "TimeoutError"))
        else:
            sound(action)

    monkeypatch.setattr(process, "do", do)
    for number in served(process):
        process.worker.fail(process.worker.lanes[number], "PUBLISH_FAILED", "")
    return lambda: monkeypatch.setattr(process, "do", sound)


def goes_stale(process: BenchProcess, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From now on it cannot find out whether its control view is whole; gives back how to end that."""
    sound = process.take

    def take(answer: Answer) -> None:
        if not isinstance(answer, ControlSeen):
            sound(answer)

    monkeypatch.setattr(process, "take", take)
    return lambda: monkeypatch.setattr(process, "take", sound)


def open_part(bench: Bench, lanes: Sequence[int], for_ms: int) -> float:
    """The part of this time in which these lanes are open at somebody, on average."""
    found, step_ms = 0, 50
    for _ in range(for_ms // step_ms):
        bench.run(step_ms)
        found += sum(
            number in served(p)
            for number in lanes
            for p in bench.world.supervisor.processes
            if isinstance(p, BenchProcess)
        )
    return found / (for_ms // step_ms * len(lanes))


def test_the_lanes_of_a_worker_that_cannot_reach_the_log_are_served_by_another(monkeypatch: pytest.MonkeyPatch) -> None:
    bench, sick, other = two_workers()
    lanes = served(sick)
    cut_off(sick, monkeypatch)
    bench.until(lambda: len(served(other)) == LANES, sick.worker.limits.release_after_ms + 1_000)
    assert open_part(bench, lanes, 60_000) > 0.85  # every `shun_max_ms` (4 s here, a minute in earnest) it tries again
    assert open_part(bench, [n for n in range(LANES) if n not in lanes], 20_000) > 0.85


def test_it_takes_its_share_back_when_it_reaches_the_log_again(monkeypatch: pytest.MonkeyPatch) -> None:
    bench, sick, other = two_workers()
    heal = cut_off(sick, monkeypatch)
    bench.until(lambda: len(served(other)) == LANES).run(3_000)
    heal()
    bench.until(lambda: len(served(sick)) == LANES // 2, sick.worker.limits.shun_max_ms + 2_000)
    assert len(served(other)) == LANES // 2


def test_a_worker_with_a_stale_control_view_leaves_its_lanes_to_one_that_may_decide(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench, sick, other = two_workers()
    lanes, limits = served(sick), sick.worker.limits
    heal = goes_stale(sick, monkeypatch)
    bench.run(limits.control_stale_ms + limits.release_after_ms // 2)
    assert served(sick) == lanes, "it may be over soon"
    bench.until(lambda: len(served(other)) == LANES, limits.release_after_ms)
    assert open_part(bench, range(LANES), 20_000) > 0.99
    heal()
    bench.until(lambda: len(served(sick)) == LANES // 2)


def test_nobody_gives_lanes_back_when_nobody_may_decide() -> None:
    bench, one, other = two_workers()
    lanes = served(one), served(other)
    bench.world.age(False)
    assert open_part(bench, range(LANES), 5_000) == 1
    bench.world.age(True)
    assert open_part(bench, range(LANES), 2_000) == 1
    assert (served(one), served(other)) == lanes


def test_a_worker_that_does_not_know_the_switches_yet_takes_no_lanes_from_those_who_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench(lanes=LANES).open()
    new = bench.start()
    heal = goes_stale(new, monkeypatch)
    assert open_part(bench, range(LANES), 3_000) == 1
    heal()
    bench.until(lambda: len(served(new)) == LANES // 2)


def test_a_lane_that_nobody_takes_whose_share_it_is_stays_where_it_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    bench, idle, other = two_workers()
    lanes = served(idle)
    monkeypatch.setattr(idle.worker, "claim", lambda lane: None)  # it counts, and does nothing about it
    for number in lanes:
        idle.worker.release(idle.worker.lanes[number])
    bench.until(lambda: len(served(other)) == LANES)
    assert open_part(bench, lanes, other.worker.limits.release_after_ms * 4) > 0.6


def test_another_worker_gets_its_share_of_what_nobody_had_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    bench, gone, other = two_workers()
    bench.world.supervisor.switching = True  # nobody is started in its place
    gone.kill()
    bench.until(lambda: len(served(other)) == LANES)
    new = bench.start()
    bench.until(lambda: len(served(new)) == LANES // 2, other.worker.limits.release_after_ms)


def test_a_database_that_does_not_answer_makes_no_worker_shun_its_lanes() -> None:
    bench = Bench().open().hold(Claim)
    bench.worker.fail(bench.lane, "TEST", "")
    failed_ms = bench.world.clock.now_ms
    while bench.world.clock.now_ms - failed_ms < 2 * bench.worker.limits.release_after_ms:
        claim = bench.held(Claim)
        bench.run(100).answer(ClaimRefused(0, claim.claim, "UNKNOWN", "no answer"))
    assert bench.lane.trouble.shunned_until_ms == 0
    assert bench.seen(Release) == []
    bench.hold().until(lambda: bench.lane.phase is Phase.OPEN, 1_000)
