"""The control service: a lane service with one lane, the only writer of `ledger.control`."""

from __future__ import annotations

from libs.runtime.hosting import Given, host
from libs.runtime.process import Process, run
from services.table import TABLE


async def main(process: Process) -> None:
    """Decide on what people want to change, until told to stop."""
    await host(process, [TABLE["control"]], Given(lanes=1))


if __name__ == "__main__":
    run("control", main)
