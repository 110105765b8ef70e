"""States that an owner has committed stay in its memory, and are gone with its claim (rules 2, 6)."""

from __future__ import annotations

import pytest

from libs.ledger import lane as lane_module
from libs.ledger.protocol import Load
from libs.testkit.simulation.bench import Bench


@pytest.mark.rule(6)
def test_what_was_committed_is_not_loaded_again() -> None:
    bench = Bench().open()
    key = bench.order(1)
    bench.until(lambda: bench.names("outcome")).run(50)
    loads = [load for load in bench.seen(Load) if any(key in keys for keys in load.keys.values())]
    assert len(loads) == 1
    stored = bench.world.database.schemas["execution"].states[key]
    assert bench.lane.states["execution"][key] == stored


@pytest.mark.rule(2)
def test_a_new_claim_knows_no_state() -> None:
    bench = Bench().open()
    bench.order(1)
    bench.until(lambda: bench.names("outcome"))
    assert bench.lane.states
    bench.worker.fail(bench.lane, "TEST", "")
    assert bench.lane.states == {}
    bench.open()
    assert bench.lane.states == {}


@pytest.mark.rule(6)
def test_the_oldest_states_give_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane_module, "STATES_KEPT_MAX", 3)
    bench = Bench().open()
    keys = [bench.order(n) for n in range(6)]
    bench.until(lambda: len(bench.names("outcome")) == 6)
    known = bench.lane.states["execution"]
    assert len(known) == 3
    assert set(known) < set(keys)
