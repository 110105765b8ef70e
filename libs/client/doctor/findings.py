"""What a look at something found."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Level(StrEnum):
    """How bad it is: `bad` means that something does not work, or that a promise cannot be kept."""

    OK = "ok"
    WARN = "warn"
    BAD = "bad"


class Finding(msgspec.Struct, frozen=True):
    """One line. `mend` "" = there is nothing to do."""

    area: str
    about: str
    level: Level
    said: str
    mend: str = ""


def ok(area: str, about: str, said: str) -> Finding:
    return Finding(area, about, Level.OK, said)


def warn(area: str, about: str, said: str, mend: str) -> Finding:
    return Finding(area, about, Level.WARN, said, mend)


def bad(area: str, about: str, said: str, mend: str) -> Finding:
    return Finding(area, about, Level.BAD, said, mend)
