"""Rules 3, 4, 6 and 24: what a commit carries, what its answer does, and what may be decided."""

from __future__ import annotations

import pytest

from libs.contracts import events as e
from libs.ledger.inbox import DirectQueue
from libs.ledger.lane import Phase
from libs.ledger.protocol import (
    Claim,
    Commit,
    CommitRefused,
    Committed,
    Load,
    Publish,
    PublishSide,
    Renew,
    Renewed,
)
from libs.ledger.service import Due, DueKind, ScopeRow
from libs.ledger.taking import PATIENCE_MS
from libs.testkit.simulation.bench import Bench, key_of
from libs.testkit.simulation.cast import View


@pytest.mark.rule(3)
def test_a_commit_names_epoch_and_out_seq_as_the_batch_saw_them() -> None:
    bench = Bench().open()
    bench.order(1)
    bench.until(lambda: bench.names("outcome")).run(50)
    bench.hold(Commit)
    bench.order(2)
    commit = bench.held(Commit)
    for name, (change,) in commit.changes.items():
        row = bench.row(name)
        assert (change.epoch, change.seen_out_seq) == (row.epoch, row.out_seq), name
        assert change.out_seq == row.out_seq + len(change.records)


@pytest.mark.rule(3)
def test_an_owner_that_finds_another_epoch_drops_the_lane() -> None:
    bench = Bench().open().hold(Renew, Claim)
    renew = bench.held(Renew)
    bench.answer(Renewed(renew.lanes[0][0], (), [(0, renew.lanes[0][1])]))
    assert bench.lane.phase in (Phase.FREE, Phase.CLAIMING)
    assert bench.lane.parts == {}


@pytest.mark.rule(3)
def test_a_commit_renews_the_lease_from_before_it_was_sent() -> None:
    bench = Bench().open().hold(Commit)
    bench.order(1)
    commit = bench.held(Commit)
    bench.answer(Committed(commit.round, 123_456))
    assert bench.lane.lease_end_boot_ms == 123_456 + bench.worker.limits.lease_ms


@pytest.mark.rule(4)
def test_a_refused_lane_is_dropped_with_all_its_services_and_the_rest_is_decided_anew() -> None:
    bench = Bench(lanes=2).open().hold(Commit, Claim)
    bench.worker.pause_until_ms = bench.world.clock.boot_ms + 50
    keys = [bench.order(n, lane=n % 2) for n in range(2)]
    commit = bench.held(Commit)
    assert [change.lane for change in commit.changes["intake"]] == [0, 1]
    bench.answer(CommitRefused(commit.round, lanes=(0,)))
    assert bench.worker.lanes[0].parts == {}
    again = bench.held(Commit)
    assert [change.lane for change in again.changes["intake"]] == [1]
    assert again.changes["intake"][0].records[0].key == keys[1]


@pytest.mark.rule(4)
def test_a_refused_scope_brings_fresh_rows_and_a_smaller_batch_and_drops_nothing() -> None:
    bench = Bench().open().hold(Commit)
    key = bench.order(1)
    commit = bench.held(Commit)
    ((seen, row),) = commit.changes["budget"][0].scopes
    limit = bench.worker.batch_limit
    fresh = ScopeRow(row.scope, row.stripe, seen + 4, 1_000, 500, 0)
    bench.world.database.schemas["budget"].scopes[(row.scope, row.stripe)] = fresh
    bench.answer(CommitRefused(commit.round, scopes=(fresh,)))
    again = bench.held(Commit)
    ((seen, row),) = again.changes["budget"][0].scopes
    assert (seen, row.version, row.pending_micros) == (fresh.version, fresh.version + 1, 550)
    assert bench.worker.batch_limit == limit // 2
    assert bench.lane.phase is Phase.OPEN
    bench.hold().let(again).until(lambda: bench.state("outcome", key) and bench.state("outcome", key).status)
    assert bench.worker.batch_limit == limit


