"""The types of all events, commands and messages.

Generated from schemas/ by libs.contracts.generate: do not edit.

Ids are 16 and digests 32 raw bytes; names ending in `_at` are microseconds since 1970 UTC. Events are without their
envelope, which is a type of its own. Fields with a default come last; give fields by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import msgspec


class ActorKind(StrEnum):
    """Who acts. HUMAN: a person. MACHINE: an agent or another program. SYSTEM: a Deedbook service. A reader that
    does not know the symbol takes the least trusted, MACHINE.
    """

    HUMAN = "HUMAN"
    MACHINE = "MACHINE"
    SYSTEM = "SYSTEM"


class AnswerStatus(StrEnum):
    """What is known of a call. SUCCEEDED: applied. FAILED: provably not applied. AMBIGUOUS: may or may not have been
    applied. NOT_SENT: the tool was never called. Unknown reads as AMBIGUOUS.
    """

    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    AMBIGUOUS = "AMBIGUOUS"
    NOT_SENT = "NOT_SENT"


class BreakerState(StrEnum):
    """State of a server's circuit breaker. CLOSED: calls pass. OPEN: none do. HALF_OPEN: a few trial calls pass.
    Unknown reads as OPEN.
    """

    CLOSED = "CLOSED"
    OPEN = "OPEN"
    HALF_OPEN = "HALF_OPEN"


class BudgetKind(StrEnum):
    """What a budget's cap is for."""

    GLOBAL = "GLOBAL"
    TENANT = "TENANT"
    ACCOUNT = "ACCOUNT"
    TOOL = "TOOL"


class BudgetPeriod(StrEnum):
    """How long a budget's sums run before they start again at zero (UTC). ONCE: never."""

    ONCE = "ONCE"
    DAY = "DAY"
    MONTH = "MONTH"


class ChokePoint(StrEnum):
    """The place where validators must run before work goes on."""

    PLAN_APPROVAL = "PLAN_APPROVAL"
    STEP_EXECUTION = "STEP_EXECUTION"
    EXPENSIVE_OPERATION = "EXPENSIVE_OPERATION"
    EXTERNAL_WRITE = "EXTERNAL_WRITE"


class CostClass(StrEnum):
    """How expensive a call of the tool counts, as the registry says. Unknown reads as the most expensive."""

    CHEAP = "CHEAP"
    MEDIUM = "MEDIUM"
    EXPENSIVE = "EXPENSIVE"


class EffectClass(StrEnum):
    """What can be known after a crash in mid-call. READ_ONLY: nothing is changed, call again. KEYED: the tool takes
    an idempotency key, call again with the same. QUERYABLE: the tool can be asked whether it was applied. OPAQUE:
    neither, so the deed is in doubt. Unknown reads as OPAQUE.
    """

    READ_ONLY = "READ_ONLY"
    KEYED = "KEYED"
    QUERYABLE = "QUERYABLE"
    OPAQUE = "OPAQUE"


class EffectKind(StrEnum):
    """Whether the tool changes something outside. Unknown reads as WRITE."""

    READ = "READ"
    WRITE = "WRITE"


class ErrorMeaning(StrEnum):
    """What an answer flagged as an error says about the effect. FAILED: nothing was applied. AMBIGUOUS: it may have
    been. Unknown reads as AMBIGUOUS.
    """

    FAILED = "FAILED"
    AMBIGUOUS = "AMBIGUOUS"


class EvidenceKind(StrEnum):
    """What a piece of evidence points at. SOURCE: a document or message of an outside source. LEDGER_EVENT: an event
    of this ledger. RECORD: a record in a named system.
    """

    SOURCE = "SOURCE"
    LEDGER_EVENT = "LEDGER_EVENT"
    RECORD = "RECORD"


class ExtractorKind(StrEnum):
    """Where object references come from. STRUCTURED: a path into the answer's structured content. TEXT: a pattern on
    the answer's text. TEMPLATE: made from the arguments of the call.
    """

    STRUCTURED = "STRUCTURED"
    TEXT = "TEXT"
    TEMPLATE = "TEMPLATE"


class FailureCategory(StrEnum):
    """Why something failed. TRANSIENT: another try may succeed. PERMANENT: it will fail again. POLICY: a rule or a
    person said no.
    """

    TRANSIENT = "TRANSIENT"
    PERMANENT = "PERMANENT"
    POLICY = "POLICY"


class FlagLevel(StrEnum):
    """The level of configuration a flag is set at; later symbols override earlier ones."""

    GLOBAL = "GLOBAL"
    SERVER = "SERVER"
    TOOL = "TOOL"
    TENANT = "TENANT"


class KeyPlacement(StrEnum):
    """Where a KEYED tool takes its idempotency key: an argument of the call, the request's metadata, or a transport
    header.
    """

    NONE = "NONE"
    ARGUMENT = "ARGUMENT"
    META = "META"
    HEADER = "HEADER"


class OutcomeStatus(StrEnum):
    """How an intent ended. SUCCEEDED: carried out. FAILED: the tool definitely failed. BLOCKED: a validator said no.
    DENIED: no consent or no budget. CANCELLED: called off before it took effect. EXPIRED: too late. REFUSED: what
    was decided no longer held at dispatch.
    """

    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    BLOCKED = "BLOCKED"
    DENIED = "DENIED"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"
    REFUSED = "REFUSED"


class RateLimitKind(StrEnum):
    """What a rate limit counts."""

    TENANT = "TENANT"
    TOOL = "TOOL"
    SERVER = "SERVER"


class SuccessRule(StrEnum):
    """When an answer is a success. REFS: it names at least one external object. ANSWER: any well-formed answer that
    is no error (reads).
    """

    REFS = "REFS"
    ANSWER = "ANSWER"


class SwitchKind(StrEnum):
    """What a kill switch stops. Unknown reads as GLOBAL."""

    GLOBAL = "GLOBAL"
    TENANT = "TENANT"
    ACCOUNT = "ACCOUNT"
    TOOL = "TOOL"
    CAPABILITY = "CAPABILITY"


class Transport(StrEnum):
    """How a tool server is reached. STDIO: MCP over a child process. HTTP: MCP over streamable HTTP. BUILTIN: an
    adapter inside the executor.
    """

    STDIO = "STDIO"
    HTTP = "HTTP"
    BUILTIN = "BUILTIN"


class Verdict(StrEnum):
    """What a validator says; the worst of all counts. WARN never alters the flow. Unknown reads as BLOCK."""

    ALLOW = "ALLOW"
    WARN = "WARN"
    BLOCK = "BLOCK"


class Vote(StrEnum):
    """What an approver says. Unknown reads as DENY."""

    APPROVE = "APPROVE"
    DENY = "DENY"


