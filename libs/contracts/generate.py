"""Writes from `schemas/` the Python types (`events.py`), how they are read and written (`records.py`), and what each
topic may carry (`table.py`).

`python -m libs.contracts.generate` writes them; with `--check` it exits with 1 when they differ.
"""

from __future__ import annotations

import sys
from pathlib import Path

from libs.contracts import lock
from libs.contracts.emit_records import Emitter
from libs.contracts.emit_types import types_text
from libs.contracts.schemas import ROOT, load

HERE = Path(__file__).resolve().parent


def generated(root: Path = ROOT) -> dict[Path, str]:
    """File -> text, as a fresh generation would write it."""
    schemas = load(root)
    emitter = Emitter(lock.rows(root), schemas)
    return {
        HERE / "events.py": types_text(schemas),
        HERE / "records.py": emitter.records_text(),
        HERE / "table.py": emitter.table_text(),
    }


def main(arguments: list[str]) -> int:
    fresh = generated()
    stale = [path for path, text in fresh.items() if not path.exists() or path.read_text() != text]
    if "--check" in arguments:
        for path in stale:
            print(f"{path.name} differs from schemas/: run python -m libs.contracts.generate")
        return 1 if stale else 0
    for path in stale:
        path.write_text(fresh[path])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
