"""What to do about each stable code: one sentence for whoever meets it, the same in every answer, client and command.

Codes are stable; these sentences may be said better at any time. A code that is not here has no remedy of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["REMEDIES", "remedy", "remedy_after", "remedy_in_doubt"]

_FORMAT = "Publish one Intent in Confluent's wire format with a schema id of this release."
_ARGUMENTS = "Send the arguments as one JSON object (I-JSON, RFC 7493) within the limits."
_AGAIN = "Submit again under a new idempotency key, with retry_of naming this intent."
_SWITCH = "Wait until an operator opens the switch again (`deed unkill`), then submit under a new key."
_LOOK = "Nothing is left to do; `deed show INTENT` says how it went."
_RESOLVE = "Find out in the outside system whether it happened, then `deed resolve INTENT`."
_ASKED = "The tool is asked again by itself; or find out, then `deed resolve INTENT`."
_SERVER = "The operator looks at the tool server's log (`deed logs`) and its entry in the servers' file."
_TYPED = "Correct what the reason names, and give the command again."
_SEEN = "Look it up first (`deed show INTENT`): somebody else was faster, or the name is mistyped."
_MENDED = "The operator looks at the process's log, mends the cause, then `deed unpark INTENT`."
_BOOKS = "Let nothing be granted until somebody has found out why: `deed kill global`, then `deed verify`."

SUBMITTING: Final[Mapping[str, str]] = {  # intake, and the front doors
    "AUTH_INVALID": "Send a valid token in the header 'authorization'; a DID makes one for each payload.",
    "PERMISSION_DENIED": "Name an account that your token allows, or none.",
    "WRONG_MAGIC": _FORMAT,
    "UNKNOWN_SCHEMA": _FORMAT,
    "TRUNCATED": _FORMAT,
    "TRAILING_BYTES": _FORMAT,
    "BAD_VALUE": _FORMAT,
    "CODEC": _FORMAT,
    "IN_TRANSACTION": "Send it outside of a transaction: an intent that is on the log counts.",
    "UNREADABLE": "Send smaller batches, or do not compress: 8 MiB at most when unpacked.",
    "OVERSIZE": "Send less; large data belongs into a store, with its reference in the arguments.",
    "FIELD_INVALID": "Correct the field that the reason names.",
    "JSON_TOO_LARGE": _ARGUMENTS,
    "JSON_TOO_DEEP": _ARGUMENTS,
    "JSON_SYNTAX": _ARGUMENTS,
    "JSON_DUPLICATE_KEY": _ARGUMENTS,
    "JSON_NUMBER": "Send numbers beyond 2^53 - 1 as text.",
    "JSON_UNICODE": _ARGUMENTS,
    "JSON_NOT_AN_OBJECT": _ARGUMENTS,
    "SECRET_LITERAL": "Put the secret into the vault and send its reference, secret://...",
    "EXPIRED": "Submit again with a later expiry and a new idempotency key.",
    "EXPIRY_TOO_FAR": "Choose an earlier expiry.",
    "KEY_REUSED": "See what became of the intent that is named: a new key for the same action would do it twice.",
    "CLOCK_SKEW": "Submit again; if it stays, the operator must look at the clocks.",
    "MISPLACED": "Submit again; if it stays, the operator must look at the number of lanes.",
}

CALLING: Final[Mapping[str, str]] = {  # any gRPC call
    "UNAUTHENTICATED": "Give a valid token (DEED_TOKEN, DEED_TOKEN_FILE) or sign (`deed did`); locally, `deed up`.",
    "ACCOUNT_DENIED": "Name an account of your token, or ask for a token that has this one.",
    "ROLE_MISSING": "Ask somebody with a role that the reason names; for what is in force operator, admin or platform.",
    "PLATFORM_ROLE_MISSING": "Ask whoever rules what all tenants share (role platform).",
    "NOT_FOUND": "Check the id and the tenant of your token; what is just submitted is there in a moment.",
    "BAD_REQUEST": _TYPED,
    "OVERLOADED": "Wait a moment and ask again; if it stays, the operator raises DEED_GRPC_CALLS_MAX.",
    "AWAY": "Try again; if it stays, `deed ps` and `deed doctor` say what is away.",
    "TOO_LARGE": "Send less: the record is larger than the log takes.",
    "INTERNAL": "The operator finds the cause in the process's log, by the trace id of the call.",
    "WATCHES_OF_TENANT": "End some watches, or ask with `deed get` instead.",
    "WATCH_AGAIN": "Watch again from the last version; `deed watch` does so by itself.",
}

VALIDATING: Final[Mapping[str, str]] = {
    "SWITCH_GLOBAL": _SWITCH,
    "SWITCH_TENANT": _SWITCH,
    "SWITCH_ACCOUNT": _SWITCH,
    "SWITCH_TOOL": _SWITCH,
    "SWITCH_CAPABILITY": _SWITCH,
    "TOOL_UNKNOWN": "Name a registered tool (`deed tool list`), or have it registered (`deed tool add`).",
    "TOOL_QUARANTINED": "An operator looks at the changed definition and says `deed tool accept TOOL`.",
    "SERVER_UNKNOWN": "An operator registers the server for this tenant: `deed mcp add`.",
    "CAPABILITY_MISMATCH": "Name the capability that the registry has for this tool (`deed tool show TOOL`).",
    "TARGET_MISSING": "Fill the argument that says what is acted upon (`target_path` in `deed tool show TOOL`).",
    "POLICY_MISSING": "An operator publishes a policy for the tenant: `deed policy publish FILE`.",
    "POLICY_MALFORMED": "An operator publishes a policy that can be read: `deed policy check FILE` says what is wrong.",
    "TOOL_DENIED": "Use another tool, or have the policy changed (`deed policy show`).",
    "TOOL_NOT_ALLOWED": "Use a tool that the policy allows (`deed policy show`), or have the policy changed.",
    "FIELD_DENIED": "Leave out the field that the finding names, or have the policy changed.",
    "FIELD_NOT_ALLOWED": "Leave out the field that the finding names, or have the policy changed.",
    "FRESHNESS_UNKNOWN": "Say in data_sources what the intent relies on, and as of when.",
    "FRESHNESS_UNDEFINED": "Name a source that the policy knows, or have it given a limit.",
    "FRESHNESS_FUTURE": "Correct the time of the data source, or the clock of whoever read it.",
    "FRESHNESS_STALE": "Read the source again, and submit what follows from it under a new key.",
    "FRESHNESS_AGING": "A warning: read the source again before the next intent.",
    "GROUNDING_MISSING": "Cite the evidence that the action rests on: a source, a record or a ledger event.",
    "GROUNDING_SHAPE": "Correct the citation: type and id; of a ledger event the intent's id as type, and its own id.",
    "EVIDENCE_UNKNOWN": "Cite an event of your own tenant; `deed show INTENT` has the ids of its events.",
    "EVIDENCE_UNREADABLE": "Submit again under a new key; the operator looks at DEED_STATUS_DATABASE_URL.",
    "PRICE_UNKNOWN": "Name a registered tool: only those have a price.",
    "COST_CAP": "Raise the intent's cost cap to the tool's price, or use a cheaper tool.",
    "COST_CLASS": "A warning: the registry's cost class counts, name that one or none.",
    "MORE_FINDINGS": "Mend what the findings before it name; these are of the same kind.",
    "VALIDATOR_FAILED": "The operator finds the cause in the log of validation; a gate that fails stays shut.",
    "GATE_FAILED": "The operator finds the cause in the log of validation; a gate that fails stays shut.",
}

APPROVING: Final[Mapping[str, str]] = {
    "DENIED": "Read the approver's reason; submit a corrected intent under a new key, edited_from naming this one.",
    "NO_APPROVERS": "An operator names roles that may approve in the policy: `deed policy publish FILE`.",
    "APPROVAL_EXPIRED": "Submit again under a new key, and tell those who approve; `deed stuck` shows them what waits.",
    "APPROVAL_WITHDRAWN": "Ask who took the approval back; then submit again under a new key.",
    "SELF_APPROVAL": "Ask somebody else: who proposed it never decides on it. On a local system: `deed --as NAME`.",
    "NOT_HUMAN": "A person decides, with a token of kind HUMAN.",
    "DIGEST_MISMATCH": "Look at the request as it is now (`deed show INTENT`) and decide on that.",
    "ALREADY_DECIDED": _LOOK,
    "ALREADY_VOTED": "Your approval counts already; others must agree too.",
    "NOT_GRANTED": "Only an approval that was granted can be taken back; `deed deny` refuses one that is open.",
}

PAYING: Final[Mapping[str, str]] = {
    "BUDGET_EXCEEDED": "Wait for the next period, or have the cap raised: `deed budget show`, `deed budget set`.",
    "BUDGET_MISSING": "An operator defines a budget that covers tenant, account or tool: `deed budget set`.",
}

EXECUTING: Final[Mapping[str, str]] = {
    "CANCELLED": "Somebody called it off, as the reason says; if it shall happen after all, submit under a new key.",
    "KILLED": _SWITCH,
    "TOOL_CHANGED": "An operator says `deed tool accept TOOL`, which shows the difference and asks; then submit anew.",
    "APPROVAL_CHANGED": "Submit again under a new key: the people whom the policy names now are asked then.",
    "PRICE_CHANGED": "Submit again under a new key: the tool's price has risen since it was validated.",
    "ALREADY_REQUESTED": _LOOK,
    "ALREADY_ENDED": _LOOK,
    "ALREADY_RESOLVED": _LOOK,
    "IN_DOUBT": _RESOLVE,
    "NOT_IN_DOUBT": "Only a doubt can be resolved; `deed explain INTENT` says what it waits for.",
    "QUIET_PERIOD": "Wait until the quiet period is over (`deed show INTENT`), look again, then resolve.",
    "COST_INVALID": "Give the cost in millionths of the currency, 0 or more.",
    "REASON_MISSING": "Give a reason, and for a resolution its evidence.",
    "NOT_APPLIED": _AGAIN,
    "TOOL_FAILED": _AGAIN,
    "TOOL_ERROR": "Read what the tool answered (`deed show INTENT`), correct the arguments, submit under a new key.",
    "TOOL_REFUSED": "Read what the tool answered (`deed show INTENT`), correct the arguments, submit under a new key.",
    "INVALID_TOOL_RESPONSE": "The operator corrects how the tool's answer is read: extractors and success rule.",
    "ANSWER_MALFORMED": "The operator looks at the tool server: its answer is no JSON-RPC.",
    "ANSWER_TOO_LARGE": "Ask the tool for less, or the operator raises the limit of its answers.",
    "PROTOCOL": "The operator looks at the tool server: its answer breaks MCP.",
    "BAD_ARGUMENTS": "Correct the arguments as the tool's input schema wants them (`deed tool show TOOL`).",
    "SECRET_UNRESOLVED": "The operator configures a secret store, or the tool takes no secret.",
    "KEY_ARGUMENT_TAKEN": "Leave out the argument that carries the key of the call.",
    "KEY_NOT_PLACEABLE": "The operator corrects where the tool takes its key (key placement in the registry).",
    "KEY_WINDOW_OVER": "The tool may not honour the key of the first call any more. " + _RESOLVE,
    "ASKING": _ASKED,
    "NOT_THERE_YET": _ASKED,
    "QUERY_FAILED": _ASKED,
    "QUERY_UNFILLED": "The operator corrects query_template of the tool in the registry. " + _RESOLVE,
    "QUERY_TOOL_WRITES": "The operator registers a READ_ONLY tool as the one to ask. " + _RESOLVE,
    "TOOL_MISSING": "The operator looks at the server: it does not offer this tool any more.",
    "TRANSPORT_MISSING": "The operator registers the tool's server with a transport that the worker has.",
    "TIMEOUT": "No answer came in time. " + _RESOLVE,
    "SERVER_UNAVAILABLE": "Wait a while; if it stays, the operator looks at the tool server. " + _RESOLVE,
    "REDIRECTED": "The operator writes the server's present address into the servers' file.",
    "CREDENTIAL_REFUSED": "The operator renews the credential that goes along (headers_from in the servers' file).",
    "HTTP_ERROR": _SERVER,
    "CONNECTION_LOST": _AGAIN,
    "NOT_SENT": _AGAIN,
    "LOOK_AGAIN": _AGAIN,
    "NOT_OWNER": _AGAIN,
    "OWNER_LOST": "The worker was lost in mid-call. " + _RESOLVE,
    "ADAPTER_ERROR": _SERVER,
    "START_FAILED": _SERVER,
    "SERVER_BUSY": _AGAIN,
    "SERVER_DOWN": _SERVER,
    "SERVER_SILENT": _SERVER,
    "SERVER_LIST_FAILED": _SERVER,
    "SERVER_NOT_STARTED": _SERVER,
    "JOURNAL_AWAY": "The operator makes the journal of the built-in tools writable (DEED_JOURNAL).",
    "JOURNAL_CUT": "The disk of the journal is full. " + _RESOLVE,
    "UNKNOWN_INTENT": "Check the id and the tenant of your token; a command waits half a minute for its intent.",
}

CHANGING: Final[Mapping[str, str]] = {  # control
    "NOT_STOPPED": "Nothing to open: `deed switches` lists what is closed.",
    "UNKNOWN_BUDGET": "Check kind, id, cost class and period: `deed budget show`.",
    "UNKNOWN_SERVER": "Check the name: `deed mcp list`.",
    "UNKNOWN_TOOL": "Check the name: `deed tool list`.",
    "UNKNOWN_FLAG": "Check the flag and its level; it is not set there.",
    "UNKNOWN_RATE_LIMIT": "Check what the limit was for; it is not set there.",
    "NOT_QUARANTINED": "Nothing to accept: the tool is in use.",
    "DEFINITION_UNKNOWN": "Accept the definition that was registered or observed; `deed tool show TOOL` has both.",
    "DEFINITION_INVALID": "Register the definition as the server lists it: `deed tool add --from-mcp`.",
    "DEFINITION_HASH_MISMATCH": "Register the definition as the server lists it: `deed tool add --from-mcp`.",
    "POLICY_HASH_MISMATCH": "Publish the policy again; its hash is that of its canonical JSON.",
    "UNCHANGED": "Nothing to do: it is so already.",
    "REASON_INVALID": "Give a reason of at most 1000 characters.",
    "ID_INVALID": _TYPED,
    "VALUE_INVALID": _TYPED,
}

OPERATING: Final[Mapping[str, str]] = {  # what the lanes themselves say
    "DECIDE_FAILED": _MENDED,
    "DECIDE_ENDLESS": _MENDED,
    "EVOLVE_FAILED": _MENDED,
    "PREPARE_FAILED": _MENDED,
    "KILLED_PROCESS": _MENDED,
    "PARKED_FULL": _MENDED,
    "NOT_PARKED": _SEEN,
    "SUMS_DIFFER": _BOOKS,
    "VERSION_TWICE": _BOOKS,
    "VERSION_MISSING": _BOOKS,
    "SCOPES_DIFFER": _BOOKS,
    "AMOUNT_DIFFERS": _BOOKS,
    "SHARES_DIFFER": _BOOKS,
    "CAP_EXCEEDED": _BOOKS,
    "EVIDENCE_DIFFERS": _BOOKS,
    "DENIED_WITH_ROOM": _BOOKS,
}

REMEDIES: Final[Mapping[str, str]] = {
    **SUBMITTING, **CALLING, **VALIDATING, **APPROVING, **PAYING, **EXECUTING, **CHANGING, **OPERATING
}  # fmt: skip


def remedy(code: str) -> str:
    """What to do about a code; "" = nothing in particular."""
    return REMEDIES.get(code, "")


def remedy_in_doubt(code: str) -> str:
    """What to do about a deed of which nobody knows whether it happened: find out, whatever the code. What else helps
    against the code, such as to submit it again, could do it twice."""
    told = remedy(code)
    return told if told.endswith(_RESOLVE) or told == _ASKED else _RESOLVE


def remedy_after(code: str) -> str:
    """What to do about a deed that has ended: then there is no doubt to resolve."""
    told = remedy(code)
    return told.removesuffix(_RESOLVE) + _AGAIN if told.endswith(_RESOLVE) else told