class Actor(msgspec.Struct, frozen=True, gc=False):
    """Who is behind a record."""

    id: str
    """Subject of the verified token, or the name of the service."""
    kind: ActorKind
    """Person, program or Deedbook itself."""


class Cause(msgspec.Struct, frozen=True, gc=False):
    """The input that made the writer decide."""

    topic: str
    """Topic of the input; `timer/...` or `effect` when it was no record."""
    position: int
    """Seq of the input on a chained topic, Kafka offset on others, 0 for timers and effects."""
    id: bytes
    """Event id or command id of the input; the key's id for timers and effects."""


class CommandRejected(msgspec.Struct, frozen=True, gc=False):
    """A command was looked at and changes nothing."""

    command_id: bytes
    """Id of the command."""
    command: str
    """Type name of the command, such as `Cancel`."""
    code: str
    """Stable code of the reason."""
    reason: str
    """The reason in words."""


class DataSource(msgspec.Struct, frozen=True, gc=False):
    """Data the agent looked at, with its age."""

    name: str
    """Name of the source, as freshness policies know it."""
    as_of_at: int
    """The moment the data was true, as the agent says."""


class Envelope(msgspec.Struct, frozen=True):
    """First field of every ledger event: its place in the chain, whose it is and what caused it. Written by the
    lane.
    """

    seq: int
    """Gapless number of the event in its partition, from 1."""
    prev_hash: bytes
    """SHA-256 of the whole record value of the event before it in the partition; zeros for the first."""
    event_id: bytes
    """UUIDv5 of the cause and the index of the event among those it caused."""
    intent_id: bytes
    """The key: the intent the event is about; on ledger.control the key of the entity."""
    tenant: str
    """Tenant of the intent, from verified claims."""
    account: str
    """Account of the intent; "" = none."""
    cause: Cause
    """What made the writer decide."""
    control_seq: int
    """Seq of ledger.control up to which the writer's view of it went."""
    occurred_at: int
    """When it was decided, by the database's clock."""
    trace_parent: str
    """W3C traceparent of the submission; "" = none."""
    actor: Actor
    """Who caused it: the principal of a submission or command, else the service."""
    producer: str
    """Name and version of the program that wrote it."""


class Evidence(msgspec.Struct, frozen=True, gc=False):
    """Something the agent relies on."""

    kind: EvidenceKind
    """What it points at."""
    type: str
    """Type of the source or record, as its system calls it; "" for ledger events."""
    id: str
    """Id in that system; for LEDGER_EVENT the event id in hexadecimal."""


class Extractor(msgspec.Struct, frozen=True, gc=False):
    """How to find references to outside objects in an answer."""

    kind: ExtractorKind
    """Where they come from."""
    type: str
    """Type that the references get."""
    path: str = ""
    """STRUCTURED: path into the structured content."""
    pattern: str = ""
    """TEXT: regular expression whose first group is the id."""
    template: str = ""
    """TEMPLATE: text with {argument} places."""


class KeyParked(msgspec.Struct, frozen=True, gc=False):
    """Deciding about this key raised an error: its inputs wait, others go on."""

    service: str
    """Service that parked it."""
    code: str
    """Stable code: what kind of failure."""
    error: str
    """The error in words, without secrets and arguments."""
    input_topic: str
    """Topic of the record that could not be decided."""
    input_position: int
    """Its seq (chained topics) or offset."""


class KeyUnparked(msgspec.Struct, frozen=True, gc=False):
    """A parked key is decided again from the record that it stopped at."""

    service: str
    """Service that had parked it."""
    command_id: bytes
    """The Unpark command."""
    by: str
    """Subject of who asked for it."""
    reason: str
    """Why, in the words of who asked."""


class ObjectRef(msgspec.Struct, frozen=True, gc=False):
    """An object in an outside system that a call made or changed."""

    type: str
    """Kind of object, such as `commit` or `ticket`."""
    id: str
    """Its id in the outside system."""


class Principal(msgspec.Struct, frozen=True):
    """A verified caller, from the claims of the token."""

    tenant: str
    """Tenant from the claims."""
    subject: str
    """The token's subject: who acts."""
    kind: ActorKind
    """Person or program."""
    accounts: tuple[str, ...]
    """Accounts the claims allow; none = no account."""
    roles: tuple[str, ...]
    """Roles from the claims."""


class ScopeLine(msgspec.Struct, frozen=True, gc=False):
    """One stripe of a budget scope as it stands after the event."""

    scope: str
    """The scope: kind, id, cost class and period in one string."""
    stripe: int
    """Number of the lane whose stripe this is."""
    version: int
    """Version of the row after the event; one more than before."""
    share_micros: int
    """The stripe's part of the hard cap, in millionths of the currency unit."""
    pending_micros: int
    """Sum of what is reserved and not settled."""
    posted_micros: int
    """Sum of what is spent."""
    hard_micros: int
    """Hard cap of the whole scope as the writer saw it."""
    frozen: bool
    """True: the stripe grants nothing until its share fits a lowered cap."""
    cap_seq: int
    """Seq on ledger.control of the definition of this cap."""
    soft_micros: int | None = None
    """Soft cap of the whole scope; null = none."""


class ToolAnswer(msgspec.Struct, frozen=True):
    """What is known of one call of a tool."""

    status: AnswerStatus
    """What is known of the call."""
    started_at: int
    """When the tool was called."""
    duration_ms: int
    """How long the call took."""
    code: str = ""
    """Stable code of the failure or doubt; "" on success."""
    category: FailureCategory = FailureCategory.PERMANENT
    """Why, by category; without meaning on success."""
    reason: str = ""
    """The failure or doubt in words."""
    cost_micros: int | None = None
    """Actual cost as the answer says; null = it does not."""
    object_refs: tuple[ObjectRef, ...] = ()
    """Outside objects that were made or changed."""
    response_digest: bytes | None = None
    """SHA-256 of the raw answer; null = there was none."""
    response_bytes: int = 0
    """Size of the raw answer."""
    summary: str = ""
    """The answer in short, without secrets."""
    retry_after_ms: int | None = None
    """How long the tool asks to wait before another try; null = it does not."""
    artifact: str = ""
    """Where the raw answer is kept; "" = nowhere."""
    tokens: int | None = None
    """Model tokens the call used, as the answer says; null = it does not."""


