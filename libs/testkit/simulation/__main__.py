"""Play schedules: `python -m libs.testkit.simulation --seeds 20000`. One that breaks an invariant is played again with
its trace; `--seed 4711` shows any of them."""

from __future__ import annotations

import argparse
import sys
import time

from libs.testkit.simulation.story import Report, play

FAILURES_MAX = 5


def main() -> int:
    """Exit status 1 when an invariant was broken."""
    parser = argparse.ArgumentParser(prog="python -m libs.testkit.simulation", description=__doc__)
    parser.add_argument("--seeds", default="1000", help="how many, or the first and the last: 5000-5999")
    parser.add_argument("--seed", type=int, help="one alone, with its trace")
    parser.add_argument("--real", action="store_true", help="with the real deciding services")
    given = parser.parse_args()
    first, _, last = given.seeds.rpartition("-")
    began, steps, calls_in_window, in_doubt, failures = time.monotonic(), 0, 0, 0, 0
    seeds = range(int(first or 0), int(last) + (1 if first else 0))
    if given.seed is not None:
        seeds = range(given.seed, given.seed + 1)
    for seed in seeds:
        report = play(seed, given.seed is not None, given.real)
        steps, calls_in_window = steps + report.steps, calls_in_window + report.windows
        in_doubt += report.in_doubt
        if given.seed is not None:
            show(report)
        elif report.violated:
            show(play(seed, tracing=True, real=given.real))
        if report.violated:
            failures += 1
            if failures == FAILURES_MAX:
                break
    took = time.monotonic() - began
    sys.stdout.write(
        f"{len(seeds)} schedules, {steps} steps in {took:.1f} s: {failures} broke an invariant; {in_doubt} deeds were"
        f" in doubt; {calls_in_window} calls left a process that had been stopped after its last look\n"
    )
    return 1 if failures else 0


def show(report: Report) -> None:
    """The trace of a schedule."""
    sys.stdout.write(
        "\n".join(report.trace) + f"\n\nseed {report.seed}: {report.violated or 'all invariants hold'}\n\n"
    )


if __name__ == "__main__":
    sys.exit(main())
