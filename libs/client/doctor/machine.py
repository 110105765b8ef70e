"""This machine: Java for a local Kafka, and room for its data."""

from __future__ import annotations

import os
import shutil

from libs.client.doctor.findings import Finding, bad, ok, warn
from libs.stack import jars
from libs.stack.errors import StackError
from libs.stack.folders import home

FREE_BYTES_MIN = 2 << 30


def look() -> list[Finding]:
    """Java and disk; nothing where the servers are elsewhere."""
    if os.environ.get("DEED_KAFKA_BOOTSTRAP"):
        return []
    return [_java(), _disk()]


def _java() -> Finding:
    try:
        return ok("machine", "Java", jars.java())
    except StackError as error:
        return bad("machine", "Java", str(error), "Install a JRE, or set DEED_KAFKA_BOOTSTRAP.")


def _disk() -> Finding:
    folder = home()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    said = f"{free / (1 << 30):.1f} GiB free at {folder}"
    if free < FREE_BYTES_MIN:
        return warn("machine", "disk", said, "Make room: a ledger keeps everything for ever.")
    return ok("machine", "disk", said)
