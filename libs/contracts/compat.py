"""FULL_TRANSITIVE compatibility of restricted Avro: programs of any release read what programs of any other release
wrote, in both directions. So between two versions of a type a field may be added or dropped only if it has a default,
an enum may only grow at its end, and nothing changes its type.

`python -m libs.contracts.compat` compares schemas/ with every version ever released and exits with 1 on a break.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

from libs.contracts import lock
from libs.contracts.schemas import ROOT, Schema, inline, load, resolved


def breaks(old: Schema, new: Schema) -> list[str]:
    """Why programs that know one of two registered forms cannot read the other, each as `field.field: what`."""
    return list(_differences(resolved(old), resolved(new), ""))


def _differences(old: Any, new: Any, where: str) -> Iterator[str]:
    match old, new:
        case {"type": "record"}, {"type": "record"}:
            yield from _renamed(old, new, where)
            yield from _of_records(old, new, where)
        case {"type": "enum"}, {"type": "enum"}:
            yield from _renamed(old, new, where)
            yield from _of_enums(old, new, where)
        case {"type": "fixed"}, {"type": "fixed"}:
            yield from _renamed(old, new, where)
            if old["size"] != new["size"]:
                yield f"{where}: fixed({old['size']}) became fixed({new['size']})"
        case {"items": inside_old}, {"items": inside_new}:
            yield from _differences(inside_old, inside_new, f"{where}[]")
        case {"values": inside_old}, {"values": inside_new}:
            yield from _differences(inside_old, inside_new, f"{where}{{}}")
        case ["null", inside_old], ["null", inside_new]:
            yield from _differences(inside_old, inside_new, where)
        case _ if old != new:
            yield f"{where}: {_word(old)} became {_word(new)}"


def _renamed(old: Schema, new: Schema, where: str) -> Iterator[str]:
    names = [(schema["namespace"], schema["name"]) for schema in (old, new)]
    if names[0] != names[1]:
        yield f"{where}: {'.'.join(names[0])} became {'.'.join(names[1])}"


def _of_records(old: Schema, new: Schema, where: str) -> Iterator[str]:
    before = {field["name"]: field for field in old["fields"]}
    after = {field["name"]: field for field in new["fields"]}
    for name in before | after:
        place = f"{where}.{name}".lstrip(".")
        if name not in after and "default" not in before[name]:
            yield f"{place}: dropped, and programs that know it have no default for it"
        elif name not in before and "default" not in after[name]:
            yield f"{place}: added without a default for records that lack it"
        elif name in before and name in after:
            yield from _differences(before[name]["type"], after[name]["type"], place)


def _of_enums(old: Schema, new: Schema, where: str) -> Iterator[str]:
    kept, symbols = len(old["symbols"]), new["symbols"]
    if symbols[:kept] != old["symbols"]:
        yield f"{where}: an enum may only grow at its end"
    if symbols != old["symbols"] and "default" not in old:
        yield f"{where}: an enum without a default cannot grow"


def _word(node: Any) -> str:
    match node:
        case ["null", inner]:
            return f"nullable {_word(inner)}"
        case {"type": "array" | "map" as kind}:
            return str(kind)
        case {"name": name}:
            return str(name)
        case _:
            return str(node)


def violations(root: Path = ROOT) -> list[str]:
    """Breaks between any two of a type's versions, what is in schemas/ now being the last."""
    schemas = load(root)
    versions: dict[str, list[tuple[str, Schema]]] = {}
    for row in lock.rows(root):
        versions.setdefault(row.name, []).append((f"v{row.version}", row.schema))
    for name, forms in versions.items():
        if name in schemas:
            forms.append(("now", inline(name, schemas)))
    gone = [f"{name}: was released and is no longer in schemas/" for name in versions if name not in schemas]
    return gone + [
        f"{name} {before} -> {after}: {what}"
        for name, forms in versions.items()
        for (before, old), (after, new) in combinations(forms, 2)
        for what in breaks(old, new)
    ]


if __name__ == "__main__":
    found = violations()
    print("\n".join(found) or "every version can be read by every other")
    sys.exit(1 if found else 0)