@pytest.mark.rule(4)
def test_two_lanes_of_one_commit_do_not_write_one_stripe() -> None:
    bench = Bench(lanes=2).open().hold(Commit)
    scope = "scope/0"
    bench.worker.pause_until_ms = bench.world.clock.boot_ms + 50
    keys = (
        [n for n in range(40) if key_of(n, 0, 2)[8] % 2 == 0][:1],
        [n for n in range(40) if key_of(n, 1, 2)[8] % 2 == 0][:1],
    )
    bench.world.database.schemas["budget"].scopes[(scope, 0)] = ScopeRow(scope, 0, 1, 500, 480, 0)
    bench.world.database.schemas["budget"].scopes[(scope, 1)] = ScopeRow(scope, 1, 1, 500, 480, 0)
    bench.order(keys[0][0], 30, lane=0)
    bench.order(keys[1][0], 30, lane=1)
    commit = bench.held(Commit)
    written = [(row.scope, row.stripe) for change in commit.changes["budget"] for _, row in change.scopes]
    assert len(written) == len(set(written))


@pytest.mark.rule(6)
def test_inputs_stay_queued_until_the_commit_is_known() -> None:
    bench = Bench().open().hold(Commit)
    bench.order(1)
    commit = bench.held(Commit)
    assert len(bench.lane.queue) == 1
    bench.answer(CommitRefused(commit.round, scopes=(ScopeRow("scope/0", 0, 1), ScopeRow("scope/1", 0, 1))))
    bench.held(Commit)
    assert len(bench.lane.queue) == 1


@pytest.mark.rule(6)
def test_nothing_leaves_the_process_before_the_commit() -> None:
    bench = Bench(lanes=2).open().hold(Commit)
    bench.order(1, lane=1, partition=0)  # to be forwarded
    bench.order(2, lane=0)
    bench.held(Commit)
    bench.run(300)
    assert bench.seen(Publish) == []
    assert bench.seen(PublishSide) == []
    assert bench.log("ledger.intake") == []


@pytest.mark.rule(6)
def test_a_result_leaves_memory_only_with_the_commit_that_recorded_it() -> None:
    bench = Bench().open()
    key = bench.order(1)
    bench.until(lambda: bench.names("execution"))
    bench.hold(Commit)
    commit = bench.held(Commit)
    assert [r.key for r in commit.changes["execution"][0].records] == [key]
    assert (key, 1) in bench.worker.calls
    bench.hold().let(commit).run(50)
    assert (key, 1) not in bench.worker.calls


@pytest.mark.rule(6)
def test_a_wake_up_that_comes_while_the_key_is_decided_is_not_lost() -> None:
    queue, service = DirectQueue(), Bench().group[2]
    wake = Due(b"key", DueKind.READY)
    queue.push(service, wake)
    queue.push(service, wake)
    assert len(queue) == 1
    queue.take(queue.first(10))
    queue.push(service, wake)  # because of something that the round does not know
    queue.settle()
    assert [entry.item for entry in queue.first(9)] == [wake]
    queue.take(queue.first(10))
    queue.settle()
    assert len(queue) == 0


@pytest.mark.rule(6)
def test_a_round_that_came_to_nothing_loses_no_wake_up() -> None:
    queue, service = DirectQueue(), Bench().group[2]
    for key in (b"a", b"b"):
        queue.push(service, Due(key, DueKind.READY))
    queue.take(queue.first(1))
    queue.untake()
    assert [entry.item.key for entry in queue.first(10)] == [b"a", b"b"]  # type: ignore[union-attr]


@pytest.mark.rule(24)
def test_an_event_decided_under_a_newer_control_view_waits_for_ours() -> None:
    writer = Bench(lanes=1, shape="separate")
    bench = Bench([s for s in writer.group if s.name == "budget"], shape="separate").open()
    intake = next(s for s in writer.group if s.name == "intake")
    other = bench.world
    other.control = View(5)
    bench.group = (intake,)
    bench.start()
    bench.order(1)
    bench.until(lambda: bench.log("ledger.intake")).run(200)
    assert bench.facts("intake")[0].envelope.control_seq == 5
    assert bench.worker.control.seq == 1
    assert bench.names("budget") == []
    bench.process.see_control()
    bench.until(lambda: bench.names("budget") == ["BudgetReserved"])


