"""A worker that hosts any set of the deciding services: `python -m services --host intake,validation,...`.

co-located    all six in one process, as many identical processes as you like
separate      one service per process (`python -m services.budget` is short for `--host budget`)
"""

from __future__ import annotations

import argparse
import sys

from libs.runtime.process import Process, run
from libs.runtime.settings import StartRefused
from services.hosting import host_deciders
from services.table import DECIDERS


def main(arguments: list[str]) -> None:
    """Parse the command line and run the process."""
    parser = argparse.ArgumentParser(prog="python -m services", description=__doc__)
    parser.add_argument("--host", default=",".join(DECIDERS), help="services to host, separated by commas")
    names = parser.parse_args(arguments).host.split(",")

    async def work(process: Process) -> None:
        unknown = [name for name in names if name not in DECIDERS]
        if unknown:
            raise StartRefused(f"--host names unknown services: {', '.join(unknown)}; there are {', '.join(DECIDERS)}.")
        await host_deciders(process, [name for name in DECIDERS if name in names])

    run("worker" if len(names) > 1 else names[0], work)


if __name__ == "__main__":
    main(sys.argv[1:])
