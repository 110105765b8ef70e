"""Processor time and memory of the processes of a system, by the kernel's own count."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic

import psutil

NOISE = 0.1  # cores; below, it is what every system does beside
MYSELF = "benchmark"  # without children: they are the others


@dataclass(frozen=True)
class Look:
    """What each group had used at one moment. Seconds of CPU, bytes of memory (shared pages counted once)."""

    at: float
    cpu_s: Mapping[str, float]
    memory: Mapping[str, int]
    machine_busy_s: float


@dataclass(frozen=True)
class Spent:
    """What each group used between two looks."""

    seconds: float
    cpu_s: Mapping[str, float]
    memory: Mapping[str, int]
    others_cpu_s: float  # by processes that are not ours

    @property
    def noise(self) -> str:
        """What must be said when the machine was not ours alone; '' when it was."""
        cores = self.others_cpu_s / self.seconds
        return f"{cores:.2f} cores were busy with what is not ours: no figure to quote" if cores > NOISE else ""

    def cores(self, group: str) -> float:
        """How much of one core the group used, on average."""
        return self.cpu_s[group] / self.seconds


class Meter:
    """Looks at groups of processes, each with its children (PostgreSQL's backends are those of its postmaster), and at
    this process."""

    def __init__(self, groups: Mapping[str, int]) -> None:
        self._groups = {name: psutil.Process(pid) for name, pid in groups.items()}

    def look(self, memory: bool = True) -> Look:
        """What has been used so far."""
        groups = self._groups
        families: dict[str, list[psutil.Process]] = {name: _family(process) for name, process in groups.items()}
        families[MYSELF] = [psutil.Process()]
        return Look(
            monotonic(),
            {name: sum(map(_cpu, family)) for name, family in families.items()},
            {name: sum(map(_memory, family)) if memory else 0 for name, family in families.items()},
            _machine_busy(),
        )


def between(first: Look, last: Look) -> Spent:
    """What was used from the first look to the last; the memory is that of the last."""
    cpu = {name: used - first.cpu_s.get(name, 0.0) for name, used in last.cpu_s.items()}
    others = last.machine_busy_s - first.machine_busy_s - sum(cpu.values())
    return Spent(last.at - first.at, cpu, last.memory, max(0.0, others))


def _family(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _cpu(process: psutil.Process) -> float:
    """Its own time and that of children which have ended; a living child counts for itself."""
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    if process.pid == os.getpid():
        return float(times.user + times.system)
    return float(times.user + times.system + times.children_user + times.children_system)


def _memory(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except psutil.AccessDenied:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def _machine_busy() -> float:
    times = psutil.cpu_times()
    # Guest time is contained in user time; steal is what others took from this machine, so it is not ours either.
    return float(times.user + times.nice + times.system + times.irq + times.softirq)
