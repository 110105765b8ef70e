"""Control's row of the routing table. Its lane protocol runs with one lane."""

from __future__ import annotations

from libs.ledger.service import Service
from services.control.decider import INITIAL, ControlState, decide, evolve
from services.control.reading import TOPIC, prepare

SERVICE = Service(
    name="control",
    writes="ledger.control",
    reads=(),
    commands=(TOPIC,),
    initial=INITIAL,
    state_type=ControlState,
    decide=decide,
    evolve=evolve,
    prepare=prepare,
    needs_control=False,
)
