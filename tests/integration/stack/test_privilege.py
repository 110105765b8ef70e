"""PostgreSQL refuses root, and everybody must be able to run it: each way is tried for real where it exists."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import pytest

from libs.stack import privilege
from libs.stack.folders import Folder, home
from libs.stack.ports import Ports
from libs.stack.postgres import Postgres, programs
from libs.stack.scratch import scratch

pytestmark = pytest.mark.integration
PROGRAM = """
import asyncio, sys
from pathlib import Path
import asyncpg
from libs.stack.folders import Folder
from libs.stack.ports import Ports
from libs.stack.postgres import Postgres

async def ask(dsn):
    connection = await asyncpg.connect(dsn)
    print(await connection.fetchval("select 6 * 7"))
    await connection.close()

folder = Folder(Path(sys.argv[1]))
folder.create()
server = Postgres(folder, Ports(folder.ports))
asyncio.run(ask(server.start()))
server.stop()
"""


@pytest.fixture
def folder() -> Iterator[Folder]:
    with scratch(home() / "tests") as root:
        made = Folder(root)
        made.create()
        yield made


async def runs(server: Postgres) -> bool:
    """Two starts on the same data, so that what the first one left belongs to the right user."""
    for _ in range(2):
        try:
            connection = await asyncpg.connect(server.start())
            answer = await connection.fetchval("select 6 * 7")
            await connection.close()
        finally:
            server.stop()
    return bool(answer == 42)


@pytest.mark.skipif(os.geteuid() != 0, reason="for root only: an ordinary user needs no way around")
@pytest.mark.parametrize("way", [privilege.way, privilege.other_user])
async def test_root_runs_postgres_without_being_root(
    folder: Folder, way: Callable[[Path, Path], privilege.Way]
) -> None:
    if way is privilege.other_user and shutil.which("setpriv") is None:
        pytest.skip("setpriv is not installed")
    assert await runs(Postgres(folder, Ports(folder.ports), way))


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("setpriv") is None, reason="for root with setpriv only")
async def test_programs_and_data_that_only_root_can_reach_are_no_obstacle(folder: Folder) -> None:
    package = programs().parent.parent
    hidden = folder.root / "site-packages"
    for part in (package, package.with_name(f"{package.name}.libs")):
        shutil.copytree(part, hidden / part.name, symlinks=True, ignore=shutil.ignore_patterns("pginstall"))
    place = privilege.elsewhere(folder.postgres)
    there = hidden / programs().relative_to(package.parent)
    assert await runs(Postgres(folder, Ports(folder.ports), lambda data, _: privilege.other_user(data, there)))
    assert place.stat().st_mode & 0o077 == 0
    assert (place / "programs").is_dir()


@pytest.mark.skipif(os.geteuid() == 0 and not privilege.namespace(), reason="user namespaces are off here")
@pytest.mark.parametrize("user", ["nobody", "nameless"])
def test_an_ordinary_user_runs_postgres(folder: Folder, user: str) -> None:
    uid = 4242 if user == "nameless" else pwd.getpwnam(user).pw_uid
    ordinary = ("unshare", "--user", f"--map-user={uid}", f"--map-group={uid}") if os.geteuid() == 0 else ()
    program = [*ordinary, sys.executable, "-c", PROGRAM, str(folder.root / "home")]
    said = subprocess.run(program, capture_output=True, text=True, check=False, timeout=60)
    assert said.stdout == "42\n", said.stderr
