"""PostgreSQL refuses to run as root, or as a user without a name. This finds a way that needs no new user and no rights
beyond what is there."""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from libs.stack.errors import MissingTool

ORDINARY_USERS = ("postgres", "nobody")


@dataclass(frozen=True)
class Way:
    """`prefix` goes before the command; `place` is where data lives; `bin` is where the programs are;
    `owner` is the (uid, gid) that must own the data, None when it is ours."""

    prefix: tuple[str, ...]
    place: Path
    bin: Path
    owner: tuple[int, int] | None = None


def way(place: Path, programs: Path) -> Way:
    """How PostgreSQL's programs (in the folder `programs`) are run here, with data in or instead of `place`."""
    if os.geteuid() != 0 and _is_known(os.geteuid()):
        return Way((), place, programs)
    inside = namespace()
    if inside:
        return Way(inside, place, programs)
    return other_user(place, programs)


def namespace() -> tuple[str, ...]:
    """Inside a user namespace we are seen as an ordinary user, and the files stay ours outside. The user must have a
    name, since initdb looks it up. Empty when this machine does not allow it."""
    user = next((found for name in ORDINARY_USERS if (found := _user(name)) is not None), None)
    if user is None or shutil.which("unshare") is None:
        return ()
    prefix = ("unshare", "--user", f"--map-user={user.pw_uid}", f"--map-group={user.pw_gid}")
    return prefix if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode == 0 else ()


def other_user(place: Path, programs: Path) -> Way:
    """Runs as a user that exists already, in a folder which that user can reach."""
    user = next((found for name in ORDINARY_USERS if (found := _user(name)) is not None), None)
    if user is None or os.geteuid() != 0 or shutil.which("setpriv") is None:
        raise MissingTool(
            "PostgreSQL refuses to run as root or as a user without a name, and here are neither user namespaces"
            " (`unshare`) nor `setpriv`: run as an ordinary user, or set DEED_POSTGRES_DSN to a PostgreSQL that runs."
        )
    prefix = ("setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups")
    owner = (user.pw_uid, user.pw_gid)
    reachable = place
    if not _reaches(prefix, place, "-w"):
        # The checkout may lie below a folder that only root can enter.
        reachable = elsewhere(place)
        reachable.mkdir(mode=0o700, exist_ok=True)
        if reachable.stat().st_uid not in (0, user.pw_uid) or reachable.is_symlink():
            raise MissingTool(f"{reachable} belongs to somebody else: remove it, or run as an ordinary user.")
        os.chown(reachable, *owner)
    if not _reaches(prefix, programs / "postgres", "-x"):
        programs = _copied(programs, reachable)
    return Way(prefix, reachable, programs, owner)


def elsewhere(place: Path) -> Path:
    """Where PostgreSQL's data goes when the user that runs it cannot reach `place`."""
    return Path("/var/tmp") / f"deedbook-{hashlib.sha256(str(place).encode()).hexdigest()[:16]}"


def _copied(programs: Path, place: Path) -> Path:
    """The wheel's programs and libraries, where the user can reach them (only when they are not)."""
    package = programs.parent.parent
    target = place / "programs"
    for part in (package, package.with_name(f"{package.name}.libs")):
        if part.is_dir() and not (target / part.name).exists():
            fresh = target / f"{part.name}.new"
            shutil.rmtree(fresh, ignore_errors=True)
            shutil.copytree(part, fresh, symlinks=True, ignore=shutil.ignore_patterns("pginstall", "__pycache__"))
            fresh.replace(target / part.name)
    return target / programs.relative_to(package.parent)


def _reaches(prefix: tuple[str, ...], path: Path, how: str) -> bool:
    return subprocess.run([*prefix, "test", how, str(path)], capture_output=True, check=False).returncode == 0


def _user(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _is_known(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True
