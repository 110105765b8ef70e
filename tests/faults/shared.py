"""One running system per shape for all tests that leave it whole. A test that fails leaves a new one to the next."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from libs.stack.folders import home
from libs.stack.scratch import scratch
from libs.stack.shapes import Plan, Row
from services.table import DECIDERS
from tests.faults.building import build, tear_down
from tests.faults.rig import LANES, Rig

T = TypeVar("T")


class Shared:
    """Builds the system when it is first wanted, and again after a test that did not prove it whole."""

    def __init__(self, root: Path, shape: str) -> None:
        self._root, self._shape = root, shape
        self._rig: Rig | None = None
        self._builds = 0

    def rig(self) -> Rig:
        """A system that is whole."""
        if self._rig is not None and not self._rig.proven:
            self.close()
        if self._rig is None:
            self._builds += 1
            root = self._root / str(self._builds)
            self._rig = in_thread(build(root, Plan(self._shape, lanes=LANES), usual(self._shape)))
        self._rig.proven = False
        return self._rig

    def close(self) -> None:
        """Stop it."""
        if self._rig is not None:
            rig, self._rig = self._rig, None
            in_thread(tear_down(rig))


@contextmanager
def shared(shape: str) -> Iterator[Shared]:
    """Systems of one shape in a folder of their own, gone afterwards."""
    with scratch(home() / "tests") as root:
        one = Shared(root, shape)
        try:
            yield one
        finally:
            one.close()


def usual(shape: str) -> tuple[str, ...]:
    """The processes that a system needs to work and to be looked at."""
    workers = ("w1", "w2") if shape == "colocated" else DECIDERS
    return (*workers, "control", "status")


def one_more(rig: Rig, service: str = "execution") -> Row:
    """A process that can do the same as those that run: another worker, or another process of a service."""
    if rig.system.plan.shape == "colocated":
        return Row("w3", ("services", "--host", ",".join(DECIDERS)), "deedbook")
    return Row(f"{service}-2", (f"services.{service}",), f"deedbook_{service}")


def in_thread(work: Coroutine[Any, Any, T]) -> T:
    """Runs it to its end in a thread of its own, whatever loop a test has."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()
