"""Who reads what, and who writes what: the routing table. `TABLE["budget"]` is all a worker needs to host budget."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from libs.ledger.service import Service
from services.approval import decider as approval
from services.approval.state import ApprovalState
from services.budget import decider as budget
from services.control import decider as control
from services.control import reading as changes
from services.execution import decider as execution
from services.execution.state import ExecutionState
from services.intake import decider as intake
from services.intake import reading as submissions
from services.outcome import decider as outcome
from services.status import facts as status
from services.status import view
from services.status.timeline import TOPICS
from services.validation import decider as validation

INTAKE, VALIDATION, APPROVAL = "ledger.intake", "ledger.validation", "ledger.approval"
BUDGET, EXECUTION, OUTCOME = "ledger.budget", "ledger.execution", "ledger.outcome"

TABLE: Final[Mapping[str, Service]] = {
    "intake": Service(
        name="intake",
        writes=INTAKE,
        reads=(),
        commands=("intents", "intake.home", "commands"),
        initial=intake.INITIAL,
        state_type=intake.IntakeState,
        decide=intake.decide,
        evolve=intake.evolve,
        prepare=submissions.prepare,
    ),
    "validation": Service(
        name="validation",
        writes=VALIDATION,
        reads=(INTAKE,),
        commands=("commands",),
        initial=validation.INITIAL,
        state_type=validation.ValidationState,
        decide=validation.decide,
        evolve=validation.evolve,
    ),
    "approval": Service(
        name="approval",
        writes=APPROVAL,
        reads=(VALIDATION, EXECUTION),
        commands=("commands",),
        initial=approval.INITIAL,
        state_type=ApprovalState,
        decide=approval.decide,
        evolve=approval.evolve,
        heeds=approval.HEEDS,
        waits=approval.waits,
        prepare=approval.prepare,
        owner=approval.owner,
    ),
    "budget": Service(
        name="budget",
        writes=BUDGET,
        reads=(VALIDATION, APPROVAL, EXECUTION),
        commands=("commands",),
        initial=budget.INITIAL,
        state_type=budget.BudgetState,
        decide=budget.decide,
        evolve=budget.evolve,
        heeds=budget.HEEDS,
        owner=budget.owner,
        lines=budget.lines,
    ),
    "execution": Service(
        name="execution",
        writes=EXECUTION,
        reads=(INTAKE, VALIDATION, APPROVAL, BUDGET),
        commands=("commands",),
        initial=execution.INITIAL,
        state_type=ExecutionState,
        decide=execution.decide,
        evolve=execution.evolve,
        heeds=execution.HEEDS,
        waits=execution.waits,
        react=execution.react,
        prepare=execution.prepare,
        owner=execution.owner,
    ),
    "outcome": Service(
        name="outcome",
        writes=OUTCOME,
        reads=(INTAKE, VALIDATION, APPROVAL, BUDGET, EXECUTION),
        commands=("commands",),
        initial=outcome.INITIAL,
        state_type=outcome.OutcomeState,
        decide=outcome.decide,
        evolve=outcome.evolve,
        heeds=outcome.HEEDS,
    ),
    "control": Service(
        name="control",
        writes="ledger.control",
        reads=(),
        commands=(changes.TOPIC,),
        initial=control.INITIAL,
        state_type=control.ControlState,
        decide=control.decide,
        evolve=control.evolve,
        prepare=changes.prepare,
        needs_control=False,
    ),
    "status": Service(  # a projection: it reads everything and writes nothing
        name="status",
        writes=None,
        reads=TOPICS,
        commands=(),
        initial=view.INITIAL,
        state_type=view.IntentView,
        decide=status.decide,
        evolve=status.evolve,
        index=view.index,
        needs_control=False,
    ),
}

# The services that one kind of worker hosts together in the co-located shape, in their order.
DECIDERS: Final = ("intake", "validation", "approval", "budget", "execution", "outcome")