class ToolEntry(msgspec.Struct, frozen=True):
    """All that Deedbook knows about a tool; what the operator says, not the tool's server."""

    server: str
    """Name of the registered server that offers it."""
    definition: str
    """The tool's definition as the server gives it: JSON text with name, description and input schema."""
    definition_hash: bytes
    """SHA-256 of the canonical JSON of the definition; a change quarantines the tool."""
    capability: str
    """Capability a caller needs and a kill switch can stop."""
    effect: EffectKind
    """Reads or writes."""
    effect_class: EffectClass
    """What can be known after a crash in mid-call."""
    cost_class: CostClass
    """How expensive it counts."""
    price_micros: int
    """Maximum price of one call, reserved before it; millionths of the currency unit."""
    timeout_ms: int
    """Longest time to wait for an answer."""
    answer_cost_path: str = ""
    """Path in the structured content that holds the actual cost in micros; "" = the price counts."""
    target_path: str = ""
    """Path in the arguments of what is acted upon; "" = the tool itself."""
    extractors: tuple[Extractor, ...] = ()
    """How references to outside objects are found, in order."""
    success_rule: SuccessRule = SuccessRule.REFS
    """When an answer is a success."""
    is_error_means: ErrorMeaning = ErrorMeaning.AMBIGUOUS
    """What an error answer says about the effect."""
    attempts_max: int = 1
    """Most dispatches of one intent, the first included."""
    backoff_ms: int = 1000
    """Wait before the second attempt; doubles with each further one."""
    backoff_max_ms: int = 60000
    """Longest wait between attempts."""
    key_placement: KeyPlacement = KeyPlacement.NONE
    """Where the idempotency key goes (KEYED, and QUERYABLE if it is asked by it)."""
    key_name: str = ""
    """Name of the argument, metadata entry or header that takes the key."""
    query_tool: str = ""
    """Name of a READ_ONLY tool of the same server, registered as well, whose answer names an outside object if the
    call was applied and none if not (QUERYABLE only).
    """
    query_template: str = ""
    """Arguments of the query tool: JSON text with {argument} and {key} places."""
    quiet_ms: int = 0
    """Time after a call before 'not there' is believed (QUERYABLE only)."""
    secret_fields: tuple[str, ...] = ()
    """Paths in the arguments that take secret:// references only."""
    roles_allowed: tuple[str, ...] = ()
    """Roles that may use it; none = every role."""
    policy: str = ""
    """Name of a policy that judges calls of this tool besides the tenant's; "" = none."""
    key_window_ms: int = 0
    """How long the tool honours a key, from the first call with it (KEYED only); 0 = not known, so nothing is called
    again after a lost answer.
    """


class ValidatorResult(msgspec.Struct, frozen=True, gc=False):
    """What one validator said, kept for every validator that ran."""

    validator: str
    """Name of the validator."""
    choke_point: ChokePoint
    """Where it ran."""
    verdict: Verdict
    """What it said."""
    code: str
    """Stable code of the reason; "" when ALLOW needs none."""
    reason: str
    """The reason in words, without secrets."""
    target: str
    """What was judged: a field, data source or tool; "" = the whole intent."""
    input_digest: bytes
    """SHA-256 over the canonical form of what the validator saw."""


class ApprovalCancelled(msgspec.Struct, frozen=True, gc=False):
    """The intent was called off while it waited for people."""

    by: str
    """Subject of who called it off."""
    reason: str
    """The reason in words."""
    command_id: bytes | None = None
    """The Cancel command; null = a kill switch."""


class ApprovalDenied(msgspec.Struct, frozen=True, gc=False):
    """Consent was refused."""

    code: str
    """Stable code of the reason."""
    reason: str
    """The reason in words."""
    by: str
    """Subject of who refused."""


class ApprovalExpired(msgspec.Struct, frozen=True, gc=False):
    """Nobody decided in time."""

    reason: str
    """The reason in words."""


class ApprovalGranted(msgspec.Struct, frozen=True):
    """Enough people said yes."""

    action_digest: bytes
    """The action they approved; nothing else may run."""
    approvers: tuple[str, ...]
    """Subjects of those who approved."""
    expires_at: int
    """The approval is void after this moment."""


class ApprovalRequested(msgspec.Struct, frozen=True):
    """The intent waits for people."""

    action_digest: bytes
    """The action they are asked about."""
    needed: int
    """How many must approve."""
    roles: tuple[str, ...]
    """Roles that may approve."""
    expires_at: int
    """Until when."""
    display: str
    """The arguments for people: redacted JSON text."""
    tool: str
    """Id of the tool."""
    requester: str
    """Subject of the submitter, who may not approve."""


class ApprovalVoted(msgspec.Struct, frozen=True, gc=False):
    """An approver's vote counts."""

    command_id: bytes
    """The ApprovalVote command."""
    voter: str
    """Subject of the approver."""
    vote: Vote
    """Yes or no."""
    reason: str
    """Why, in the approver's words."""


class ApprovalWithdrawn(msgspec.Struct, frozen=True, gc=False):
    """A granted approval was taken back."""

    command_id: bytes
    """The WithdrawApproval command."""
    by: str
    """Subject of who withdrew it."""
    reason: str
    """The reason in words."""


class BudgetCorrected(msgspec.Struct, frozen=True):
    """What was posted or released turned out to be wrong."""

    from_micros: int
    """What had been posted."""
    to_micros: int
    """What is posted now."""
    reason: str
    """Why, in words."""
    lines: tuple[ScopeLine, ...]
    """Every stripe touched, as it stands afterwards."""


class BudgetDenied(msgspec.Struct, frozen=True):
    """A hard cap leaves too little."""

    amount_micros: int
    """What was asked for."""
    scope: str
    """The first scope that refused; "" when it was none."""
    code: str
    """Stable code of the reason."""
    reason: str
    """The reason in words."""
    available_micros: int
    """What the scope had left."""
    lines: tuple[ScopeLine, ...] = ()
    """Stripes that a rebalance touched all the same."""


class BudgetReleased(msgspec.Struct, frozen=True):
    """The deed was not carried out: what was set aside is free again."""

    amount_micros: int
    """What had been set aside."""
    reason: str
    """Why, in words."""
    lines: tuple[ScopeLine, ...]
    """Every stripe touched, as it stands afterwards."""


class BudgetReserved(msgspec.Struct, frozen=True):
    """Money is set aside for the deed; all hard caps hold."""

    amount_micros: int
    """What was set aside, in each scope."""
    lines: tuple[ScopeLine, ...]
    """Every stripe that the decision touched, as it stands afterwards."""
    scopes: tuple[str, ...]
    """Scopes in which the amount is pending."""
    warnings: tuple[str, ...] = ()
    """Scopes whose soft cap is exceeded."""


