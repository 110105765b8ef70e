"""Carries the actions of a simulated process out, as unreliably as the network and the servers are. What was sent goes
on without its process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from libs.ledger.protocol import (
    Action,
    Alarm,
    Call,
    Check,
    Claim,
    Commit,
    Connect,
    Connected,
    DropProducer,
    Finished,
    Follow,
    Halt,
    Load,
    Publish,
    PublishSide,
    Release,
    Renew,
    SendLate,
    Start,
    Survey,
    Suspect,
)
from libs.ledger.service import Result
from libs.testkit.simulation.broker_client import BrokerClient
from libs.testkit.simulation.database_client import DatabaseClient
from libs.testkit.simulation.words import not_sent

if TYPE_CHECKING:
    from libs.testkit.simulation.process import Process


class Shell:
    """What lies between the protocol of one process and the servers."""

    def __init__(self, process: Process) -> None:
        self.process, self.world, self.clock, self.worker = process, process.world, process.clock, process.worker
        self.database, self.broker = DatabaseClient(process), BrokerClient(process)

    def do(self, action: Action) -> None:
        """Carry an action out."""
        match action:
            case Claim() | Load() | Commit() | Start() | Renew() | Survey() | Release() | Halt() | Suspect():
                self.database.ask(action)
            case Publish():
                self.broker.publish(action)
            case PublishSide():
                self.broker.publish_sides(action)
            case Check():
                self.broker.check(action)
            case Follow():
                self.broker.follow(action)
            case SendLate():
                self.broker.send_late(action)
            case DropProducer():
                self.broker.drop_producer()
            case Connect():
                self._connect(action)
            case Call():
                self._call(action)
            case Alarm():
                self.world.alarm(self.process, action)

    def _connect(self, action: Connect) -> None:
        failed = [x for x in action.effects if self.world.weather.lost_request and self.clock.chance(0.05)]
        answer = Connected(
            action.lane,
            action.claim,
            [(x.key, x.attempt) for x in action.effects if x not in failed],
            [(x.key, x.attempt, not_sent("NOT_CONNECTED", "", 0)) for x in failed],
        )
        self.clock.after(self.world.network.delay(), lambda: self.process.take(answer))

    def _call(self, action: Call) -> None:
        """The shell's last look, and with nothing in between the first byte - but it can be stopped even there."""
        effect = action.effect
        if not self.worker.may_call(action.lane, action.claim, effect, self.clock.boot_ms):
            refused = not_sent("NOT_OWNER", "", self.clock.now_at)
            self.process.take(Finished(action.lane, Result(effect.key, effect.attempt, refused)))
            return
        stopped_between = self.world.stops_between(self.process)
        if stopped_between:
            self.process.backlog.append(lambda: self._first_byte(action, True))
        else:
            self._first_byte(action, False)

    def _first_byte(self, action: Call, admitted: bool) -> Sequence[Action]:
        effect = action.effect

        def answer(result: Any) -> None:
            self.process.take(Finished(action.lane, Result(effect.key, effect.attempt, result)))

        self.world.tool.call(self.process, action, admitted, answer)
        return ()
