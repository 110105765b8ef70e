"""(f) From `deed up` to ready, as a person sees it."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

from benchmarks.report import Section, Target, tell
from benchmarks.rig import NAMES
from libs.stack.folders import checkout, home
from libs.stack.scratch import scratch

READY = Target(ceiling=10.0)
UP_S, DOWN_S = 150.0, 120.0


async def measure(shapes: tuple[str, ...]) -> Section:
    """Twice for each shape: in an empty folder, and again with the data of the first time. Downloads are cached."""
    section = Section("f", "from `deed up` to ready, warm (downloads cached)")
    for shape in shapes:
        with scratch(home() / "bench") as root:
            try:
                for what in ("empty folder", "again"):
                    tell(f"deed up --shape {shape}: {what}")
                    seconds = await _deed(root, UP_S, "up", "--shape", shape)
                    section.add(f"{NAMES[shape]}, {what}", seconds, "s", READY)
                    await _deed(root, DOWN_S, "down")
            except RuntimeError as error:
                section.failures.append(str(error))
            finally:
                await _quietly_down(root)
    return section


async def _quietly_down(root: Path) -> None:
    try:
        await _deed(root, DOWN_S, "down")
    except RuntimeError as error:
        tell(str(error))


async def _deed(root: Path, patience_s: float, *words: str) -> float:
    """Run the command line as a person would; the seconds it took. Raises RuntimeError with what it said."""
    began = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "libs.client.cli", *words,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, cwd=checkout(),
        env={**os.environ, "DEED_HOME": str(root)},
    )  # fmt: skip
    try:
        async with asyncio.timeout(patience_s):
            said, _ = await process.communicate()
    except TimeoutError:
        raise RuntimeError(f"`deed {' '.join(words)}` took more than {patience_s:g} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise RuntimeError(f"`deed {' '.join(words)}` failed: {said.decode(errors='replace').strip()[-300:]}")
    return time.monotonic() - began