class BudgetSettled(msgspec.Struct, frozen=True):
    """The deed was carried out: its actual cost is spent, the rest is free again."""

    reserved_micros: int
    """What had been set aside."""
    actual_micros: int
    """What it cost."""
    overrun: bool
    """True: it cost more than was set aside."""
    lines: tuple[ScopeLine, ...]
    """Every stripe touched, as it stands afterwards."""


class ApprovalVote(msgspec.Struct, frozen=True):
    """An approver's vote. Answered by approval."""

    command_id: bytes
    """Id of the command; a repeat with the same id changes nothing."""
    intent_id: bytes
    """The intent it is about: the key."""
    principal: Principal
    """Who gives it, verified by the front end."""
    reason: str
    """Why, in their words."""
    issued_at: int
    """When the front end took it."""
    vote: Vote
    """Yes or no."""
    action_digest: bytes
    """Digest of the action the approver saw; another one is refused."""


class Cancel(msgspec.Struct, frozen=True):
    """Calls an intent off. Answered by execution."""

    command_id: bytes
    """Id of the command; a repeat with the same id changes nothing."""
    intent_id: bytes
    """The intent it is about: the key."""
    principal: Principal
    """Who gives it, verified by the front end."""
    reason: str
    """Why, in their words."""
    issued_at: int
    """When the front end took it."""


class LateResult(msgspec.Struct, frozen=True):
    """An answer of a tool that came after its deed had been left in doubt or resolved. Answered by execution."""

    command_id: bytes
    """Id of the command; a repeat with the same id changes nothing."""
    intent_id: bytes
    """The intent it is about: the key."""
    principal: Principal
    """Who gives it, verified by the front end."""
    reason: str
    """Why, in their words."""
    issued_at: int
    """When the front end took it."""
    attempt: int
    """The attempt it answers."""
    answer: ToolAnswer
    """The answer."""


class Resolve(msgspec.Struct, frozen=True):
    """A person says what became of a deed in doubt. Answered by execution."""

    command_id: bytes
    """Id of the command; a repeat with the same id changes nothing."""
    intent_id: bytes
    """The intent it is about: the key."""
    principal: Principal
    """Who gives it, verified by the front end."""
    reason: str
    """Why, in their words."""
    issued_at: int
    """When the front end took it."""
    applied: bool
    """True: the call took effect."""
    evidence: str
    """What the person looked at."""
    cost_micros: int | None = None
    """What it cost; null = the price that was reserved if applied, else nothing."""


class Unpark(msgspec.Struct, frozen=True):
    """Asks the service that parked a key to decide it again."""

    command_id: bytes
    """Id of the command; a repeat with the same id changes nothing."""
    intent_id: bytes
    """The intent it is about: the key."""
    principal: Principal
    """Who gives it, verified by the front end."""
    reason: str
    """Why, in their words."""
    issued_at: int
    """When the front end took it."""
    service: str
    """The service that shall do so."""


class WithdrawApproval(msgspec.Struct, frozen=True):
    """Takes back a granted approval before the call. Answered by approval."""

    command_id: bytes
    """Id of the command; a repeat with the same id changes nothing."""
    intent_id: bytes
    """The intent it is about: the key."""
    principal: Principal
    """Who gives it, verified by the front end."""
    reason: str
    """Why, in their words."""
    issued_at: int
    """When the front end took it."""


class BreakerChanged(msgspec.Struct, frozen=True, gc=False):
    """A server's circuit breaker changed for all workers."""

    command_id: bytes
    """The control command that asked for it."""
    by: str
    """Subject of who asked for it."""
    reason: str
    """Why, in their words."""
    server: str
    """The server."""
    state: BreakerState
    """The state."""
    failures: int
    """Failed calls in a row that led to it."""
    until_at: int | None = None
    """When OPEN turns into HALF_OPEN; null = not OPEN."""


class BudgetDefined(msgspec.Struct, frozen=True, gc=False):
    """A budget's caps, from now on."""

    command_id: bytes
    """The control command that asked for it."""
    by: str
    """Subject of who asked for it."""
    reason: str
    """Why, in their words."""
    kind: BudgetKind
    """What it is for."""
    id: str
    """Tenant, `tenant/account` or tool; "" for GLOBAL."""
    period: BudgetPeriod
    """How long the sums run."""
    hard_micros: int
    """Hard cap: never exceeded by a grant."""
    cost_class: CostClass | None = None
    """Only deeds of this class count; null = all."""
    soft_micros: int | None = None
    """Soft cap: exceeding it warns; null = none."""


class BudgetRemoved(msgspec.Struct, frozen=True, gc=False):
    """A budget no longer binds."""

    command_id: bytes
    """The control command that asked for it."""
    by: str
    """Subject of who asked for it."""
    reason: str
    """Why, in their words."""
    kind: BudgetKind
    """What it was for."""
    id: str
    """Tenant, `tenant/account` or tool; "" for GLOBAL."""
    period: BudgetPeriod
    """How long its sums ran."""
    cost_class: CostClass | None = None
    """The class it was for; null = all."""


class FlagSet(msgspec.Struct, frozen=True, gc=False):
    """A flag's value, from now on."""

    command_id: bytes
    """The control command that asked for it."""
    by: str
    """Subject of who asked for it."""
    reason: str
    """Why, in their words."""
    level: FlagLevel
    """Where it is set."""
    id: str
    """Server, tool or tenant; "" for GLOBAL."""
    name: str
    """Name of the flag."""
    value: str | None = None
    """The value: JSON text; null = not set at this level."""


class PolicyPublished(msgspec.Struct, frozen=True, gc=False):
    """A policy snapshot holds from now on."""

    command_id: bytes
    """The control command that asked for it."""
    by: str
    """Subject of who asked for it."""
    reason: str
    """Why, in their words."""
    tenant: str
    """Tenant it is for; "" = all that have none of their own."""
    policy: str
    """The policy: JSON text."""
    policy_hash: bytes
    """SHA-256 of the canonical JSON."""


class RateLimitSet(msgspec.Struct, frozen=True, gc=False):
    """A rate limit, from now on."""

    command_id: bytes
    """The control command that asked for it."""
    by: str
    """Subject of who asked for it."""
    reason: str
    """Why, in their words."""
    kind: RateLimitKind
    """What it counts."""
    id: str
    """Tenant, tool or server."""
    window_ms: int
    """Length of the window."""
    permits: int | None = None
    """Calls allowed in each window; null = no limit."""


class ServerRegistered(msgspec.Struct, frozen=True):
    """A tool server is known."""

    command_id: bytes
    """The control command that asked for it."""
    by: str
    """Subject of who asked for it."""
    reason: str
    """Why, in their words."""
    server: str
    """Its name."""
    transport: Transport
    """How it is reached."""
    profile: str
    """Name of the entry in the operator's local configuration that holds command line or address; never these
    themselves.
    """
    tenants: tuple[str, ...] = ()
    """Tenants that may use it; none = all."""


