"""What keeps the project easy to read, as far as ruff does not look at it: lengths, names, and where a thing stands."""

from __future__ import annotations

import ast
from pathlib import Path

from services.table import TABLE
from tests.ids import TESTS

ROOT = TESTS.parent
FOLDERS = ("benchmarks", "deedbook", "examples", "libs", "services", "tests")
GENERATED = {ROOT / "libs/contracts" / name for name in ("events.py", "records.py", "table.py")}
FILES = [
    path
    for folder in FOLDERS
    for path in sorted((ROOT / folder).rglob("*.py"))
    if path not in GENERATED and "proto" not in path.parts
]
LINES_MAX, FUNCTION_LINES_MAX = 300, 70
# Files that are longer, each with its reason; they have no more than a tenth more.
LONGER = {
    "tests/integration/client/test_commands.py": "what people type at one running system, which takes a while to start",
    "tests/endings/test_endings.py": "every ending of the flow is told in one table",
    "tests/integration/mcp/test_mcp_http.py": "every way in which a server over HTTP answers stands side by side",
}
SAYS_NOTHING = {"base", "common", "core", "helpers", "manager", "misc", "util", "utils"}


def shown(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


def test_no_file_is_longer_than_a_reader_can_hold() -> None:
    assert len(FILES) > 400
    long = {
        str(path.relative_to(ROOT)): lines
        for path in FILES
        if (lines := len(path.read_text().splitlines())) > LINES_MAX
    }
    assert [name for name, lines in long.items() if name not in LONGER or lines > LINES_MAX * 1.1] == []


def test_no_function_is_longer_than_a_screen() -> None:
    long = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno >= FUNCTION_LINES_MAX
    ]
    assert long == []


def test_every_name_says_something() -> None:
    assert shown([path for path in FILES if {path.stem, path.parent.name} & SAYS_NOTHING]) == []


def test_every_service_has_the_files_that_a_reader_looks_for() -> None:
    projections = {name for name, service in TABLE.items() if service.writes is None}
    missing = [
        f"services/{name}/{file}"
        for name in TABLE
        for file in ("__main__.py", "view.py" if name in projections else "decider.py")
        if not (ROOT / "services" / name / file).is_file()
    ]
    assert missing == []
