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
    """Print a table; 1 when a rule has no test."""
    rules, capabilities = marked("rule"), marked("requirement")
    for number in RULES:
        sys.stdout.write(f"rule {number:>2}  {', '.join(sorted(rules[number])) or 'NO TEST'}\n")
    without = [name for name in CAPABILITIES if name not in capabilities]
    sys.stdout.write(f"capabilities without an acceptance test that carries their id: {', '.join(without) or 'none'}\n")
    return 0 if all(rules[number] for number in RULES) else 1


if __name__ == "__main__":
    sys.exit(main())
