"""What a tool server of the operator's file offers, for whoever registers its tools: a program of its own, since it
runs the server's command with nothing of Deedbook around it.

    DEED_SERVERS_FILE=servers.toml python -m services.execution.discovery git

Prints a JSON list of {name, definition, hash}; the definition is canonical JSON text and the hash its SHA-256. Ends
with 1 and `CODE: reason` when the server cannot be asked.
"""

from __future__ import annotations

import asyncio
import os
import sys

import msgspec

from libs.runtime.logs import configure
from libs.runtime.settings import SettingsError
from services.execution.adapters.profiles import load_profiles
from services.execution.adapters.warm import discover, unknown_profile
from services.execution.ports import NotReady

ANSWER_BYTES_MAX = 4 << 20
TIMEOUT_MS = 15_000


def main(arguments: list[str]) -> int:
    """Returns the exit status."""
    (name,) = arguments
    configure("discovery", "ERROR")
    try:
        profile = load_profiles(os.environ.get("DEED_SERVERS_FILE", "")).get(name)
        if profile is None:
            raise unknown_profile(name)
        found = asyncio.run(discover(profile, ANSWER_BYTES_MAX, TIMEOUT_MS))
    except NotReady as error:
        sys.stderr.write(f"{error.code}: {error.reason}\n")
        return 1
    except SettingsError as error:
        sys.stderr.write(f"SETTING_WRONG: {error}\n")
        return 1
    offered = [{"name": one.name, "definition": one.json, "hash": one.hash.hex()} for one in found]
    sys.stdout.write(msgspec.json.encode(offered).decode() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