class ServerRemoved(msgspec.Struct, frozen=True, gc=False):
    """A tool server is no longer used."""

    command_id: bytes
    """The control command that asked for it."""
    by: str
    """Subject of who asked for it."""
    reason: str
    """Why, in their words."""
    server: str
    """Its name."""


class SwitchFlipped(msgspec.Struct, frozen=True, gc=False):
    """A kill switch was set or lifted."""

    command_id: bytes
    """The control command that asked for it."""
    by: str
    """Subject of who asked for it."""
    reason: str
    """Why, in their words."""
    kind: SwitchKind
    """What it stops."""
    id: str
    """Tenant, `tenant/account`, tool or capability; "" for GLOBAL."""
    stopped: bool
    """True: nothing of it starts. False: it may again."""


class ToolAccepted(msgspec.Struct, frozen=True, gc=False):
    """A quarantined tool may be used again with the definition named."""

    command_id: bytes
    """The control command that asked for it."""
    by: str
    """Subject of who asked for it."""
    reason: str
    """Why, in their words."""
    tool: str
    """Id of the tool."""
    definition_hash: bytes
    """Hash of the accepted definition."""


class ToolQuarantined(msgspec.Struct, frozen=True, gc=False):
    """A tool's server offers something else than was registered, or someone distrusts it; it waits for acceptance."""

    command_id: bytes
    """The control command that asked for it."""
    by: str
    """Subject of who asked for it."""
    reason: str
    """Why, in their words."""
    tool: str
    """Id of the tool."""
    code: str
    """Stable code: definition changed, or by hand."""
    observed_hash: bytes | None = None
    """Hash of the definition the server offers now; null = not looked at."""


class ToolRegistered(msgspec.Struct, frozen=True):
    """A tool may be used as its entry says; replaces an earlier entry."""

    command_id: bytes
    """The control command that asked for it."""
    by: str
    """Subject of who asked for it."""
    reason: str
    """Why, in their words."""
    tool: str
    """Id of the tool, `server/tool`."""
    entry: ToolEntry
    """All that Deedbook knows about it."""


class ToolRemoved(msgspec.Struct, frozen=True, gc=False):
    """A tool may no longer be used."""

    command_id: bytes
    """The control command that asked for it."""
    by: str
    """Subject of who asked for it."""
    reason: str
    """Why, in their words."""
    tool: str
    """Id of the tool."""


class AcceptTool(msgspec.Struct, frozen=True):
    """Accepts a tool's definition."""

    command_id: bytes
    """Id of the command; a repeat with the same id changes nothing."""
    principal: Principal
    """Who gives it, verified by the front end."""
    reason: str
    """Why, in their words."""
    issued_at: int
    """When the front end took it."""
    tool: str
    """Id of the tool."""
    definition_hash: bytes
    """Hash of the accepted definition."""


class DefineBudget(msgspec.Struct, frozen=True):
    """Sets a budget's caps."""

    command_id: bytes
    """Id of the command; a repeat with the same id changes nothing."""
    principal: Principal
    """Who gives it, verified by the front end."""
    reason: str
    """Why, in their words."""
    issued_at: int
    """When the front end took it."""
    kind: BudgetKind
    """What it is for."""
    id: str
    """Tenant, `tenant/account` or tool; "" for GLOBAL."""
    period: BudgetPeriod
    """How long the sums run."""
    hard_micros: int
    """Hard cap: never exceeded by a grant."""
    cost_class: CostClass | None = None
    """Only deeds of this class count; null = all."""
    soft_micros: int | None = None
    """Soft cap: exceeding it warns; null = none."""


class FlipSwitch(msgspec.Struct, frozen=True):
    """Sets or lifts a kill switch."""

    command_id: bytes
    """Id of the command; a repeat with the same id changes nothing."""
    principal: Principal
    """Who gives it, verified by the front end."""
    reason: str
    """Why, in their words."""
    issued_at: int
    """When the front end took it."""
    kind: SwitchKind
    """What it stops."""
    id: str
    """Tenant, `tenant/account`, tool or capability; "" for GLOBAL."""
    stopped: bool
    """True: nothing of it starts. False: it may again."""


class PublishPolicy(msgspec.Struct, frozen=True):
    """Publishes a policy snapshot."""

    command_id: bytes
    """Id of the command; a repeat with the same id changes nothing."""
    principal: Principal
    """Who gives it, verified by the front end."""
    reason: str
    """Why, in their words."""
    issued_at: int
    """When the front end took it."""
    tenant: str
    """Tenant it is for; "" = all that have none of their own."""
    policy: str
    """The policy: JSON text."""
    policy_hash: bytes
    """SHA-256 of the canonical JSON."""


class QuarantineTool(msgspec.Struct, frozen=True):
    """Puts a tool out of use until someone accepts it."""

    command_id: bytes
    """Id of the command; a repeat with the same id changes nothing."""
    principal: Principal
    """Who gives it, verified by the front end."""
    reason: str
    """Why, in their words."""
    issued_at: int
    """When the front end took it."""
    tool: str
    """Id of the tool."""
    code: str
    """Stable code: definition changed, or by hand."""
    observed_hash: bytes | None = None
    """Hash of the definition the server offers now; null = not looked at."""


class RegisterServer(msgspec.Struct, frozen=True):
    """Registers a tool server."""

    command_id: bytes
    """Id of the command; a repeat with the same id changes nothing."""
    principal: Principal
    """Who gives it, verified by the front end."""
    reason: str
    """Why, in their words."""
    issued_at: int
    """When the front end took it."""
    server: str
    """Its name."""
    transport: Transport
    """How it is reached."""
    profile: str
    """Name of the entry in the operator's local configuration that holds command line or address; never these
    themselves.
    """
    tenants: tuple[str, ...] = ()
    """Tenants that may use it; none = all."""


class RegisterTool(msgspec.Struct, frozen=True):
    """Registers a tool or replaces its entry."""

    command_id: bytes
    """Id of the command; a repeat with the same id changes nothing."""
    principal: Principal
    """Who gives it, verified by the front end."""
    reason: str
    """Why, in their words."""
    issued_at: int
    """When the front end took it."""
    tool: str
    """Id of the tool, `server/tool`."""
    entry: ToolEntry
    """All that Deedbook knows about it."""