@pytest.mark.rule(24)
def test_with_a_stale_control_view_nothing_is_decided() -> None:
    bench = Bench().open()
    bench.world.age(False)
    bench.until(lambda: not bench.worker.may_decide())
    bench.order(1)
    bench.run(300)
    assert bench.names("intake") == []
    bench.world.age(True)
    bench.until(lambda: bench.names("outcome"))


@pytest.mark.rule(24)
def test_what_was_taken_under_a_fresh_view_is_not_decided_under_a_stale_one() -> None:
    bench = Bench().open().hold(Load)
    bench.order(1)
    load = bench.held(Load)
    bench.world.age(False)
    bench.until(lambda: not bench.worker.may_decide())
    bench.hold().let(load).run(300)
    assert bench.names("intake") == []
    bench.world.age(True)
    bench.until(lambda: bench.names("outcome"))


@pytest.mark.rule(24)
def test_with_a_stale_view_positions_are_written_all_the_same() -> None:
    bench = Bench().open()
    bench.order(1)
    bench.until(lambda: bench.names("outcome"))
    bench.world.age(False)
    bench.until(lambda: not bench.worker.may_decide())
    bench.lane.dirty_since_ms, commits = bench.worker.boot_ms, len(bench.seen(Commit))
    bench.until(lambda: bench.lane.dirty_since_ms is None)
    assert len(bench.seen(Commit)) == commits + 1


@pytest.mark.rule(24)
def test_events_name_their_cause_and_the_control_view() -> None:
    bench = Bench().open()
    bench.world.flip(frozenset())
    bench.run(20)
    bench.order(1)
    bench.until(lambda: bench.names("outcome"))
    accepted, reserved = bench.facts("intake")[0].envelope, bench.facts("budget")[0].envelope
    assert (accepted.cause.topic, accepted.cause.position) == ("intents", 0)
    assert (reserved.cause.topic, reserved.cause.position, reserved.cause.id) == ("ledger.intake", 1, accepted.event_id)
    assert accepted.control_seq == 2


@pytest.mark.rule(24)
def test_an_unpark_that_changes_nothing_is_refused_by_an_event() -> None:
    bench = Bench().open()
    key = bench.order(1)
    bench.until(lambda: bench.names("outcome"))
    bench.world.tell(e.Unpark, key, service="budget")
    bench.until(lambda: "CommandRejected" in bench.names("budget"))
    body = bench.facts("budget")[-1].body
    assert (body.command, body.code) == ("Unpark", "NOT_PARKED")


@pytest.mark.rule(24)
def test_what_a_replay_folds_is_what_the_lane_stored() -> None:
    bench = Bench().open()
    keys = [bench.order(n, effect_class="OPAQUE") for n in range(4)]
    bench.until(lambda: bench.names("outcome").count("OutcomeRecorded") == 4).run(200)
    for service in bench.group:
        for key in keys:
            state = service.initial
            for topic in (service.writes, *service.reads):
                for fact in bench.facts((topic or "").removeprefix("ledger.")):
                    state = service.evolve(state, fact) if fact.envelope.intent_id == key else state
            assert bench.state(service.name, key) == state


def test_what_is_refused_waits_a_moment_for_others() -> None:
    bench = Bench(lanes=2).open()
    for lane in (0, 1):
        bench.world.append("intents", lane, b"", b"rubbish")
        bench.run(30)
    assert bench.seen(Commit) == []
    bench.until(lambda: bench.seen(Commit), PATIENCE_MS)
    assert len(bench.seen(Commit)[0].changes["intake"]) == 2, "both lanes share a commit"


def test_nothing_waits_behind_what_is_refused() -> None:
    bench = Bench(lanes=2).open()
    bench.world.append("intents", 0, b"", b"rubbish")
    bench.run(30)
    bench.order(1, lane=1)
    bench.until(lambda: bench.names("intake", 1), PATIENCE_MS / 2)
    bench.until(lambda: bench.log("dead.intake"), PATIENCE_MS / 2)


def test_what_is_refused_does_not_wait_when_more_has_come_than_a_round_takes() -> None:
    bench = Bench().open()
    for n in range(bench.worker.limits.batch_max):
        bench.world.append("intents", 0, b"", b"rubbish %d" % n)
    bench.order(1)
    bench.until(lambda: bench.names("intake"), PATIENCE_MS)
