"""Figures as lines: a value, its unit, the target beside it. A table for people, JSON for programs."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import psutil

from libs.client.rendering.page import show_table


@dataclass(frozen=True)
class Target:
    """What must be reached: at least `floor`, or at most `ceiling`."""

    floor: float | None = None
    ceiling: float | None = None

    def met(self, value: float) -> bool:
        """Is it reached?"""
        return (self.floor is None or value >= self.floor) and (self.ceiling is None or value <= self.ceiling)

    def __str__(self) -> str:
        return f">= {self.floor:,.10g}" if self.floor is not None else f"<= {self.ceiling:,.10g}"


@dataclass(frozen=True)
class Line:
    """One figure. `note` says what one must know to read it."""

    name: str
    value: float
    unit: str
    target: Target | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Is the target reached? None = it has none."""
        return None if self.target is None else self.target.met(self.value)


@dataclass
class Section:
    """One of the figures (a) to (h): its lines, or what kept it from having any."""

    letter: str
    title: str
    lines: list[Line] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)  # for the JSON only

    def add(self, name: str, value: float, unit: str, target: Target | None = None, note: str = "") -> None:
        """One more line."""
        self.lines.append(Line(name, value, unit, target, note))


def print_section(section: Section) -> None:
    """For people. A run that failed its check has no figure, only the reason."""
    say(f"\n({section.letter}) {section.title}")
    if section.lines:
        show_table(("figure", "value", "unit", "target", "", ""), [_cells(line) for line in section.lines])
    for note in section.notes:
        say(f"    {note}")
    for failure in section.failures:
        say(f"    NO FIGURE: {failure}")


def _cells(line: Line) -> tuple[str, ...]:
    met = {True: "met", False: "MISSED", None: ""}[line.met]
    return line.name, number(line.value), line.unit, str(line.target or ""), met, line.note


def number(value: float) -> str:
    """As many digits as say something."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def say(text: str) -> None:
    """A line on the standard output."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def tell(text: str) -> None:
    """What is going on now, for whoever waits."""
    sys.stderr.write(f"... {text}\n")
    sys.stderr.flush()


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    return {
        "cores": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "system": platform.platform(),
        "python": platform.python_version(),
        "load_before": os.getloadavg()[0],
    }


def to_json(file: Path, options: dict[str, Any], facts: dict[str, Any], sections: Sequence[Section]) -> None:
    """Write everything to a file."""
    document = {
        "machine": facts,
        "options": options,
        "sections": [
            {
                "figure": section.letter,
                "title": section.title,
                "lines": [
                    {
                        "name": line.name, "value": line.value, "unit": line.unit, "met": line.met, "note": line.note,
                        "target": None if line.target is None else str(line.target),
                    }
                    for line in section.lines
                ],
                "notes": section.notes,
                "failures": section.failures,
                "details": section.details,
            }
            for section in sections
        ],
    }  # fmt: skip
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n")
