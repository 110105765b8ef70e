"""Asks a tool server what it offers. The server's command runs in a program of its own, on this machine, as the
operator's file says: nothing else may name a command line."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import msgspec

from libs.client.ending import Exit, Failed
from libs.client.operating import servers_file
from libs.client.registry import Offered
from libs.governance.remedies import remedy

PROGRAM = "services.execution.discovery"
LIMIT_S = 45.0


def missing_from_file(profile: str) -> str:
    """The operator's file on this machine if it has no such server; "" = it has, or there is no such file here. Who
    reads it says what else is wrong with it."""
    file = Path(servers_file())
    try:
        servers = tomllib.loads(file.read_text(encoding="utf-8")).get("servers")
    except (OSError, ValueError):
        return ""
    return "" if isinstance(servers, dict) and profile in servers else str(file)


def discover(profile: str) -> list[Offered]:
    """The tools of a server, in the order of their names. Raises Failed with the code of why it cannot be asked."""
    file = servers_file()
    mend = f"Say in {file} how {profile} is started, or name another file in DEED_SERVERS_FILE; then ask again."
    if not Path(file).exists():
        raise Failed("SERVERS_FILE_MISSING", f"there is no file {file}", mend)
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
        raise Failed(code, reason, told or mend)
    return msgspec.json.decode(ended.stdout, type=list[Offered])
