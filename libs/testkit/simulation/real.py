"""The real deciding services in the simulated world: the real codec, control view and deciders."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec

from libs.contracts import events as e
from libs.governance.control import ControlView, stop_code
from libs.governance.identity import intent_id
from libs.governance.tokens import KeySet, TokenVerifier
from libs.ledger.codec import encode_event, encode_message
from libs.ledger.records import dead_letter, decode_fact, decode_unpark
from libs.testkit.samples import AGENT, HUMAN_RULE, OLGA, READING, budget, control, intent, policy, server, tool
from libs.testkit.simulation.cast import Wish, poisoned
from libs.testkit.simulation.clock import START_AT
from libs.testkit.simulation.deciders import Poison
from services.intake.decider import IntakeWorld
from services.table import DECIDERS, TABLE

HARD_MICROS = 1_000
TOOLS = {"OPAQUE": "git/commit", "READ_ONLY": "git/log"}


class RealCast:
    """All deciding services, as workers host them; some deeds need a human."""

    message = staticmethod(encode_message)
    encode = staticmethod(encode_event)
    read_unpark = staticmethod(decode_unpark)
    dead_letter = staticmethod(dead_letter)
    operator = OLGA

    def __init__(self) -> None:
        self.poison = Poison({}, {})
        self.services = tuple(replace(TABLE[name], decide=poisoned(TABLE[name], self.poison)) for name in DECIDERS)
        self._facts: dict[bytes, Any] = {}
        self._intake = IntakeWorld(KeySet(1, {}), TokenVerifier())

    @property
    def owned(self) -> Mapping[str, Any]:
        return {"intake": self._intake}

    def decode(self, topic: str, value: bytes) -> Any:
        """Each record once."""
        fact = self._facts.get(value)
        if fact is None:
            fact = self._facts[value] = decode_fact(topic, value)
        return fact

    def view(self, seq: int, stopped: frozenset[str]) -> ControlView:
        tools = [tool(), tool("git/log", **READING), tool("git/push", effect_class=e.EffectClass.OPAQUE)]
        rule = HUMAN_RULE | {"tools": ["git/push"]}
        switches = [
            e.SwitchFlipped(bytes(16), "olga", "test", e.SwitchKind.TOOL, TOOLS[name], True) for name in sorted(stopped)
        ]
        view = control(server(), *tools, policy(approvals=[rule]), budget(HARD_MICROS), *switches)
        return msgspec.structs.replace(view, seq=100 + seq)

    def stops(self, view: ControlView, effect: Any) -> str:
        return stop_code(view, effect)

    def hard_micros(self, scope: str) -> int:
        return HARD_MICROS

    def wish(self, name: str, chance: random.Random) -> Wish:
        expires = START_AT + int((2e6 if chance.random() < 0.1 else 60e6) * chance.uniform(0.2, 1.0))
        wanted = intent(name, tool=chance.choice((*TOOLS.values(), "git/push")), expires_at=expires)
        other = msgspec.structs.replace(wanted, arguments='{"message": "other", "repo": "r1"}')
        return Wish(intent_id(AGENT.tenant, name), name, "intake.home", _home(wanted), _home(other))


def _home(wanted: e.Intent) -> bytes:
    return encode_message(e.HomeSubmission(encode_message(wanted), AGENT, START_AT, "grpc", 0, 0, False))