class RemoveBudget(msgspec.Struct, frozen=True):
    """Removes a budget."""

    command_id: bytes
    """Id of the command; a repeat with the same id changes nothing."""
    principal: Principal
    """Who gives it, verified by the front end."""
    reason: str
    """Why, in their words."""
    issued_at: int
    """When the front end took it."""
    kind: BudgetKind
    """What it was for."""
    id: str
    """Tenant, `tenant/account` or tool; "" for GLOBAL."""
    period: BudgetPeriod
    """How long its sums ran."""
    cost_class: CostClass | None = None
    """The class it was for; null = all."""


class RemoveServer(msgspec.Struct, frozen=True):
    """Removes a tool server."""

    command_id: bytes
    """Id of the command; a repeat with the same id changes nothing."""
    principal: Principal
    """Who gives it, verified by the front end."""
    reason: str
    """Why, in their words."""
    issued_at: int
    """When the front end took it."""
    server: str
    """Its name."""


class RemoveTool(msgspec.Struct, frozen=True):
    """Removes a tool."""

    command_id: bytes
    """Id of the command; a repeat with the same id changes nothing."""
    principal: Principal
    """Who gives it, verified by the front end."""
    reason: str
    """Why, in their words."""
    issued_at: int
    """When the front end took it."""
    tool: str
    """Id of the tool."""


class ReportBreaker(msgspec.Struct, frozen=True):
    """A worker reports what its calls of a server say about the breaker."""

    command_id: bytes
    """Id of the command; a repeat with the same id changes nothing."""
    principal: Principal
    """Who gives it, verified by the front end."""
    reason: str
    """Why, in their words."""
    issued_at: int
    """When the front end took it."""
    server: str
    """The server."""
    state: BreakerState
    """The state."""
    failures: int
    """Failed calls in a row that led to it."""
    until_at: int | None = None
    """When OPEN turns into HALF_OPEN; null = not OPEN."""


class SetFlag(msgspec.Struct, frozen=True):
    """Sets a flag or takes it back."""

    command_id: bytes
    """Id of the command; a repeat with the same id changes nothing."""
    principal: Principal
    """Who gives it, verified by the front end."""
    reason: str
    """Why, in their words."""
    issued_at: int
    """When the front end took it."""
    level: FlagLevel
    """Where it is set."""
    id: str
    """Server, tool or tenant; "" for GLOBAL."""
    name: str
    """Name of the flag."""
    value: str | None = None
    """The value: JSON text; null = not set at this level."""


class SetRateLimit(msgspec.Struct, frozen=True):
    """Sets a rate limit or takes it away."""

    command_id: bytes
    """Id of the command; a repeat with the same id changes nothing."""
    principal: Principal
    """Who gives it, verified by the front end."""
    reason: str
    """Why, in their words."""
    issued_at: int
    """When the front end took it."""
    kind: RateLimitKind
    """What it counts."""
    id: str
    """Tenant, tool or server."""
    window_ms: int
    """Length of the window."""
    permits: int | None = None
    """Calls allowed in each window; null = no limit."""


class DeadLetter(msgspec.Struct, frozen=True):
    """A record that could not be taken, with its original bytes, so that it can be replayed."""

    service: str
    """Service that refused it."""
    code: str
    """Stable code of the reason."""
    reason: str
    """The reason in words."""
    topic: str
    """Topic it came from."""
    partition: int
    """Partition it came from."""
    offset: int
    """Offset it came from."""
    timestamp_at: int
    """The broker's time of the record."""
    value: bytes
    """Its value, unchanged."""
    headers: Mapping[str, bytes]
    """Its headers, except for credentials."""
    key: bytes | None = None
    """Its key; null = it had none."""


class CancelRequested(msgspec.Struct, frozen=True, gc=False):
    """A cancellation is noted; it takes effect if the tool was not called yet."""

    command_id: bytes
    """The Cancel command."""
    by: str
    """Subject of who called it off."""
    reason: str
    """Why, in their words."""


class ExecutionCancelled(msgspec.Struct, frozen=True, gc=False):
    """The deed was called off before it took effect."""

    attempt: int
    """The attempt; 0 = none was dispatched."""
    code: str
    """Stable code: by command, kill switch or withdrawn consent."""
    reason: str
    """The reason in words."""
    by: str
    """Subject of who called it off; the service's name for a switch."""
    not_sent: bool
    """True: an attempt was dispatched and provably not sent."""


class ExecutionDispatched(msgspec.Struct, frozen=True):
    """An attempt is about to be made; on the ledger before the tool is called."""

    attempt: int
    """Number of the attempt, from 1."""
    tool: str
    """Id of the tool, `server/tool`."""
    tool_hash: bytes
    """Hash of the tool's definition."""
    server: str
    """Server that is called."""
    action_digest: bytes
    """Digest of the action that runs."""
    effect_class: EffectClass
    """What can be known after a crash."""
    timeout_ms: int
    """Longest time to wait for an answer."""
    reservation_id: bytes
    """Event id of the BudgetReserved that pays."""
    policy_hash: bytes
    """Hash of the policy snapshot used at dispatch."""
    rechecks: tuple[ValidatorResult, ...] = ()
    """What validators said when they looked again at dispatch."""
    approval_id: bytes | None = None
    """Event id of the ApprovalGranted that allows it; null = none was needed."""


class ExecutionExpired(msgspec.Struct, frozen=True, gc=False):
    """The intent's time ran out before the tool was called."""

    attempt: int
    """The attempt; 0 = none was dispatched."""
    reason: str
    """The reason in words."""
    not_sent: bool
    """True: an attempt was dispatched and provably not sent."""


class ExecutionFailed(msgspec.Struct, frozen=True, gc=False):
    """The tool definitely did not carry the deed out."""

    attempt: int
    """The last attempt."""
    code: str
    """Stable code of the failure."""
    category: FailureCategory
    """Why, by category."""
    reason: str
    """The failure in words."""
    duration_ms: int
    """How long the call took."""


class ExecutionInDoubt(msgspec.Struct, frozen=True, gc=False):
    """Nobody knows whether the call took effect; the money is held and a role must act."""

    attempt: int
    """The attempt that is in doubt."""
    code: str
    """Stable code: no answer, lost executor, invalid answer."""
    reason: str
    """What is known, in words."""
    quiet_until_at: int
    """Before this moment 'not there' proves nothing."""
    owner_role: str
    """The role that must resolve it."""
    query: int = 0
    """How many times the tool has been asked whether the call was applied, this time included; 0 = it is not asked
    (any more).
    """
    ask_at: int | None = None
    """When it is asked next; null = it is being asked, or not asked at all."""


class ExecutionRefused(msgspec.Struct, frozen=True):
    """What had been decided no longer holds: not called."""

    attempt: int
    """The attempt; 0 = none was dispatched."""
    code: str
    """Stable code of the reason."""
    reason: str
    """The reason in words."""
    not_sent: bool
    """True: an attempt was dispatched and provably not sent."""
    rechecks: tuple[ValidatorResult, ...] = ()
    """What validators said when they looked again at dispatch."""


