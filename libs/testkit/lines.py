"""The lines that are logged meanwhile, as a process of ours would write them."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from libs.runtime.logs import configure


@contextmanager
def logged(process: str = "test") -> Iterator[list[dict[str, Any]]]:
    """Filled when it is over."""
    root, stream, lines = logging.getLogger(), io.StringIO(), list[dict[str, Any]]()
    before, level = root.handlers[:], root.level
    configure(process, "INFO", stream)
    try:
        yield lines
    finally:
        root.handlers[:] = before
        root.setLevel(level)
        lines += [json.loads(line) for line in stream.getvalue().splitlines()]
