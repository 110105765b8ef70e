"""What is shown: lines and tables, coloured on a terminal, plain in a pipe. What others wrote (reasons, names,
arguments) is never taken for markup or for control characters of the terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

GAP = "  "
WORD_MAX = 36  # characters of an id


class Words(NamedTuple):
    """A piece of text and how it looks on a terminal: a style of rich, "" = as usual."""

    text: str
    style: str = ""


Cell = str | Words


@dataclass(frozen=True)
class Line:
    """One line, of pieces that follow each other without a gap."""

    parts: tuple[Cell, ...]


@dataclass(frozen=True)
class Grid:
    """Rows under headings. Without headings: pairs of a name and a value."""

    headings: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


Page = Sequence[Line | Grid]


def line(*parts: Cell) -> Line:
    """A line."""
    return Line(parts)


def heading(text: str) -> tuple[Line, Line]:
    """What a part of a page begins with."""
    return Line(()), Line((Words(text, "bold"),))


def visible(text: str) -> str:
    """The text with what cannot be seen written out: it could change what is read around it."""
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)


def plain(page: Page) -> Iterator[str]:
    """The lines for a pipe."""
    for part in page:
        if isinstance(part, Line):
            yield "".join(_text(cell) for cell in part.parts).rstrip()
            continue
        rows = [tuple(map(_text, row)) for row in part.rows]
        rows = [part.headings, *rows] if part.headings else rows
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))] if rows else []
        for row in rows:
            yield GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def put(page: Page) -> None:
    """Print it, as whoever reads it is."""
    if not sys.stdout.isatty():
        sys.stdout.writelines(f"{text}\n" for text in plain(page))
        sys.stdout.flush()
        return
    from rich.console import Console

    console = Console(highlight=False, markup=False, emoji=False)
    for part in page:
        console.print(
            _rich_line(part) if isinstance(part, Line) else _rich_grid(part), soft_wrap=isinstance(part, Line)
        )


def show_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under headings."""
    put([Grid(tuple(headings), tuple(map(tuple, rows)))])


def _rich_line(part: Line) -> Text:
    from rich.text import Text

    return Text.assemble(*(_rich(cell) for cell in part.parts))


def _rich_grid(part: Grid) -> Table:
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False, show_header=bool(part.headings))
    for n, _ in enumerate(part.rows[0] if part.rows else part.headings):
        style = "" if part.headings or n else "dim"
        title = part.headings[n] if part.headings else ""
        table.add_column(title, style=style, overflow="fold", no_wrap=_is_whole([_text(row[n]) for row in part.rows]))
    for row in part.rows:
        table.add_row(*map(_rich, row))
    return table


def _is_whole(cells: Sequence[str]) -> bool:
    """Ids, states and codes: a column of single words, of which none is copied or read in pieces."""
    return all(" " not in cell and len(cell) <= WORD_MAX for cell in cells)


def _rich(cell: Cell) -> Text:
    from rich.text import Text

    return Text(_text(cell), cell.style if isinstance(cell, Words) else "")


def _text(cell: Cell) -> str:
    return visible(cell.text if isinstance(cell, Words) else cell)
