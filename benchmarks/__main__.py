"""`python -m benchmarks`: all figures, each proven before it is printed. `--only a,b` for some, `--quick` to try."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from benchmarks import hostile, mcp_call, paced, ready, yardstick
from benchmarks.report import Section, machine, print_section, say, to_json
from benchmarks.rig import Setup
from benchmarks.sustained import RATIO, Sustained
from libs.stack.errors import StackError
from libs.stack.folders import home
from libs.stack.shapes import SHAPES, WORKERS

STOPPED = Event()  # by SIGTERM
LETTERS = "abcdefgh"
TITLES = {
    "a": "sustained deeds per second, everything on this machine",
    "b": "submit to outcome",
    "c": "time in each stage (p50)",
    "d": "CPU and memory per process",
    "e": "reading back",
    "h": "others beside a hostile submitter",
}


@dataclass(frozen=True)
class Options:
    """What was asked for."""

    only: str
    seconds: float
    paced_seconds: float
    warm_s: float
    shapes: tuple[str, ...]
    json: Path


def options(arguments: list[str]) -> Options:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", default=LETTERS, help="figures to measure, such as a,b (all: a to h)")
    parser.add_argument("--seconds", type=float, default=60.0, help="length of a sustained run (default 60)")
    parser.add_argument("--shape", choices=SHAPES, help="this shape only")
    parser.add_argument("--quick", action="store_true", help="short runs: a glance, no figures to quote")
    parser.add_argument("--json", type=Path, metavar="FILE", default=home() / "bench.json", help="where it is written")
    given = parser.parse_args(arguments)
    only = given.only.replace(",", "")
    if not only or set(only) - set(LETTERS):
        parser.error(f"--only takes letters of {LETTERS}")
    if not 1 <= given.seconds <= 3600:
        parser.error("--seconds must be between 1 and 3600")
    seconds = min(given.seconds, 10.0) if given.quick else given.seconds
    shapes = (given.shape,) if given.shape else SHAPES
    return Options(only, seconds, min(seconds, 30.0), 4.0 if given.quick else 8.0, shapes, given.json)


async def measure(asked: Options) -> list[Section]:
    """All that was asked for, one after the other; each section is printed when it is complete."""
    sections = {letter: Section(letter, title) for letter, title in TITLES.items()}
    found: list[Section] = []

    def done(*several: Section) -> None:
        for section in several:
            if section.letter in asked.only:
                print_section(section)
                found.append(section)

    by_hand: float | None = None
    if "g" in asked.only:
        by_hand, section = await yardstick.measure(min(asked.seconds, 20.0), WORKERS)
        await mcp_call.measure(section)
        done(section)
    if set("ade") & set(asked.only):
        sustained = Sustained(sections, read_back="e" in asked.only)
        for setup in _setups(asked):
            await sustained.measure(setup, asked.seconds, asked.warm_s)
        for (shape, scopes), rate in sustained.rates.items():
            if by_hand is not None:
                target = RATIO if shape == "colocated" else None
                sections["a"].add(f"{Setup(shape, scopes)}: times the yardstick", rate / by_hand, "x", target)
        done(sections["a"], sections["d"], sections["e"])
    if set("bc") & set(asked.only):
        await _paced(asked, sections)
        done(sections["b"], sections["c"])
    if "h" in asked.only:
        await _hostile(asked, sections["h"])
        done(sections["h"])
    if "f" in asked.only:
        done(await ready.measure(asked.shapes))
    return found


async def _paced(asked: Options, sections: Mapping[str, Section]) -> None:
    for shape in asked.shapes:
        await paced.measure(sections["b"], sections["c"], shape, asked.paced_seconds)


async def _hostile(asked: Options, section: Section) -> None:
    for shape in asked.shapes:
        await hostile.measure(section, shape, asked.paced_seconds / 4)


def _setups(asked: Options) -> list[Setup]:
    """Reading back needs one run only."""
    if not set("ad") & set(asked.only):
        return [Setup(asked.shapes[0])]
    return [Setup(shape, scopes) for shape in asked.shapes for scopes in (1, 16)]


async def run(asked: Options) -> int:
    """Measure and write down. Exit status: 1 when a run could not be proven; a missed target is no error."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None

    def stop() -> None:
        STOPPED.set()
        task.cancel()

    loop.add_signal_handler(signal.SIGTERM, stop)
    facts = machine()
    say(f"{facts['cores']} cores, {facts['memory_bytes'] >> 30} GiB, load {facts['load_before']:.1f} before the start")
    sections = await measure(asked)
    lines = [line for section in sections for line in section.lines if line.met is not None]
    failed = [section for section in sections if section.failures]
    say(
        f"\n{sum(bool(line.met) for line in lines)} of {len(lines)} targets met"
        + ("; not all runs proven" if failed else "")
    )
    given = {"only": asked.only, "seconds": asked.seconds, "shapes": asked.shapes, "warm_s": asked.warm_s}
    await asyncio.to_thread(to_json, asked.json, given, facts, sections)
    say(f"all of it: {asked.json}")
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(asyncio.run(run(options(sys.argv[1:]))))
    except StackError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
    except asyncio.CancelledError as error:
        if not STOPPED.is_set():
            raise RuntimeError("something was cancelled that nobody asked to stop") from error
        sys.exit(130)
