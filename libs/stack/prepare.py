"""What servers must have before the first process starts: topics and databases; for a laptop, keys of its own as well.

python -m libs.stack.prepare KEYS       for `docker compose`: on the servers that the environment names
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from libs.runtime import devkeys
from libs.stack.databases import create_database
from libs.stack.errors import StackError
from libs.stack.moving import move
from libs.stack.shapes import SHAPES, Plan
from libs.stack.stack import Endpoints
from libs.stack.topics import LANES, create_topics


async def prepare(ends: Endpoints, plan: Plan) -> None:
    """Makes what is missing, checks what is there, and brings the tables along when the shape has changed."""
    databases = (create_database(ends.postgres_dsn, name) for name in plan.databases)
    await asyncio.gather(create_topics(ends.kafka_bootstrap, plan.lanes), *databases)
    await move(ends.postgres_dsn, plan.shape)


def main(arguments: list[str]) -> int:
    """Returns the exit status."""
    try:
        ends = Endpoints(os.environ["DEED_KAFKA_BOOTSTRAP"], os.environ["DEED_DATABASE_URL"])
    except KeyError as missing:
        sys.stderr.write(f"{missing.args[0]} is not set.\n")
        return os.EX_CONFIG
    plan = Plan(os.environ.get("DEED_SHAPE", SHAPES[0]), lanes=int(os.environ.get("DEED_LANES", LANES)))
    try:
        asyncio.run(prepare(ends, plan))
    except StackError as error:
        sys.stderr.write(f"{error}\n")
        return os.EX_UNAVAILABLE
    devkeys.ensure(Path(arguments[0]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
