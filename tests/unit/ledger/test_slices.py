"""One round is bounded in bytes over all lanes: whatever legal inputs come, leases are renewed in time (rule 6)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from libs.ledger.protocol import Commit
from libs.testkit.simulation.bench import Bench

DEEDS = 12


@pytest.mark.rule(6)
@pytest.mark.parametrize(("bytes_max", "inputs_max"), [(1, 2), (1 << 20, DEEDS)])
def test_a_round_takes_no_more_bytes_than_it_may_and_at_least_one_record_per_lane(
    bytes_max: int, inputs_max: int
) -> None:
    bench = Bench(lanes=2).open()
    bench.worker.limits = replace(bench.worker.limits, batch_bytes_max=bytes_max)
    for n in range(DEEDS):
        bench.order(n, lane=n % 2)
    bench.until(lambda: len(bench.names("outcome")) + len(bench.names("outcome", lane=1)) == DEEDS)
    accepted = [
        sum(len(change.records) for change in commit.changes.get("intake", ())) for commit in bench.seen(Commit)
    ]
    assert sum(accepted) == DEEDS
    assert max(accepted) <= inputs_max
    assert bytes_max == 1 or max(accepted) > 2
