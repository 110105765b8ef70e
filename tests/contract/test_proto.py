"""The gRPC contracts follow buf's rules, what is committed is what they say, and each method is asked for somewhere."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

from libs.contracts import protogen


def test_the_contracts_pass_buf_lint_with_a_comment_on_everything() -> None:
    buf = Path(sys.executable).with_name("buf")
    said = subprocess.run([buf, "lint", protogen.SOURCE], capture_output=True, text=True, check=False)
    assert (said.returncode, said.stdout, said.stderr) == (0, "", "")


def test_the_generated_code_is_what_the_contracts_say() -> None:
    assert protogen.differing(protogen.generate()) == []


def test_folder_package_and_version_are_one() -> None:
    for path in protogen.SOURCE.rglob("*.proto"):
        package = ".".join(path.parent.relative_to(protogen.SOURCE).parts)
        assert f"\npackage {package};\n" in path.read_text(), path


def test_every_module_can_be_imported_under_its_own_name() -> None:
    modules = list(protogen.TARGET.rglob("*_pb2*.py"))
    assert len(modules) >= 10
    for path in modules:
        importlib.import_module(".".join(path.relative_to(protogen.ROOT).with_suffix("").parts))
