"""The supervisor as a process of its own, and how a terminal speaks with it: by its report and by a signal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

from libs.stack import processes
from libs.stack.errors import Busy, StartFailed
from libs.stack.folders import Folder, held, is_held
from libs.stack.report import Report, load
from libs.stack.shapes import Plan
from libs.stack.stack import OWNER, stop_orphans

POLL_S = 0.05
DOWN_S = 90.0


def begin(folder: Folder, plan: Plan) -> int:
    """Starts the supervisor, or finds the one that runs this very plan. Returns its pid.

    Raises Busy when another plan runs here."""
    running = load(folder)
    if is_held(folder.lock):
        if (running.shape, running.workers, running.lanes) != (plan.shape, plan.workers, plan.lanes):
            raise Busy(
                f"Here runs already shape {running.shape or 'none'} with {running.workers} workers and"
                f" {running.lanes} lanes: `deed down` first."
            )
        return running.pid
    folder.create()
    words = ["--shape", plan.shape, "--workers", str(plan.workers), "--lanes", str(plan.lanes)]
    with (folder.logs / "supervisor.log").open("ab") as log:
        started = subprocess.Popen(
            [sys.executable, "-m", "libs.stack.supervisor", *words],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "DEED_HOME": str(folder.root)},
            start_new_session=True,
        )
    return started.pid


def wait_ready(folder: Folder, pid: int, patience_s: float, tell: Callable[[Report], None]) -> Report:
    """Waits until all that was started is ready. Raises StartFailed with the supervisor's own words."""
    deadline = time.monotonic() + patience_s
    while True:
        report = load(folder)
        ours = report.pid == pid
        if ours and report.phase == "ready":
            return report
        if ours and report.phase == "failed":
            raise StartFailed(report.message)
        if _ended(pid):
            raise StartFailed(f"The supervisor ended: see {folder.logs / 'supervisor.log'}.")
        if time.monotonic() > deadline:
            late = ", ".join(f"{line.name} ({line.why or line.state})" for line in report.lines if not line.ready)
            raise StartFailed(f"Not ready in {patience_s:.0f} s: {late or report.message}. It goes on: `deed ps`.")
        if ours:
            tell(report)
        time.sleep(POLL_S)


def end(folder: Folder) -> list[str]:
    """Stops what runs in this folder, in order, also what a dead supervisor left. Returns the names of what ran."""
    running = [line.name for line in load(folder).lines]
    owner = processes.remembered(folder.root, OWNER)
    if owner is not None and owner.is_alive():
        owner.send(signal.SIGTERM)
        if not owner.wait_gone(DOWN_S):
            owner.end(signal.SIGKILL)
    if not folder.root.exists():
        return []
    with held(folder.lock, f"Somebody else has just taken {folder.root}."):
        orphans = stop_orphans(folder)
        processes.forget(folder.root, OWNER)
    return running or orphans


def _ended(pid: int) -> bool:
    """Whether the process is gone; reaps it if it was our child."""
    try:
        if os.waitpid(pid, os.WNOHANG)[0] == pid:
            return True
    except ChildProcessError:
        return processes.described("supervisor", pid, ["libs.stack.supervisor"]) is None
    return False
