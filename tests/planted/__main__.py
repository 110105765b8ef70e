"""Break each rule of the lane on purpose, in a copy, and see a test that carries its number fail.

    python -m tests.planted [--rule N] [--jobs 2]

A rule whose bug no test sees is not tested, whatever the coverage says. Ends with 1 when a bug survives.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from queue import SimpleQueue

from tests.ids import RULES
from tests.planted.copies import FAILED, PASSED, Copy, Run, Unusable
from tests.planted.planting import Bug, DoesNotApply, all_bugs, plant, planted
from tests.servers import chosen, opened

WIDTH = 74


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def servers(bugs: Sequence[Bug], held: ExitStack) -> Mapping[str, str]:
    """How the tests reach Kafka and PostgreSQL, which are started once for all bugs, if any needs them."""
    if not any(bug.needs_servers for bug in bugs):
        return {}
    found = held.enter_context(opened(chosen()))
    return {
        "DEED_TEST_SERVERS": "existing",
        "DEED_KAFKA_BOOTSTRAP": found.kafka_bootstrap,
        "DEED_POSTGRES_DSN": found.postgres_dsn,
    }


def must_be_green(copy: Copy, bugs: Sequence[Bug]) -> None:
    """A test that fails without any bug catches nothing."""
    paths = sorted({path for bug in bugs for path in bug.tests})
    run = copy.test(paths)
    if run.code != PASSED:
        raise Unusable(f"the tests fail without any bug:\n{run.output[-4000:]}")


def verdict(run: Run) -> tuple[bool, str]:
    """Is the bug caught, and by what?"""
    if run.code == FAILED and run.failed:
        return True, _short(run.failed[0])
    if run.code == PASSED:
        return False, "SURVIVES"
    why = "no end" if run.code is None else f"pytest ended with {run.code}"
    return False, f"SHOWS NOTHING ({why})\n{run.output[-1500:]}"


def _short(test: str) -> str:
    """File and function; parameters only where they are words."""
    path, _, name = test.partition("::")
    function, _, parameters = name.partition("[")
    shown = name if parameters.rstrip("]").replace(" ", "").isalnum() else function
    return f"{path.rpartition('tests/')[2]}::{shown}"


def run_all(bugs: Sequence[Bug], jobs: int) -> int:
    """Plant one after the other in `jobs` copies; how many were not caught."""
    with ExitStack() as held:
        env = servers(bugs, held)
        copies: SimpleQueue[Copy] = SimpleQueue()
        for _ in range(min(jobs, len(bugs))):
            root = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="deedbook-planted-"))).resolve()
            copies.put(Copy(root, env))
        first = copies.get()
        for bug in bugs:
            planted(bug, first.root)  # all of them still apply
        must_be_green(first, bugs)
        copies.put(first)

        def one(bug: Bug) -> tuple[bool, str, float]:
            copy, began = copies.get(), time.monotonic()
            try:
                with plant(bug, copy.root):
                    return *verdict(copy.test(bug.tests, bug.rule)), time.monotonic() - began
            finally:
                copies.put(copy)

        survivors = 0
        say(f"rule  {'bug':<{WIDTH}}  {'s':>4}  caught by")
        with ThreadPoolExecutor(jobs) as pool:
            for bug, (caught, by, seconds) in zip(bugs, pool.map(one, bugs), strict=True):
                survivors += not caught
                say(f"{bug.rule:>4}  {bug.title:<{WIDTH}}  {seconds:>4.0f}  {by}")
        return survivors


def main() -> int:
    """0 when every bug was caught and, if all were asked for, every rule has one."""
    parser = argparse.ArgumentParser(prog="python -m tests.planted")
    parser.add_argument("--rule", type=int, choices=RULES, help="only the bugs of this rule")
    parser.add_argument("--jobs", type=int, default=2, help="how many at a time")
    options = parser.parse_args()
    began = time.monotonic()
    try:
        bugs = all_bugs(options.rule)
        missing = [n for n in RULES if options.rule in (None, n) and n not in {bug.rule for bug in bugs}]
        survivors = run_all(bugs, options.jobs) if bugs else 0
    except (DoesNotApply, Unusable) as error:
        say(str(error))
        return 1
    rules = len({bug.rule for bug in bugs})
    say(f"{len(bugs) - survivors} of {len(bugs)} bugs of {rules} rules caught in {time.monotonic() - began:.0f} s")
    if missing:
        say(f"rules without a planted bug: {', '.join(map(str, missing))}")
    return 1 if survivors or missing else 0


if __name__ == "__main__":
    sys.exit(main())
