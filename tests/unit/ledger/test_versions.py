"""Rule 25: what never changes, for any release, and what a worker does whose format is not the floor's."""

from __future__ import annotations

import uuid

import pytest

from libs.ledger.chain import derived_id, event_hash
from libs.ledger.partition import lane_of
from libs.ledger.protocol import Claim, LaneSeen, Survey, Surveyed
from libs.testkit.simulation.bench import Bench


@pytest.mark.rule(25)
@pytest.mark.parametrize(
    ("key", "lanes", "lane"),
    [
        (bytes(16), 8, 0),
        (bytes(range(16)), 8, 7),
        (bytes(range(16)), 32, 7),
        (bytes(range(16)), 5, 3),
        (b"\xff" * 16, 8, 7),
        (b"\xff" * 16, 7, 1),
        (uuid.UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8").bytes, 6, 1),
    ],
)
def test_the_home_lane_of_an_intent_never_changes(key: bytes, lanes: int, lane: int) -> None:
    assert lane_of(key, lanes) == lane


@pytest.mark.rule(25)
def test_event_ids_are_derived_the_same_way_for_ever() -> None:
    assert derived_id(bytes(16), "ledger.intake", 1).hex() == "02e3a2e3ace452ca9ae3d64b971a5c2d"
    assert derived_id(bytes(range(16)), "ledger.execution", 1 << 40).hex() == "0a4b8a52e36b5a36a08fd85624ceee3c"
    made = uuid.UUID(bytes=derived_id(bytes(16), "x", 2))
    assert (made.version, made.variant) == (5, uuid.RFC_4122)


@pytest.mark.rule(25)
def test_an_events_hash_is_sha_256_of_its_whole_value() -> None:
    assert event_hash(b"deed").hex() == ("df75f3ea1d63370ba642bde84f53668817f063ac887beb86b8593d78cf5642b9")


def surveyed(bench: Bench, unfit: str) -> Surveyed:
    """What the database says when the floor is, or is not, this release's format."""
    worker, token = bench.worker, bench.row("intake").token or None
    workers = [] if unfit else [worker.token]
    return Surveyed(worker.boot_ms, worker.now_at(), workers, [LaneSeen(0, token, token is None, "")], unfit=unfit)


@pytest.mark.rule(25)
def test_a_worker_above_the_floor_claims_nothing_and_says_once_why() -> None:
    bench = Bench().hold(Survey)
    for _ in range(3):
        bench.held(Survey)
        bench.answer(surveyed(bench, "intake: raise it"))
    assert bench.seen(Claim) == []
    assert bench.alarms() == ["FORMAT_REFUSED"]
    assert bench.worker.unfit == "intake: raise it"
    bench.held(Survey)
    bench.answer(surveyed(bench, ""))
    assert bench.worker.unfit == ""
    bench.open()


@pytest.mark.rule(25)
def test_who_slept_while_the_floor_was_raised_gives_its_lanes_back_politely() -> None:
    bench = Bench().open()
    bench.order(1)
    bench.until(lambda: bench.names("outcome")).hold(Survey)
    bench.held(Survey)
    bench.answer(surveyed(bench, "intake: start a newer release"))
    bench.until(lambda: bench.row("intake").token == b"")
    for name in ("intake", "budget", "execution", "outcome"):
        assert bench.row(name).published.seq == bench.row(name).out_seq
    assert bench.alarms() == ["FORMAT_REFUSED"]
