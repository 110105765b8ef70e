"""Choke points: moments at which validators must agree. All of a choke point's validators run, in fixed order, and each
result is kept; the worst one is the verdict. An error inside a validator is a refusal.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final

import msgspec

from libs.contracts.events import ChokePoint, CostClass, EffectKind, ValidatorResult, Verdict
from libs.governance.control import Tool
from libs.governance.subject import Subject
from libs.governance.validators import (
    Finding,
    Ground,
    Validator,
    compliance,
    cost,
    freshness,
    grounding,
    registry,
    switches,
)

NO_POLICY = bytes(32)
FINDINGS_MAX = 32  # of one validator: what an intent says must not make an event too large
REASON_MAX, TARGET_MAX = 500, 200  # characters
_SEVERITY: Final = {Verdict.ALLOW: 0, Verdict.WARN: 1, Verdict.BLOCK: 2}

# Which validators run where, in their order (flow.md, decision 8). All of them everywhere: what one of them would not
# look at again could change between the verdict and the call.
_ALL: Final = (switches, registry, compliance, freshness, grounding, cost)
CHOKE_POINTS: Final[Mapping[ChokePoint, tuple[Validator, ...]]] = {
    ChokePoint.PLAN_APPROVAL: _ALL,
    ChokePoint.STEP_EXECUTION: _ALL,
    ChokePoint.EXPENSIVE_OPERATION: _ALL,
    ChokePoint.EXTERNAL_WRITE: _ALL,
}


class Evaluation(msgspec.Struct, frozen=True):
    """The outcome at one choke point, or at several."""

    verdict: Verdict
    results: tuple[ValidatorResult, ...]

    @property
    def blocking(self) -> ValidatorResult | None:
        """The result that blocked first."""
        return next((result for result in self.results if result.verdict is Verdict.BLOCK), None)


def points_at_validation(tool: Tool | None) -> tuple[ChokePoint, ...]:
    """Where an intent is judged before it may go on."""
    if tool and tool.entry.cost_class is CostClass.EXPENSIVE:
        return ChokePoint.STEP_EXECUTION, ChokePoint.EXPENSIVE_OPERATION
    return (ChokePoint.STEP_EXECUTION,)


def points_at_dispatch(effect: EffectKind, cost_class: CostClass) -> tuple[ChokePoint, ...]:
    """Where it is judged again at the moment of dispatch; a cheap read passes the step's validators once more."""
    writes = (ChokePoint.EXTERNAL_WRITE,) if effect is EffectKind.WRITE else ()
    expensive = (ChokePoint.EXPENSIVE_OPERATION,) if cost_class is CostClass.EXPENSIVE else ()
    return (*expensive, *writes) or (ChokePoint.STEP_EXECUTION,)


def evaluate(points: tuple[ChokePoint, ...], subject: Subject, ground: Ground) -> Evaluation:
    """The verdict at one or more choke points. The same question never gets two answers (B3), since who asks writes the
    answer down and asks once: validation for an intent, execution for an attempt."""
    digest = _input_digest(subject, ground)
    results: list[ValidatorResult] = []
    for point in points:
        results += _at_point(point, subject, ground, digest)
    return Evaluation(
        max((r.verdict for r in results), key=_SEVERITY.__getitem__, default=Verdict.BLOCK), tuple(results)
    )


def _input_digest(subject: Subject, ground: Ground) -> bytes:
    """What the validators saw: all that the submitter said, and the tool's definition."""
    tool_hash = ground.tool.entry.definition_hash if ground.tool else b""
    return hashlib.sha256(subject.content_digest + tool_hash).digest()


def _at_point(point: ChokePoint, subject: Subject, ground: Ground, digest: bytes) -> list[ValidatorResult]:
    results: list[ValidatorResult] = []
    for validator in CHOKE_POINTS[point]:
        name, findings = validator.__name__, _ask(validator, subject, ground)
        if not findings:
            results.append(ValidatorResult(name, point, Verdict.ALLOW, "", "", "", digest))
        for found in findings:
            reason, target = found.reason[:REASON_MAX], found.target[:TARGET_MAX]
            results.append(ValidatorResult(name, point, found.verdict, found.code, reason, target, digest))
    return results


def _ask(validator: Validator, subject: Subject, ground: Ground) -> list[Finding]:
    try:
        findings = list(validator(subject, ground))
    except Exception as error:  # noqa: BLE001
        # A gate that fails must not open: whatever went wrong inside a validator counts as its refusal.
        return [Finding(Verdict.BLOCK, "VALIDATOR_FAILED", f"the validator failed: {type(error).__name__}")]
    if len(findings) > FINDINGS_MAX:
        rest = findings[FINDINGS_MAX - 1 :]
        verdict = max((finding.verdict for finding in rest), key=_SEVERITY.__getitem__)
        return [*findings[: FINDINGS_MAX - 1], Finding(verdict, "MORE_FINDINGS", f"{len(rest)} more")]
    return findings
