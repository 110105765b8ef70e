"""The codec as machine code: `python -m libs.contracts.compiling`, which `make` runs after each change.

The strict codec is plain Python and works as such. mypyc (part of mypy) makes an extension module of the same two
files, which Python prefers where it lies beside them: a record is then read in less than half the time. Without a C
compiler nothing is lost but that.
"""

from __future__ import annotations

import re
import shutil
import sys
import sysconfig
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
SOURCES = (FOLDER / "avro.py", FOLDER / "records.py")


def digest() -> str:
    """Names the shared part, so that two checkouts in one environment each find their own."""
    return sha256(b"".join(path.read_bytes() for path in SOURCES)).hexdigest()[:12]


def clean(shared: Path) -> None:
    """Remove what an earlier run for this checkout has made; others may use the same environment."""
    for path in (*FOLDER.glob("avro.*.so"), *FOLDER.glob("records.*.so")):
        for name in set(re.findall(rb"deedbook_codec_[0-9a-f]{12}", path.read_bytes())):
            for part in shared.glob(f"{name.decode()}*.so"):
                part.unlink()
        path.unlink()


def build(shared: Path) -> None:
    """Put the modules beside their sources and their common part into `shared`, a folder that Python imports from."""
    from mypyc.build import mypycify
    from setuptools import Distribution
    from setuptools.command.build_ext import build_ext

    names = [str(path.relative_to(ROOT)) for path in SOURCES]
    with TemporaryDirectory() as made:
        options = ["--config-file", str(ROOT / "pyproject.toml"), "--cache-dir", f"{made}/mypy", *names]
        modules = mypycify(
            options, opt_level="2", debug_level="0", group_name=f"deedbook_codec_{digest()}", target_dir=f"{made}/c"
        )
        command = build_ext(Distribution({"ext_modules": modules}))
        command.build_lib, command.build_temp = f"{made}/lib", f"{made}/temp"
        command.ensure_finalized()
        command.run()
        clean(shared)
        for path in (Path(made) / "lib").rglob("*.so"):
            beside = path.parent != Path(made) / "lib"
            shutil.copy2(path, FOLDER if beside else shared)


def main(arguments: list[str]) -> None:
    """Compile; say in one sentence why not, if that is so."""
    shared = Path(arguments[0]) if arguments else Path(sysconfig.get_path("purelib"))
    clean(shared)
    try:
        build(shared)
    except Exception as error:  # noqa: BLE001 - whatever a compiler says; the codec works without it
        print(f"The codec stays plain Python and is slower: {type(error).__name__}: {error}")


if __name__ == "__main__":
    main(sys.argv[1:])
