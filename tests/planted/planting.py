"""A planted bug: one passage of one file, and what it is replaced by. Each is a small TOML file in `bugs/`."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

BUGS = Path(__file__).parent / "bugs"


class Bug(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`rule` is broken by putting `replace` where `file` says `search`; tests of `tests` (paths) that carry the
    rule's number must then fail."""

    rule: int
    title: str
    file: str
    search: str
    replace: str
    tests: tuple[str, ...]

    @property
    def needs_servers(self) -> bool:
        """Do its tests ask the real Kafka and PostgreSQL?"""
        return any(path.startswith("tests/integration") for path in self.tests)


class DoesNotApply(Exception):
    """The code has changed: the bug must be planted anew, or it shows nothing."""


def all_bugs(rule: int | None = None) -> list[Bug]:
    """The bugs of one rule, or of all, in their order."""
    found = [_read(path) for path in sorted(BUGS.glob("*.toml"))]
    return [bug for bug in found if rule is None or bug.rule == rule]


def _read(path: Path) -> Bug:
    try:
        bug = msgspec.convert(tomllib.loads(path.read_text()), Bug)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise DoesNotApply(f"{path.name}: {error}") from error
    if not path.name.startswith(f"{bug.rule:02}_"):
        raise DoesNotApply(f"{path.name} breaks rule {bug.rule}: its name must begin with that")
    return bug


def planted(bug: Bug, root: Path) -> str:
    """The file with the bug in it. Raises DoesNotApply unless its passage is there exactly once."""
    text = (root / bug.file).read_text()
    times = text.count(bug.search)
    if times != 1 or bug.search == bug.replace:
        raise DoesNotApply(
            f"rule {bug.rule}, '{bug.title}', does not apply any more: {bug.file} has its passage {times} times"
        )
    return text.replace(bug.search, bug.replace)


@contextmanager
def plant(bug: Bug, root: Path) -> Iterator[None]:
    """The bug is there for a while."""
    path = root / bug.file
    sound, broken = path.read_text(), planted(bug, root)
    path.write_text(broken)
    try:
        yield
    finally:
        path.write_text(sound)