class ExecutionResolved(msgspec.Struct, frozen=True):
    """The doubt is over."""

    attempt: int
    """The attempt that was in doubt."""
    applied: bool
    """True: the call took effect."""
    cost_micros: int
    """What it cost; 0 if not applied."""
    by: str
    """Subject of who resolved it, or the service that asked the tool."""
    evidence: str
    """What the decision rests on."""
    command_id: bytes | None = None
    """The Resolve or LateResult command; null = the tool itself was asked."""
    object_refs: tuple[ObjectRef, ...] = ()
    """Outside objects, if they are known."""


class ExecutionRetryScheduled(msgspec.Struct, frozen=True, gc=False):
    """The attempt failed in a way that is worth another."""

    attempt: int
    """Number of the new attempt."""
    retry_at: int
    """When it may be dispatched."""
    code: str
    """Code of the failure."""
    reason: str
    """The failure in words."""
    first_started_at: int | None = None
    """When the first call of the deed was started; null = none was."""
    call_until_at: int | None = None
    """Set when an earlier call may have been applied: the tool honours its key until then, and nothing is called
    afterwards; null = no call may have been.
    """


class ExecutionSucceeded(msgspec.Struct, frozen=True):
    """The tool carried the deed out."""

    attempt: int
    """The attempt that succeeded."""
    cost_micros: int
    """Actual cost: the answer's if the registry names its field, else the price."""
    object_refs: tuple[ObjectRef, ...]
    """Outside objects that were made or changed."""
    response_bytes: int
    """Size of the raw answer."""
    summary: str
    """The answer in short, without secrets."""
    started_at: int
    """When the tool was called."""
    duration_ms: int
    """How long the call took."""
    response_digest: bytes | None = None
    """SHA-256 of the raw answer; null = it had none."""
    artifact: str = ""
    """Where the raw answer is kept; "" = nowhere."""
    tokens: int | None = None
    """Model tokens the call used, as the answer says; null = it does not."""


class LateAnswerRecorded(msgspec.Struct, frozen=True):
    """An answer came after the deed had ended."""

    attempt: int
    """The attempt it answers."""
    answer: ToolAnswer
    """The answer."""
    contradicts: bool
    """True: it says other than the ledger did."""


class ProgressReported(msgspec.Struct, frozen=True, gc=False):
    """A long call says how far it is."""

    attempt: int
    """The attempt."""
    percent: int
    """0 to 100."""
    message: str
    """In words of the tool, cut and without secrets."""


class HomeSubmission(msgspec.Struct, frozen=True):
    """A verified submission on its way to the lane of its intent. Written by intake only; never holds the token."""

    intent: bytes
    """The original value of the record on `intents`: header and Intent."""
    principal: Principal
    """Who submitted it, from the verified claims."""
    arrived_at: int
    """When it reached Deedbook, by the broker's or front end's clock."""
    origin_topic: str
    """Topic it came from; `grpc` for the front end."""
    origin_partition: int
    """Partition it came from; 0 for the front end."""
    origin_offset: int
    """Offset it came from; 0 for the front end."""
    forwarded: bool
    """True: it came by way of another lane."""
    trace_parent: str = ""
    """W3C traceparent of the submission; "" = none."""


class IntentAccepted(msgspec.Struct, frozen=True):
    """A submission is authentic and well-formed: the intent exists from now on."""

    idempotency_key: str
    """Chosen by the submitter; with the tenant it makes the intent's id, for ever."""
    tool: str
    """Id of the tool, `server/tool`."""
    capability: str
    """What the submitter wants to use the tool for; must be the registry's."""
    arguments: str
    """Arguments of the call: JSON text (strict I-JSON)."""
    expires_at: int
    """Nothing is started after this moment."""
    principal: Principal
    """Who submitted it, from the verified claims."""
    content_digest: bytes
    """SHA-256 over the canonical content; a second submission under the key must have the same."""
    arrived_at: int
    """When it reached Deedbook."""
    account: str = ""
    """Account the deed is for; "" = none."""
    cost_class: CostClass | None = None
    """What the submitter believes; advice only, the registry's class counts. null = no opinion."""
    cost_cap_micros: int | None = None
    """The submitter's own cap in millionths of the currency unit; can only refuse. null = none."""
    evidence: tuple[Evidence, ...] = ()
    """What the agent relies on."""
    snapshot_id: str = ""
    """Id of the state of the world the agent planned with; "" = none."""
    data_sources: tuple[DataSource, ...] = ()
    """Data the agent looked at, for freshness."""
    trace_parent: str = ""
    """W3C traceparent of the submitter; "" = none."""
    run_id: str = ""
    """Run the intent belongs to; "" = none."""
    plan_id: str = ""
    """Plan the intent belongs to; "" = none."""
    step_id: str = ""
    """Step of the plan; "" = none."""
    parent_id: str = ""
    """Run or step that this one is a child of; "" = none."""
    retry_of: bytes | None = None
    """Intent that definitely failed and is tried again by this one; null = none."""
    edited_from: bytes | None = None
    """Intent that a person edited into this one; null = none."""


class SubmissionRejected(msgspec.Struct, frozen=True, gc=False):
    """A submission was refused; the intent of its id, if there is one, is not touched."""

    submission_id: bytes
    """Id of the submission, derived from where it came from."""
    code: str
    """Stable code of the reason."""
    category: FailureCategory
    """Why, by category."""
    reason: str
    """The reason in words."""
    remedy: str
    """What the submitter can do about it."""
    origin_topic: str
    """Topic it came from."""
    origin_partition: int
    """Partition it came from."""
    origin_offset: int
    """Offset it came from."""
    idempotency_key: str = ""
    """Its idempotency key, if it could be read."""


