"""Writes what a Schema Registry is to be told: `python -m libs.contracts.export DIR`.

`DIR/<id>.avsc` is the registered form under a pinned id; `DIR/index.json` says, for each, its subjects (topic and
record name, Confluent's TopicRecordNameStrategy: a topic of ours carries several types), version and id. A registry
takes chosen ids in IMPORT mode.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from libs.contracts import lock
from libs.contracts.schemas import ROOT


def export(target: Path, root: Path = ROOT) -> int:
    """Number of schemas written."""
    target.mkdir(parents=True, exist_ok=True)
    index = []
    for row in lock.rows(root):
        (target / f"{row.id}.avsc").write_text(json.dumps(row.schema, indent=1, ensure_ascii=False) + "\n")
        subjects = [f"{topic}-{row.name}" for topic in row.topics]
        index.append({"id": row.id, "version": row.version, "name": row.name, "subjects": subjects})
    (target / "index.json").write_text(json.dumps(index, indent=1) + "\n")
    return len(index)


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print("usage: python -m libs.contracts.export DIR")
        return 2
    print(f"{export(Path(arguments[0]))} schemas written to {arguments[0]}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
