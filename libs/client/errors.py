"""What can go wrong for a caller of Deedbook. Every error says what happened and what to do about it.

DeedbookError
├── Misconfigured         a setting is missing or wrong; the text names the variable
├── Unauthenticated       no token that is believed
├── PermissionDenied      the token does not reach that far
├── NotFound              not there, or not the caller's: the same words for both
├── InvalidRequest        the request can never work as it is
├── SubmissionRejected    intake has refused what was submitted
├── NotSucceeded          a deed ended otherwise than wished; `deed` is the deed
├── ServerError           something that should not happen
└── Unavailable           a part that is needed does not answer: ask again
    ├── Overloaded        too much at once: ask again later
    └── TimedOut          no answer in time; `deed` is the last that was seen, if there was one
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc

from libs.contracts.events import FailureCategory
from libs.governance.remedies import remedy as known
from libs.runtime.rpc import CATEGORY_KEY, CODE_KEY, TRACE_KEY

if TYPE_CHECKING:
    from libs.client.results import Deed

Category = FailureCategory


class DeedbookError(Exception):
    """`code` is stable, for programs; `reason` and `remedy` are sentences for people. `category`: TRANSIENT, another
    try may succeed; PERMANENT, it will fail again; POLICY, a rule or a person said no."""

    category = Category.PERMANENT
    code = "ERROR"
    remedy = ""

    def __init__(self, reason: str, code: str = "", remedy: str = "", category: Category | None = None) -> None:
        self.reason = reason
        self.code = code or type(self).code
        self.remedy = remedy or known(self.code) or type(self).remedy
        self.category = category or type(self).category
        super().__init__(reason, code, remedy, category)

    def __str__(self) -> str:
        reason = self.reason if self.reason.endswith((".", "!", "?")) else f"{self.reason}."
        return f"{self.code}: {reason} {self.remedy}".rstrip()


class Misconfigured(DeedbookError):
    code = "MISCONFIGURED"
    remedy = "Set what the reason names."


class Unauthenticated(DeedbookError):
    category = Category.POLICY
    code = "UNAUTHENTICATED"


class PermissionDenied(DeedbookError):
    category = Category.POLICY
    code = "PERMISSION_DENIED"
    remedy = "Use a token that has the account or the role."


class NotFound(DeedbookError):
    code = "NOT_FOUND"


class InvalidRequest(DeedbookError):
    code = "BAD_REQUEST"


class SubmissionRejected(DeedbookError):
    code = "REJECTED"


class ServerError(DeedbookError):
    code = "INTERNAL"


class NotSucceeded(DeedbookError):
    """Raised by `Deed.succeeded_or_raise` only: an end that is no success is an answer, not a failure to answer."""

    code = "NOT_SUCCEEDED"

    def __init__(self, deed: Deed) -> None:
        self.deed = deed
        code, category = deed.code or deed.state.value, deed.category
        told = deed.remedy or ("" if deed.ended else "Wait for its end: it may still happen.")
        super().__init__(deed.reason or f"it is {deed.state.value}", code, told, category)


class Unavailable(DeedbookError):
    category = Category.TRANSIENT
    code = "AWAY"


class Overloaded(Unavailable):
    code = "OVERLOADED"


class TimedOut(Unavailable):
    code = "TIMED_OUT"
    remedy = "Ask again: the same intent or question does no harm; `deed ps` shows what runs."

    def __init__(self, reason: str, deed: Deed | None = None, remedy: str = "") -> None:
        self.deed = deed
        super().__init__(reason, remedy=remedy)


BY_STATUS: dict[grpc.StatusCode, type[DeedbookError]] = {
    grpc.StatusCode.CANCELLED: Unavailable,
    grpc.StatusCode.UNKNOWN: ServerError,
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRequest,
    grpc.StatusCode.DEADLINE_EXCEEDED: TimedOut,
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.ALREADY_EXISTS: InvalidRequest,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDenied,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Overloaded,
    grpc.StatusCode.FAILED_PRECONDITION: InvalidRequest,
    grpc.StatusCode.ABORTED: Unavailable,
    grpc.StatusCode.OUT_OF_RANGE: InvalidRequest,
    grpc.StatusCode.UNIMPLEMENTED: ServerError,
    grpc.StatusCode.INTERNAL: ServerError,
    grpc.StatusCode.UNAVAILABLE: Unavailable,
    grpc.StatusCode.DATA_LOSS: ServerError,
    grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
}


def from_grpc(error: grpc.aio.AioRpcError) -> DeedbookError:
    """The error that a failed call stands for."""
    trailing: Any = error.trailing_metadata() or ()
    said = dict(trailing)
    kind = BY_STATUS.get(error.code(), ServerError)
    reason = error.details() or error.code().name
    if kind is TimedOut:
        return TimedOut(reason)
    code, category = _text(said.get(CODE_KEY)), _text(said.get(CATEGORY_KEY))
    reason = reason.removesuffix(known(code)).strip() or reason  # the remedy is an answer of its own
    if kind is ServerError and (trace := _text(said.get(TRACE_KEY))):
        reason = f"{reason} (trace id {trace})"  # by which the remedy tells the operator to look
    return kind(reason, code, category=Category(category) if category in Category.__members__ else None)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value or "")
