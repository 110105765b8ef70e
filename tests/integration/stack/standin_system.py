"""A supervisor over stand-ins: `python -m tests.integration.stack.standin_system FOLDER NAME...`. The servers are those
of KAFKA and POSTGRES in the environment, its own when these are empty."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from libs.stack.shapes import Plan, Row
from libs.stack.stack import Stack
from libs.stack.supervisor import supervise


def rows(names: list[str]) -> list[Row]:
    return [Row(name, ("tests.integration.stack.standin",), "deedbook", name == "gateway") for name in names]


if __name__ == "__main__":
    stack = Stack(Path(sys.argv[1]), os.environ["KAFKA"], os.environ["POSTGRES"])
    asyncio.run(supervise(Plan(), stack, rows=rows(sys.argv[2:])))
