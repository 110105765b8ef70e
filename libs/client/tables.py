"""Rows for a person: a table on a terminal, plain columns in a pipe."""

from __future__ import annotations

from collections.abc import Sequence

from libs.client.rendering.page import Grid, put


def show(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints rows under headings."""
    put([Grid(tuple(headings), tuple(map(tuple, rows)))])
