"""Paths into JSON values: keys joined by dots, `*` for any key. Arrays are entered without being named, so `files.name`
is the name of each file. A path also covers everything below it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

Tree = dict[str, Any]  # of trees, by step
END = ""  # no step is empty: a rule ends here
PATH = re.compile(r"(\*|[A-Za-z0-9_-]+)(\.(\*|[A-Za-z0-9_-]+))*")


def select(value: Any, path: str) -> list[Any]:
    """All values at a path, those of arrays one by one; none if there is nothing there."""
    found = _items(value)
    for step in path.split("."):
        found = [
            one for item in found if isinstance(item, dict) for child in _children(item, step) for one in _items(child)
        ]
    return found


def select_text(value: Any, path: str) -> str:
    """The first plain value at a path as text; "" if there is none."""
    for found in select(value, path):
        if isinstance(found, str):
            return found
        if isinstance(found, int) and not isinstance(found, bool):
            return str(found)
    return ""


def leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The keys that lead to each plain value and each empty object. Kept apart, so that a dot in a key is no step."""
    for item in _items(value):
        if isinstance(item, dict) and item:
            for key, child in item.items():
                yield from leaves(child, (*path, key))
        else:
            yield path


def cover(rules: Sequence[str]) -> Callable[[tuple[str, ...]], bool]:
    """A test of keys: do they lead to the path of one of the rules, or below it? Arguments may have thousands of
    fields, so the rules are made a tree once."""
    tree: Tree = {}
    for rule in rules:
        node = tree
        for step in rule.split("."):
            node = node.setdefault(step, {})
        node[END] = {}
    return lambda keys: _leads(tree, keys)


def _leads(node: Tree, keys: tuple[str, ...]) -> bool:
    if END in node:
        return True
    below = (node.get(keys[0]), node.get("*")) if keys and node else ()
    return any(child is not None and _leads(child, keys[1:]) for child in below)


def _children(item: dict[str, Any], step: str) -> list[Any]:
    if step == "*":
        return list(item.values())
    return [item[step]] if step in item else []


def _items(value: Any) -> list[Any]:
    if not isinstance(value, list):
        return [value]
    return [one for item in value for one in _items(item)]
