"""Asks a tool server what it offers. The server's command runs in a program of its own, on this machine, as the
operator's file says: nothing else may name a command line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec

from libs.client.ending import Exit, Failed
from libs.client.operating import servers_file
from libs.client.registry import Offered
from libs.governance.remedies import remedy

PROGRAM = "services.execution.discovery"
LIMIT_S = 45.0
FILE = "Name the file with the tool servers in DEED_SERVERS_FILE, and run this where their programs are."


def discover(profile: str) -> list[Offered]:
    """The tools of a server, in the order of their names. Raises Failed with the code of why it cannot be asked."""
    file = servers_file()
    if not Path(file).exists():
        raise Failed("SERVERS_FILE_MISSING", f"there is no file {file}", FILE)
    try:
        ended = subprocess.run(
            [sys.executable, "-m", PROGRAM, profile], env=os.environ | {"DEED_SERVERS_FILE": file},
            capture_output=True, text=True, timeout=LIMIT_S, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise Failed("SERVER_SILENT", f"{profile} did not answer within {LIMIT_S:g} s", exit_code=Exit.AWAY) from None
    if ended.returncode != 0:
        last = (ended.stderr.strip().splitlines() or ["DISCOVERY_FAILED: it said nothing"])[-1]
        code, colon, reason = last.partition(": ")
        if not colon or not code.isupper():
            code, reason = "DISCOVERY_FAILED", last
        told = "" if code == "SERVER_UNKNOWN" else remedy(code)  # here it is the file that does not know it
        raise Failed(code, reason, told or FILE)
    return msgspec.json.decode(ended.stdout, type=list[Offered])
