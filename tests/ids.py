"""Which rules and capabilities have a test that carries their number: `python -m tests.ids` lists those without one."""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parent
RULES = tuple(range(1, 26))
CAPABILITIES = tuple(
    f"{letter}{number}"
    for letter, last in zip("ABCDEFGHIJKL", (7, 12, 7, 4, 3, 16, 7, 5, 5, 10, 12, 4), strict=True)
    for number in range(1, last + 1)
)

# What is built: a test must show each of these. The rest of the catalogue comes later.
BUILT = (
    "A1", "A2", "A3", "A6", "B1", "B2", "B3", "B4", "B5", "B7", "C1", "C2", "C3", "C4", "D1", "D3", "E1", "E2",
    "F1", "F2", "F3", "F5", "F6", "G1", "G4", "G5", "H1", "K3", "K7", "L1", "L3",
)  # fmt: skip


def marked(kind: str) -> dict[object, set[str]]:
    """Files by the number that a marker such as `@pytest.mark.rule(7)` or `requirement("A3")` carries."""
    found: dict[object, set[str]] = defaultdict(set)
    for path in sorted(TESTS.rglob("test_*.py")):
        for number in _numbers(ast.parse(path.read_text()), kind):
            found[number].add(str(path.relative_to(TESTS)))
    return found


def _numbers(tree: ast.AST, kind: str) -> Iterator[object]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == kind:
            yield from (argument.value for argument in node.args if isinstance(argument, ast.Constant))


def main() -> int:
    """Print a table; 1 when a rule, or a capability that is built, has no test."""
    rules, capabilities = marked("rule"), marked("requirement")
    for number in RULES:
        sys.stdout.write(f"rule {number:>2}  {', '.join(sorted(rules[number])) or 'NO TEST'}\n")
    without = [name for name in CAPABILITIES if name not in capabilities]
    sys.stdout.write(f"capabilities without an acceptance test that carries their id: {', '.join(without) or 'none'}\n")
    missing = [name for name in BUILT if name in without]
    if missing:
        sys.stdout.write(f"of these are built: {', '.join(missing)}\n")
    return 1 if missing or not all(rules[number] for number in RULES) else 0


if __name__ == "__main__":
    sys.exit(main())
