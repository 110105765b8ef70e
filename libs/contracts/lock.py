"""The pinned schema ids: `schemas/ids.lock.json` and `schemas/released/`, which keeps each version ever released.

`"deedbook.execution.ExecutionFailed": {"topics": ["ledger.execution"], "ids": {"1": 1037}, "writes": 1}`

A version, once released, never changes, and an id is never used for anything else. `writes` is the version that
programs write: a new one is shipped a release before it is written, so that every reader knows it by then.

`python -m libs.contracts.lock` releases what is new or changed in schemas/, under the next free ids.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from libs.contracts.schemas import ROOT, Schema, bare, inline, is_event, load

FIRST_ID = 1001  # below are ids that a registry gives out by itself
LEDGER = (
    "ledger.intake",
    "ledger.validation",
    "ledger.approval",
    "ledger.budget",
    "ledger.execution",
    "ledger.outcome",
    "ledger.control",
)
TOPICS_OF_FOLDER = {
    "intents": ("intents",),
    "home": ("intake.home",),
    "commands": ("commands",),
    "control_commands": ("control.commands",),
    "signals": ("signals",),
    "dead": ("dead.intake", "dead.validation", "dead.approval", "dead.budget", "dead.execution", "dead.control"),
}


class Row(msgspec.Struct, frozen=True):
    """One released version of a type that a topic may carry; `schema` in its registered form."""

    name: str
    version: int
    id: int
    topics: tuple[str, ...]
    written: bool
    schema: Schema


def topics_of(schema: Schema) -> tuple[str, ...]:
    """Where a type may appear: by its folder; shared events on every ledger topic; () = only inside others."""
    if schema["type"] != "record":
        return ()
    if schema["namespace"] == "deedbook":
        return LEDGER if is_event(schema) else ()
    folder = schema["namespace"].removeprefix("deedbook.")
    return TOPICS_OF_FOLDER.get(folder, (f"ledger.{folder}",))


def read(root: Path = ROOT) -> dict[str, Any]:
    path = root / "ids.lock.json"
    return dict(json.loads(path.read_text())) if path.exists() else {}


def released_path(root: Path, name: str, version: int | str) -> Path:
    return root / "released" / name / f"v{version}.avsc"


def rows(root: Path = ROOT) -> list[Row]:
    """Every released version, by name and version."""
    return [
        Row(
            name=name,
            version=int(version),
            id=number,
            topics=tuple(entry["topics"]),
            written=int(version) == entry["writes"],
            schema=json.loads(released_path(root, name, version).read_text()),
        )
        for name, entry in read(root).items()
        for version, number in entry["ids"].items()
    ]


def unreleased(root: Path = ROOT) -> dict[str, Schema]:
    """Types whose present form is not their latest released version (texts do not count), in registered form."""
    schemas, latest = load(root), {row.name: row.schema for row in rows(root)}
    fresh = {name: inline(name, schemas) for name, schema in schemas.items() if topics_of(schema)}
    return {name: form for name, form in fresh.items() if bare(form) != bare(latest.get(name, {}))}


def release(root: Path = ROOT) -> list[str]:
    """Gives ids to what is new or changed. A changed type goes on being written in its old version."""
    pinned, schemas, done = read(root), load(root), []
    next_id = max([FIRST_ID - 1, *(number for entry in pinned.values() for number in entry["ids"].values())]) + 1
    for name, form in unreleased(root).items():
        entry = pinned.setdefault(name, {"topics": list(topics_of(schemas[name])), "ids": {}, "writes": 1})
        version = len(entry["ids"]) + 1
        entry["ids"][str(version)] = next_id
        path = released_path(root, name, version)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(form, indent=1, ensure_ascii=False) + "\n")
        done.append(f"{name} v{version} = {next_id}")
        next_id += 1
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(pinned[name])}" for name in sorted(pinned))
    (root / "ids.lock.json").write_text(f"{{\n{lines}\n}}\n")
    return done


if __name__ == "__main__":
    print("\n".join(release()) or "nothing to release")
    sys.exit(0)
