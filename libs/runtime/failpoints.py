"""Named places at which a test may kill or stop this very process: `DEED_FAILPOINT=name[:nth[:action]]`, action `kill`
(SIGKILL) or `stop` (SIGSTOP). Without the variable `hit` does nothing and costs one call."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

NAMES = frozenset(
    f"{when}-{what}"
    for when in ("before", "after")
    for what in ("load", "commit", "publish", "ack", "started", "effect", "release")
)


def _nothing(name: str) -> None:
    """In production: no failpoint."""


def build(spec: str) -> Callable[[str], None]:
    """The function that acts when the named place was reached for the nth time. Raises ValueError for a wrong name."""
    name, _, rest = spec.partition(":")
    nth, _, action = rest.partition(":")
    if name not in NAMES:
        raise ValueError(f"DEED_FAILPOINT is wrong: no place is named {name!r}; there are {', '.join(sorted(NAMES))}")
    number = {"": signal.SIGKILL, "kill": signal.SIGKILL, "stop": signal.SIGSTOP}[action]
    left = int(nth or 1)

    def hit(reached: str) -> None:
        nonlocal left
        if reached == name:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), number)

    return hit


hit: Callable[[str], None] = build(os.environ["DEED_FAILPOINT"]) if os.environ.get("DEED_FAILPOINT") else _nothing
