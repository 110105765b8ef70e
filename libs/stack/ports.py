"""Free ports of the loopback address, remembered per data folder.

They lie below 32768: above, the system hands them out to outgoing connections, and a client that reconnects to a dead
server there can be given that very port, connect to itself and keep the server from binding it again.
"""

from __future__ import annotations

import json
import os
import random
import socket
from pathlib import Path

from libs.stack.errors import StartFailed

FIRST, LAST = 20_000, 32_000
TRIES = 200


class Ports:
    """name -> port. A remembered port is given again as long as nobody else listens on it."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._known: dict[str, int] = _read(file)
        # Folders start at different places, so that stacks that start at the same moment rarely want the same port.
        self._random = random.Random(f"{file}:{os.getpid()}")

    def get(self, name: str) -> int:
        """The port of `name`, free at this moment."""
        port = self._known.get(name)
        if port is not None and is_free(port):
            return port
        self._known[name] = self._pick()
        self._write()
        return self._known[name]

    def _pick(self) -> int:
        taken = set(self._known.values())
        for _ in range(TRIES):
            port = self._random.randint(FIRST, LAST)
            if port not in taken and is_free(port):
                return port
        raise StartFailed(f"No free port was found between {FIRST} and {LAST}: stop what listens there.")

    def _write(self) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._file.with_suffix(".new")
        fresh.write_text(json.dumps(self._known, indent=1, sort_keys=True))
        fresh.replace(self._file)


def is_free(port: int) -> bool:
    """Whether a server could bind 127.0.0.1:port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def is_listening(port: int) -> bool:
    """Whether somebody accepts connections on 127.0.0.1:port."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _read(file: Path) -> dict[str, int]:
    try:
        found = json.loads(file.read_text())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return {}
    return {str(name): int(port) for name, port in found.items()}
