"""Why a submission is refused: each stable code with its category and what the submitter can do about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from libs.contracts.events import FailureCategory
from libs.governance.remedies import SUBMITTING

_NOT_PERMANENT: Final[Mapping[str, FailureCategory]] = {
    "AUTH_INVALID": FailureCategory.POLICY,
    "PERMISSION_DENIED": FailureCategory.POLICY,
    "CLOCK_SKEW": FailureCategory.TRANSIENT,
    "MISPLACED": FailureCategory.TRANSIENT,
}
REFUSALS: Final[Mapping[str, tuple[FailureCategory, str]]] = {
    code: (_NOT_PERMANENT.get(code, FailureCategory.PERMANENT), remedy) for code, remedy in SUBMITTING.items()
}
