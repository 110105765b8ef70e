"""Status's row of the routing table: a projection, so it reads everything and writes nothing."""

from __future__ import annotations

from libs.ledger.service import Service
from services.status.facts import decide, evolve
from services.status.timeline import TOPICS
from services.status.view import INITIAL, IntentView, index

SERVICE = Service(
    name="status",
    writes=None,
    reads=TOPICS,
    commands=(),
    initial=INITIAL,
    state_type=IntentView,
    decide=decide,
    evolve=evolve,
    index=index,
    needs_control=False,
)
