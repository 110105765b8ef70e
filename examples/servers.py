"""Real MCP servers for the demo and the tests, in an environment of their own: `python -m examples.servers` makes it
(once, from `servers.lock`, every file checked by its hash) and prints where it is."""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
from pathlib import Path

from libs.stack.folders import cache

LOCK = Path(__file__).with_name("servers.lock")
SQLITE_LOCK = Path(__file__).with_name("sqlite.lock")
TIMEOUT_S = 600


class ServersError(Exception):
    """The environment cannot be made. The text says what failed."""


def ensure(locked: Path = LOCK) -> Path:
    """The folder with the programs of a lock file. Safe to call from several processes at once. Raises ServersError."""
    name = hashlib.sha256(locked.read_bytes() + sys.version.encode()).hexdigest()[:12]
    place = cache() / f"mcp-servers-{name}"
    programs, done = place / "bin", place / ".done"
    place.mkdir(parents=True, exist_ok=True)
    with place.with_suffix(".lock").open("w") as lock:  # beside it: uv has a lock of its own inside
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            _uv("venv", "--allow-existing", "--python", sys.executable, str(place))
            _uv("pip", "sync", "--require-hashes", "--python", str(programs / "python"), str(locked))
            done.touch()
    return programs


def _uv(*words: str) -> None:
    program = Path(sys.executable).with_name("uv")
    if not program.exists():
        raise ServersError(f"{program} is missing: run `make setup` first")
    environment = {**os.environ, "UV_PYTHON_DOWNLOADS": "never", "UV_COMPILE_BYTECODE": "1"}
    ended = subprocess.run(
        [program, "--quiet", *words], env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    if ended.returncode:
        raise ServersError(f"`uv {' '.join(words[:2])}` failed: {ended.stderr.strip()[-500:]}")


if __name__ == "__main__":
    try:
        sys.stdout.write(f"{ensure()}\n")
    except ServersError as error:
        sys.exit(str(error))