class Intent(msgspec.Struct, frozen=True):
    """One action that an agent asks for. The token is in the Kafka header `authorization`."""

    idempotency_key: str
    """Chosen by the submitter; with the tenant it makes the intent's id, for ever."""
    tool: str
    """Id of the tool, `server/tool`."""
    capability: str
    """What the submitter wants to use the tool for; must be the registry's."""
    arguments: str
    """Arguments of the call: JSON text (strict I-JSON)."""
    expires_at: int
    """Nothing is started after this moment."""
    account: str = ""
    """Account the deed is for; "" = none."""
    cost_class: CostClass | None = None
    """What the submitter believes; advice only, the registry's class counts. null = no opinion."""
    cost_cap_micros: int | None = None
    """The submitter's own cap in millionths of the currency unit; can only refuse. null = none."""
    evidence: tuple[Evidence, ...] = ()
    """What the agent relies on."""
    snapshot_id: str = ""
    """Id of the state of the world the agent planned with; "" = none."""
    data_sources: tuple[DataSource, ...] = ()
    """Data the agent looked at, for freshness."""
    trace_parent: str = ""
    """W3C traceparent of the submitter; "" = none."""
    run_id: str = ""
    """Run the intent belongs to; "" = none."""
    plan_id: str = ""
    """Plan the intent belongs to; "" = none."""
    step_id: str = ""
    """Step of the plan; "" = none."""
    parent_id: str = ""
    """Run or step that this one is a child of; "" = none."""
    retry_of: bytes | None = None
    """Intent that definitely failed and is tried again by this one; null = none."""
    edited_from: bytes | None = None
    """Intent that a person edited into this one; null = none."""


class OutcomeAmended(msgspec.Struct, frozen=True):
    """An ending turned out to be wrong."""

    status: OutcomeStatus
    """How it really ended."""
    reason: str
    """Why it was amended."""
    decided_by: bytes
    """Event id of the late answer."""
    cost_micros: int = 0
    """What it really cost."""
    object_refs: tuple[ObjectRef, ...] = ()
    """Outside objects, as the late answer says."""


class OutcomeRecorded(msgspec.Struct, frozen=True):
    """The one ending of an intent."""

    status: OutcomeStatus
    """How it ended."""
    code: str
    """Stable code of the reason; "" on success."""
    reason: str
    """The reason in words."""
    cost_micros: int
    """What it cost."""
    attempts: int
    """How many attempts were dispatched."""
    decided_by: bytes
    """Event id of what ended it."""
    tool: str
    """Id of the tool."""
    object_refs: tuple[ObjectRef, ...] = ()
    """Outside objects that were made or changed."""


class SignalEmitted(msgspec.Struct, frozen=True, gc=False):
    """Something in the stream of outcomes is worth a look. At least once: readers drop what they have seen by
    dedupe_key.
    """

    dedupe_key: str
    """The same for each repetition of the same signal."""
    window_key: str
    """What is counted: tenant, tool and window in one string."""
    kind: str
    """Stable code of the kind, such as `failure_rate`."""
    tenant: str
    """Tenant it is about; "" = all."""
    subject: str
    """Tool, account or other thing it is about."""
    count: int
    """How many outcomes in the window were counted."""
    total: int
    """How many outcomes the window had."""
    threshold: int
    """The limit that was passed."""
    message: str
    """In words."""
    window_start_at: int
    """Start of the window."""
    window_end_at: int
    """End of the window."""
    emitted_at: int
    """When it was emitted."""


class IntentAllowed(msgspec.Struct, frozen=True):
    """Validators let the intent go on; holds all that later steps need to know about it."""

    verdict: Verdict
    """The worst of all results: ALLOW or WARN."""
    results: tuple[ValidatorResult, ...]
    """What each validator said, in their order."""
    human_required: bool
    """True: a person must approve first."""
    approvals_needed: int
    """How many must approve; 0 when none need to."""
    approver_roles: tuple[str, ...]
    """Roles that may approve."""
    action_digest: bytes
    """SHA-256 over the canonical action: what is approved is what runs."""
    policy_hash: bytes
    """Hash of the policy snapshot that was used."""
    tool: str
    """Id of the tool, `server/tool`."""
    tool_hash: bytes
    """Hash of the tool's definition."""
    server: str
    """Server that offers the tool."""
    price_micros: int
    """Maximum price by the registry: what budget reserves."""
    cost_class: CostClass
    """By the registry."""
    effect_class: EffectClass
    """By the registry."""
    effect: EffectKind
    """By the registry."""
    target: str
    """What is acted upon, found in the arguments by the registry's path."""
    display: str
    """The arguments for people: redacted JSON text."""
    expires_at: int
    """Expiry of the intent."""
    requester: str
    """Subject of the submitter, who may not approve."""
    approval_expires_at: int | None = None
    """Deadline of the approval; null = the intent's expiry."""
    cost_cap_micros: int | None = None
    """The submitter's own cap; null = none."""


class IntentBlocked(msgspec.Struct, frozen=True):
    """A validator stopped the intent."""

    results: tuple[ValidatorResult, ...]
    """What each validator said, in their order."""
    code: str
    """Code of the result that blocked first."""
    reason: str
    """Its reason in words."""
    policy_hash: bytes
    """Hash of the policy snapshot that was used."""


IntakeEvent = IntentAccepted | SubmissionRejected | CommandRejected | KeyParked | KeyUnparked
ValidationEvent = IntentAllowed | IntentBlocked | CommandRejected | KeyParked | KeyUnparked
ApprovalEvent = (
    ApprovalCancelled
    | ApprovalDenied
    | ApprovalExpired
    | ApprovalGranted
    | ApprovalRequested
    | ApprovalVoted
    | ApprovalWithdrawn
    | CommandRejected
    | KeyParked
    | KeyUnparked
)
BudgetEvent = (
    BudgetCorrected
    | BudgetDenied
    | BudgetReleased
    | BudgetReserved
    | BudgetSettled
    | CommandRejected
    | KeyParked
    | KeyUnparked
)
ExecutionEvent = (
    CancelRequested
    | ExecutionCancelled
    | ExecutionDispatched
    | ExecutionExpired
    | ExecutionFailed
    | ExecutionInDoubt
    | ExecutionRefused
    | ExecutionResolved
    | ExecutionRetryScheduled
    | ExecutionSucceeded
    | LateAnswerRecorded
    | ProgressReported
    | CommandRejected
    | KeyParked
    | KeyUnparked
)
OutcomeEvent = OutcomeAmended | OutcomeRecorded | CommandRejected | KeyParked | KeyUnparked
ControlEvent = (
    BreakerChanged
    | BudgetDefined
    | BudgetRemoved
    | FlagSet
    | PolicyPublished
    | RateLimitSet
    | ServerRegistered
    | ServerRemoved
    | SwitchFlipped
    | ToolAccepted
    | ToolQuarantined
    | ToolRegistered
    | ToolRemoved
    | CommandRejected
    | KeyParked
    | KeyUnparked
)
CommandMessage = ApprovalVote | Cancel | LateResult | Resolve | Unpark | WithdrawApproval
ControlCommandMessage = (
    AcceptTool
    | DefineBudget
    | FlipSwitch
    | PublishPolicy
    | QuarantineTool
    | RegisterServer
    | RegisterTool
    | RemoveBudget
    | RemoveServer
    | RemoveTool
    | ReportBreaker
    | SetFlag
    | SetRateLimit
)
