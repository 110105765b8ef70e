"""A copy of the checkout in which bugs are planted, and runs of its tests by the checkout's own Python."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
LIMIT_S = 150.0
PASSED, FAILED = 0, 1
_FAILED = re.compile(r"^FAILED (.+?)(?: - .*)?$", re.MULTILINE)


class Unusable(Exception):
    """The copy cannot show anything."""


@dataclass(frozen=True)
class Run:
    """How a run of tests ended. `code` None: not within the limit."""

    code: int | None
    failed: tuple[str, ...]
    output: str


class Copy:
    """The files of the checkout as they are now, but for what git ignores, elsewhere."""

    def __init__(self, root: Path, env: Mapping[str, str]) -> None:
        self.root = root
        # Python must not trust a compiled file by the age and size of its source: bugs come and go within a second.
        own = {"PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
        self._env = {**{k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}, **env, **own}
        listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(listing, cwd=CHECKOUT, check=True, capture_output=True).stdout
        for name in filter(None, listed.decode().split("\0")):
            if (CHECKOUT / name).is_file():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(CHECKOUT / name, root / name)
        compiling = ["-m", "compileall", "-q", "--invalidation-mode", "checked-hash", "libs", "services"]
        subprocess.run([sys.executable, *compiling], cwd=root, check=True, env=self._env)
        self._must_be_imported()

    def _must_be_imported(self) -> None:
        """The checkout itself is installed in this Python: its code would be sound whatever is planted here."""
        asking = "import libs.ledger.worker as a, services.table as b; print(a.__file__, b.__file__)"
        found = subprocess.run(
            [sys.executable, "-c", asking], cwd=self.root, env=self._env, check=True, capture_output=True, text=True
        )
        if any(not path.startswith(f"{self.root}{os.sep}") for path in found.stdout.split()):
            raise Unusable(f"tests in {self.root} import {found.stdout.strip()}")

    def test(self, paths: Sequence[str], rule: int = 0) -> Run:
        """Run the tests below these paths that carry the number of the rule (0 = of any), up to the first failure."""
        ours = ["-p", "tests.planted.selecting", "--rule", str(rule), "-p", "no:cacheprovider"]
        quiet = ["-q", "-x", "--no-header", "--tb=short", "-rfE"]
        process = subprocess.Popen(
            [sys.executable, "-m", "pytest", *ours, *quiet, *paths],
            cwd=self.root, env=self._env, text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            output, _ = process.communicate(timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
            return Run(None, (), output)
        return Run(process.returncode, tuple(_FAILED.findall(output)), output)
