"""What became of a submission. A rejection leaves the intent of its key alone, so whoever looks at the intent alone
would take somebody else's for theirs: the submission is asked about first."""

from __future__ import annotations

from typing import Any

from libs.client.calling import Caller
from libs.client.errors import Category, NotFound, SubmissionRejected, TimedOut, Unavailable
from libs.client.results import Submitted
from libs.client.retrying import is_retry
from libs.contracts.proto.deedbook.status.v1 import status_pb2 as pb

KEY_REUSED = "KEY_REUSED"
_DECIDED = {pb.SUBMISSION_STATE_ACCEPTED, pb.SUBMISSION_STATE_REPEATED}
UNHEARD = (
    "Submit the same intent again; if it stays, the operator looks whether intake works (`deed ps`) and whether it did"
    " not believe the token (`deed dead list`): nobody else is told of that."
)


async def is_accepted(caller: Caller, method: Any, submitted: Submitted) -> bool:
    """Is its intent the one that was asked for? False: not decided yet. Raises SubmissionRejected."""
    request = pb.GetSubmissionRequest(
        submission_id=submitted.submission_id,
        intent_id=submitted.intent_id,
        content_digest=submitted.content_digest,
    )
    try:
        found = (await caller.until_answered(method, request)).submission
    except NotFound:
        return False
    if found.state == pb.SUBMISSION_STATE_REJECTED:
        category = pb.ErrorCategory.Name(found.error_category).removeprefix("ERROR_CATEGORY_")
        known = Category(category) if category in Category.__members__ else None
        raise SubmissionRejected(found.reason, found.code, _remedy(found, submitted), known)
    return found.state in _DECIDED


def _remedy(found: Any, submitted: Submitted) -> str:
    """What to do about a rejection. Whoever has retried before must not be told to take another key: it would be done
    twice."""
    if found.code == KEY_REUSED and is_retry(submitted.intent):
        return f"It was retried already, with other content: `deed get {submitted.intent_id}` says what became of it."
    return str(found.remedy)


async def until_accepted(caller: Caller, method: Any, submitted: Submitted) -> None:
    """Wait until intake has decided. Raises SubmissionRejected, and Unavailable when that takes too long."""
    patience = caller.patience()
    while True:
        try:
            if await is_accepted(caller, method, submitted):
                return
            away: Unavailable = TimedOut("The submission is on the log, and nothing is known of it.", remedy=UNHEARD)
        except Unavailable as error:
            away = error
        await patience.bear(away)
