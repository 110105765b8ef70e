"""Why a submission is refused: each stable code with its category and what the submitter can do about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from libs.contracts.events import FailureCategory

_PERMANENT, _POLICY, _TRANSIENT = FailureCategory.PERMANENT, FailureCategory.POLICY, FailureCategory.TRANSIENT
_FORMAT = "Publish one Intent in Confluent's wire format with a schema id of this release."
_ARGUMENTS = "Send the arguments as one JSON object (I-JSON, RFC 7493) within the limits."

REFUSALS: Final[Mapping[str, tuple[FailureCategory, str]]] = {
    "AUTH_INVALID": (_POLICY, "Send a valid token in the header 'authorization'."),
    "PERMISSION_DENIED": (_POLICY, "Name an account that your token allows, or none."),
    "WRONG_MAGIC": (_PERMANENT, _FORMAT),
    "UNKNOWN_SCHEMA": (_PERMANENT, _FORMAT),
    "TRUNCATED": (_PERMANENT, _FORMAT),
    "TRAILING_BYTES": (_PERMANENT, _FORMAT),
    "BAD_VALUE": (_PERMANENT, _FORMAT),
    "IN_TRANSACTION": (_PERMANENT, "Send it outside of a transaction: an intent that is on the log counts."),
    "UNREADABLE": (_PERMANENT, "Send smaller batches, or do not compress: 8 MiB at most when unpacked."),
    "OVERSIZE": (_PERMANENT, "Send less; large data belongs into a store, with its reference in the arguments."),
    "FIELD_INVALID": (_PERMANENT, "Correct the field that the reason names."),
    "JSON_TOO_LARGE": (_PERMANENT, _ARGUMENTS),
    "JSON_TOO_DEEP": (_PERMANENT, _ARGUMENTS),
    "JSON_SYNTAX": (_PERMANENT, _ARGUMENTS),
    "JSON_DUPLICATE_KEY": (_PERMANENT, _ARGUMENTS),
    "JSON_NUMBER": (_PERMANENT, "Send numbers beyond 2^53 - 1 as text."),
    "JSON_UNICODE": (_PERMANENT, _ARGUMENTS),
    "JSON_NOT_AN_OBJECT": (_PERMANENT, _ARGUMENTS),
    "SECRET_LITERAL": (_PERMANENT, "Put the secret into the vault and send its reference, secret://..."),
    "EXPIRED": (_PERMANENT, "Submit again with a later expiry and a new idempotency key."),
    "EXPIRY_TOO_FAR": (_PERMANENT, "Choose an earlier expiry."),
    "KEY_REUSED": (_PERMANENT, "Use a new idempotency key for other content."),
    "CLOCK_SKEW": (_TRANSIENT, "Submit again; if it stays, the operator must look at the clocks."),
    "MISPLACED": (_TRANSIENT, "Submit again; if it stays, the operator must look at the number of lanes."),
}
