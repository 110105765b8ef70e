"""A worker process of the simulation: the protocol itself, and a shell as unreliable as its servers. It can be killed,
stopped and woken at any moment; what it has sent goes on without it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from libs.ledger.protocol import (
    Action,
    Answer,
    ControlSeen,
    Renew,
    Renewed,
    Survey,
    Surveyed,
)
from libs.ledger.worker import Worker
from libs.testkit.simulation.deciders import Killed
from libs.testkit.simulation.shell import Shell
from libs.testkit.simulation.words import show

if TYPE_CHECKING:
    from libs.testkit.simulation.world import World

TICK_MS = 60.0
CONFIRM_MS = 120.0


class Process:
    """One process start. `alive`: its memory exists. `paused`: it does not move (SIGSTOP)."""

    def __init__(self, world: World, name: str, worker: Worker, shape: str) -> None:
        self.world, self.name, self.worker, self.shape = world, name, worker, shape
        self.clock = world.clock
        self.alive, self.paused, self.leaving = True, False, False
        self.waking = False  # does it do what it had decided before it was stopped?
        self.backlog: list[Callable[[], Sequence[Action]]] = []
        self._unsent: list[Action] = []
        self.shell = Shell(self)
        self.confirmed_ms = -1  # when the control view was last known to be all there is
        self._control = world.control
        self.clock.after(self.clock.random.random() * TICK_MS, self._tick)
        self._confirm()

    # -- life

    def kill(self) -> None:
        """SIGKILL: the memory is gone, what was sent is not."""
        self.clock.note(f"{self.name} is killed")
        self.alive = False
        self.backlog.clear()
        self._unsent.clear()

    def pause(self, for_ms: float) -> None:
        """SIGSTOP, and SIGCONT later."""
        self.clock.note(f"{self.name} is stopped for {for_ms:.0f} ms")
        self.paused = True
        self.clock.after(for_ms, self._wake)

    def _wake(self) -> None:
        if not self.alive or not self.paused:
            return
        self.clock.note(f"{self.name} wakes")
        self.paused = False
        unsent, self._unsent = self._unsent, []
        self.waking = True
        self._perform(unsent)
        self.waking = False
        backlog, self.backlog = self.backlog, []
        for move in backlog:
            self._move(move)

    def leave(self) -> None:
        """SIGTERM."""
        self.clock.note(f"{self.name} is told to stop")
        self.leaving = True
        self._move(lambda: self.worker.stop(self.clock.boot_ms))

    def see_control(self) -> None:
        """The control tail moved."""
        self._control = self.world.control
        self._tell_control()

    def _confirm(self) -> None:
        """The control tail asks whether it has read all, and asks again. Stopped, it does not."""
        if not self.alive:
            return
        if self.world.answers_control() and not self.paused:
            self.confirmed_ms = self.clock.boot_ms
            self._tell_control()
        self.clock.after(CONFIRM_MS, self._confirm)

    def _tell_control(self) -> None:
        seen = ControlSeen(self._control, self.confirmed_ms if self.confirmed_ms >= 0 else None)
        self.clock.after(self.world.network.delay(), lambda: self.take(seen))

    def _tick(self) -> None:
        if not self.alive:
            return
        self._move(lambda: self.worker.tick(self.clock.boot_ms))
        if self.worker.stopped and not self.paused:
            self.clock.note(f"{self.name} has left")
            self.alive = False
            self.world.supervisor.gone(self)
            return
        self.clock.after(TICK_MS, self._tick)

    def take(self, answer: Answer) -> None:
        """An answer has come."""
        if self.alive:
            if self.clock.tracing and not isinstance(answer, Renewed | Surveyed):
                self.clock.note(f"{self.name} <- {show(answer)}")
            self._move(lambda: self.worker.handle(answer, self.clock.boot_ms))

    def _move(self, move: Callable[[], Sequence[Action]]) -> None:
        """One turn of the loop, unless the process is stopped."""
        if not self.alive:
            return
        if self.paused:
            self.backlog.append(move)
            return
        try:
            actions = move()
        except Killed:
            self.world.supervisor.died(self)
            return
        self.world.invariants.bounds(self)
        self._perform(actions)

    def _perform(self, actions: Sequence[Action]) -> None:
        for n, action in enumerate(actions):
            if self.world.stops_here(self):
                self._unsent.extend(actions[n:])
                return
            if self.clock.tracing and not isinstance(action, Renew | Survey):
                self.clock.note(f"{self.name} -> {show(action)}")
            self.do(action)

    def do(self, action: Action) -> None:
        """Carry an action out."""
        self.shell.do(action)
