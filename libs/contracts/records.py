"""How records are read and written. Generated from schemas/ by libs.contracts.generate: do not edit.

See `avro.py` for what readers and writers raise.
"""

from __future__ import annotations

from libs.contracts.avro import (
    enum_reader,
    enum_writer,
    read_array,
    read_boolean,
    read_bytes,
    read_fixed_16,
    read_fixed_32,
    read_int,
    read_long,
    read_map,
    read_nullable,
    read_string,
    write_array,
    write_boolean,
    write_bytes,
    write_fixed_16,
    write_fixed_32,
    write_int,
    write_long,
    write_map,
    write_nullable,
    write_string,
)
from libs.contracts.events import (
    AcceptTool,
    Actor,
    ActorKind,
    AnswerStatus,
    ApprovalCancelled,
    ApprovalDenied,
    ApprovalExpired,
    ApprovalGranted,
    ApprovalRequested,
    ApprovalVote,
    ApprovalVoted,
    ApprovalWithdrawn,
    BreakerChanged,
    BreakerState,
    BudgetCorrected,
    BudgetDefined,
    BudgetDenied,
    BudgetKind,
    BudgetPeriod,
    BudgetReleased,
    BudgetRemoved,
    BudgetReserved,
    BudgetSettled,
    Cancel,
    CancelRequested,
    Cause,
    ChokePoint,
    CommandRejected,
    CostClass,
    DataSource,
    DeadLetter,
    DefineBudget,
    EffectClass,
    EffectKind,
    Envelope,
    ErrorMeaning,
    Evidence,
    EvidenceKind,
    ExecutionCancelled,
    ExecutionDispatched,
    ExecutionExpired,
    ExecutionFailed,
    ExecutionInDoubt,
    ExecutionRefused,
    ExecutionResolved,
    ExecutionRetryScheduled,
    ExecutionSucceeded,
    Extractor,
    ExtractorKind,
    FailureCategory,
    FlagLevel,
    FlagSet,
    FlipSwitch,
    HomeSubmission,
    Intent,
    IntentAccepted,
    IntentAllowed,
    IntentBlocked,
    KeyParked,
    KeyPlacement,
    KeyUnparked,
    LateAnswerRecorded,
    LateResult,
    ObjectRef,
    OutcomeAmended,
    OutcomeRecorded,
    OutcomeStatus,
    PolicyPublished,
    Principal,
    ProgressReported,
    PublishPolicy,
    QuarantineTool,
    RateLimitKind,
    RateLimitSet,
    RegisterServer,
    RegisterTool,
    RemoveBudget,
    RemoveServer,
    RemoveTool,
    ReportBreaker,
    Resolve,
    ScopeLine,
    ServerRegistered,
    ServerRemoved,
    SetFlag,
    SetRateLimit,
    SignalEmitted,
    SubmissionRejected,
    SuccessRule,
    SwitchFlipped,
    SwitchKind,
    ToolAccepted,
    ToolAnswer,
    ToolEntry,
    ToolQuarantined,
    ToolRegistered,
    ToolRemoved,
    Transport,
    Unpark,
    ValidatorResult,
    Verdict,
    Vote,
    WithdrawApproval,
)


def read_cause(value: bytes, at: int) -> tuple[Cause, int]:
    topic_, at = read_string(value, at)
    position_, at = read_long(value, at)
    id_, at = value[at : at + 16], at + 16
    made = Cause(
        topic_,
        position_,
        id_,
    )
    return made, at


def write_cause(record: Cause) -> bytes:
    return b"".join(
        (
            write_string(record.topic),
            write_long(record.position),
            write_fixed_16(record.id),
        )
    )


ACTOR_KIND_READ = {
    0: ActorKind.HUMAN,
    2: ActorKind.MACHINE,
    4: ActorKind.SYSTEM,
}
ACTOR_KIND_WRITE = {
    ActorKind.HUMAN: b"\x00",
    ActorKind.MACHINE: b"\x02",
    ActorKind.SYSTEM: b"\x04",
}
read_actor_kind = enum_reader(ACTOR_KIND_READ)
write_actor_kind = enum_writer(ACTOR_KIND_WRITE)


def read_actor(value: bytes, at: int) -> tuple[Actor, int]:
    id_, at = read_string(value, at)
    kind_, at = ACTOR_KIND_READ[value[at]], at + 1
    made = Actor(
        id_,
        kind_,
    )
    return made, at


def write_actor(record: Actor) -> bytes:
    return b"".join(
        (
            write_string(record.id),
            ACTOR_KIND_WRITE[record.kind],
        )
    )


def read_envelope(value: bytes, at: int) -> tuple[Envelope, int]:
    seq_, at = read_long(value, at)
    prev_hash_, at = value[at : at + 32], at + 32
    event_id_, at = value[at : at + 16], at + 16
    intent_id_, at = value[at : at + 16], at + 16
    tenant_, at = read_string(value, at)
    account_, at = read_string(value, at)
    cause_, at = read_cause(value, at)
    control_seq_, at = read_long(value, at)
    occurred_at_, at = read_long(value, at)
    trace_parent_, at = read_string(value, at)
    actor_, at = read_actor(value, at)
    producer_, at = read_string(value, at)
    made = Envelope(
        seq_,
        prev_hash_,
        event_id_,
        intent_id_,
        tenant_,
        account_,
        cause_,
        control_seq_,
        occurred_at_,
        trace_parent_,
        actor_,
        producer_,
    )
    return made, at


def write_envelope(record: Envelope) -> bytes:
    return b"".join(
        (
            write_long(record.seq),
            write_fixed_32(record.prev_hash),
            write_fixed_16(record.event_id),
            write_fixed_16(record.intent_id),
            write_string(record.tenant),
            write_string(record.account),
            write_cause(record.cause),
            write_long(record.control_seq),
            write_long(record.occurred_at),
            write_string(record.trace_parent),
            write_actor(record.actor),
            write_string(record.producer),
        )
    )


def read_command_rejected(value: bytes, at: int) -> tuple[CommandRejected, int]:
    command_id_, at = value[at : at + 16], at + 16
    command_, at = read_string(value, at)
    code_, at = read_string(value, at)
    reason_, at = read_string(value, at)
    made = CommandRejected(
        command_id_,
        command_,
        code_,
        reason_,
    )
    return made, at


def write_command_rejected(record: CommandRejected) -> bytes:
    return b"".join(
        (
            write_fixed_16(record.command_id),
            write_string(record.command),
            write_string(record.code),
            write_string(record.reason),
        )
    )


def read_key_parked(value: bytes, at: int) -> tuple[KeyParked, int]:
    service_, at = read_string(value, at)
    code_, at = read_string(value, at)
    error_, at = read_string(value, at)
    input_topic_, at = read_string(value, at)
    input_position_, at = read_long(value, at)
    made = KeyParked(
        service_,
        code_,
        error_,
        input_topic_,
        input_position_,
    )
    return made, at


def write_key_parked(record: KeyParked) -> bytes:
    return b"".join(
        (
            write_string(record.service),
            write_string(record.code),
            write_string(record.error),
            write_string(record.input_topic),
            write_long(record.input_position),
        )
    )


def read_key_unparked(value: bytes, at: int) -> tuple[KeyUnparked, int]:
    service_, at = read_string(value, at)
    command_id_, at = value[at : at + 16], at + 16
    by_, at = read_string(value, at)
    reason_, at = read_string(value, at)
    made = KeyUnparked(
        service_,
        command_id_,
        by_,
        reason_,
    )
    return made, at


def write_key_unparked(record: KeyUnparked) -> bytes:
    return b"".join(
        (
            write_string(record.service),
            write_fixed_16(record.command_id),
            write_string(record.by),
            write_string(record.reason),
        )
    )


def read_approval_cancelled(value: bytes, at: int) -> tuple[ApprovalCancelled, int]:
    command_id_, at = read_nullable(value, at, read_fixed_16)
    by_, at = read_string(value, at)
    reason_, at = read_string(value, at)
    made = ApprovalCancelled(
        by_,
        reason_,
        command_id_,
    )
    return made, at


def write_approval_cancelled(record: ApprovalCancelled) -> bytes:
    return b"".join(
        (
            write_nullable(record.command_id, write_fixed_16),
            write_string(record.by),
            write_string(record.reason),
        )
    )


def read_approval_denied(value: bytes, at: int) -> tuple[ApprovalDenied, int]:
    code_, at = read_string(value, at)
    reason_, at = read_string(value, at)
    by_, at = read_string(value, at)
    made = ApprovalDenied(
        code_,
        reason_,
        by_,
    )
    return made, at


def write_approval_denied(record: ApprovalDenied) -> bytes:
    return b"".join(
        (
            write_string(record.code),
            write_string(record.reason),
            write_string(record.by),
        )
    )


def read_approval_expired(value: bytes, at: int) -> tuple[ApprovalExpired, int]:
    reason_, at = read_string(value, at)
    made = ApprovalExpired(
        reason_,
    )
    return made, at


def write_approval_expired(record: ApprovalExpired) -> bytes:
    return write_string(record.reason)


def read_approval_granted(value: bytes, at: int) -> tuple[ApprovalGranted, int]:
    action_digest_, at = value[at : at + 32], at + 32
    approvers_, at = read_array(value, at, read_string)
    expires_at_, at = read_long(value, at)
    made = ApprovalGranted(
        action_digest_,
        approvers_,
        expires_at_,
    )
    return made, at


def write_approval_granted(record: ApprovalGranted) -> bytes:
    return b"".join(
        (
            write_fixed_32(record.action_digest),
            write_array(record.approvers, write_string),
            write_long(record.expires_at),
        )
    )


def read_approval_requested(value: bytes, at: int) -> tuple[ApprovalRequested, int]:
    action_digest_, at = value[at : at + 32], at + 32
    needed_, at = read_int(value, at)
    roles_, at = read_array(value, at, read_string)
    expires_at_, at = read_long(value, at)
    display_, at = read_string(value, at)
    tool_, at = read_string(value, at)
    requester_, at = read_string(value, at)
    made = ApprovalRequested(
        action_digest_,
        needed_,
        roles_,
        expires_at_,
        display_,
        tool_,
        requester_,
    )
    return made, at


def write_approval_requested(record: ApprovalRequested) -> bytes:
    return b"".join(
        (
            write_fixed_32(record.action_digest),
            write_int(record.needed),
            write_array(record.roles, write_string),
            write_long(record.expires_at),
            write_string(record.display),
            write_string(record.tool),
            write_string(record.requester),
        )
    )


VOTE_READ = {
    0: Vote.APPROVE,
    2: Vote.DENY,
}
VOTE_WRITE = {
    Vote.APPROVE: b"\x00",
    Vote.DENY: b"\x02",
}
read_vote = enum_reader(VOTE_READ)
write_vote = enum_writer(VOTE_WRITE)


def read_approval_voted(value: bytes, at: int) -> tuple[ApprovalVoted, int]:
    command_id_, at = value[at : at + 16], at + 16
    voter_, at = read_string(value, at)
    vote_, at = VOTE_READ[value[at]], at + 1
    reason_, at = read_string(value, at)
    made = ApprovalVoted(
        command_id_,
        voter_,
        vote_,
        reason_,
    )
    return made, at


def write_approval_voted(record: ApprovalVoted) -> bytes:
    return b"".join(
        (
            write_fixed_16(record.command_id),
            write_string(record.voter),
            VOTE_WRITE[record.vote],
            write_string(record.reason),
        )
    )


def read_approval_withdrawn(value: bytes, at: int) -> tuple[ApprovalWithdrawn, int]:
    command_id_, at = value[at : at + 16], at + 16
    by_, at = read_string(value, at)
    reason_, at = read_string(value, at)
    made = ApprovalWithdrawn(
        command_id_,
        by_,
        reason_,
    )
    return made, at


def write_approval_withdrawn(record: ApprovalWithdrawn) -> bytes:
    return b"".join(
        (
            write_fixed_16(record.command_id),
            write_string(record.by),
            write_string(record.reason),
        )
    )


def read_scope_line(value: bytes, at: int) -> tuple[ScopeLine, int]:
    scope_, at = read_string(value, at)
    stripe_, at = read_int(value, at)
    version_, at = read_long(value, at)
    share_micros_, at = read_long(value, at)
    pending_micros_, at = read_long(value, at)
    posted_micros_, at = read_long(value, at)
    hard_micros_, at = read_long(value, at)
    soft_micros_, at = read_nullable(value, at, read_long)
    frozen_, at = read_boolean(value, at)
    cap_seq_, at = read_long(value, at)
    made = ScopeLine(
        scope_,
        stripe_,
        version_,
        share_micros_,
        pending_micros_,
        posted_micros_,
        hard_micros_,
        frozen_,
        cap_seq_,
        soft_micros_,
    )
    return made, at


def write_scope_line(record: ScopeLine) -> bytes:
    return b"".join(
        (
            write_string(record.scope),
            write_int(record.stripe),
            write_long(record.version),
            write_long(record.share_micros),
            write_long(record.pending_micros),
            write_long(record.posted_micros),
            write_long(record.hard_micros),
            write_nullable(record.soft_micros, write_long),
            write_boolean(record.frozen),
            write_long(record.cap_seq),
        )
    )


def read_budget_corrected(value: bytes, at: int) -> tuple[BudgetCorrected, int]:
    from_micros_, at = read_long(value, at)
    to_micros_, at = read_long(value, at)
    reason_, at = read_string(value, at)
    lines_, at = read_array(value, at, read_scope_line)
    made = BudgetCorrected(
        from_micros_,
        to_micros_,
        reason_,
        lines_,
    )
    return made, at


def write_budget_corrected(record: BudgetCorrected) -> bytes:
    return b"".join(
        (
            write_long(record.from_micros),
            write_long(record.to_micros),
            write_string(record.reason),
            write_array(record.lines, write_scope_line),
        )
    )


def read_budget_denied(value: bytes, at: int) -> tuple[BudgetDenied, int]:
    amount_micros_, at = read_long(value, at)
    scope_, at = read_string(value, at)
    code_, at = read_string(value, at)
    reason_, at = read_string(value, at)
    available_micros_, at = read_long(value, at)
    lines_, at = read_array(value, at, read_scope_line)
    made = BudgetDenied(
        amount_micros_,
        scope_,
        code_,
        reason_,
        available_micros_,
        lines_,
    )
    return made, at


def write_budget_denied(record: BudgetDenied) -> bytes:
    return b"".join(
        (
            write_long(record.amount_micros),
            write_string(record.scope),
            write_string(record.code),
            write_string(record.reason),
            write_long(record.available_micros),
            write_array(record.lines, write_scope_line),
        )
    )


def read_budget_released(value: bytes, at: int) -> tuple[BudgetReleased, int]:
    amount_micros_, at = read_long(value, at)
    reason_, at = read_string(value, at)
    lines_, at = read_array(value, at, read_scope_line)
    made = BudgetReleased(
        amount_micros_,
        reason_,
        lines_,
    )
    return made, at


def write_budget_released(record: BudgetReleased) -> bytes:
    return b"".join(
        (
            write_long(record.amount_micros),
            write_string(record.reason),
            write_array(record.lines, write_scope_line),
        )
    )


def read_budget_reserved(value: bytes, at: int) -> tuple[BudgetReserved, int]:
    amount_micros_, at = read_long(value, at)
    lines_, at = read_array(value, at, read_scope_line)
    scopes_, at = read_array(value, at, read_string)
    warnings_, at = read_array(value, at, read_string)
    made = BudgetReserved(
        amount_micros_,
        lines_,
        scopes_,
        warnings_,
    )
    return made, at


def write_budget_reserved(record: BudgetReserved) -> bytes:
    return b"".join(
        (
            write_long(record.amount_micros),
            write_array(record.lines, write_scope_line),
            write_array(record.scopes, write_string),
            write_array(record.warnings, write_string),
        )
    )


def read_budget_settled(value: bytes, at: int) -> tuple[BudgetSettled, int]:
    reserved_micros_, at = read_long(value, at)
    actual_micros_, at = read_long(value, at)
    overrun_, at = read_boolean(value, at)
    lines_, at = read_array(value, at, read_scope_line)
    made = BudgetSettled(
        reserved_micros_,
        actual_micros_,
        overrun_,
        lines_,
    )
    return made, at


def write_budget_settled(record: BudgetSettled) -> bytes:
    return b"".join(
        (
            write_long(record.reserved_micros),
            write_long(record.actual_micros),
            write_boolean(record.overrun),
            write_array(record.lines, write_scope_line),
        )
    )


def read_principal(value: bytes, at: int) -> tuple[Principal, int]:
    tenant_, at = read_string(value, at)
    subject_, at = read_string(value, at)
    kind_, at = ACTOR_KIND_READ[value[at]], at + 1
    accounts_, at = read_array(value, at, read_string)
    roles_, at = read_array(value, at, read_string)
    made = Principal(
        tenant_,
        subject_,
        kind_,
        accounts_,
        roles_,
    )
    return made, at


def write_principal(record: Principal) -> bytes:
    return b"".join(
        (
            write_string(record.tenant),
            write_string(record.subject),
            ACTOR_KIND_WRITE[record.kind],
            write_array(record.accounts, write_string),
            write_array(record.roles, write_string),
        )
    )


def read_approval_vote(value: bytes, at: int) -> tuple[ApprovalVote, int]:
    command_id_, at = value[at : at + 16], at + 16
    intent_id_, at = value[at : at + 16], at + 16
    principal_, at = read_principal(value, at)
    reason_, at = read_string(value, at)
    issued_at_, at = read_long(value, at)
    vote_, at = VOTE_READ[value[at]], at + 1
    action_digest_, at = value[at : at + 32], at + 32
    made = ApprovalVote(
        command_id_,
        intent_id_,
        principal_,
        reason_,
        issued_at_,
        vote_,
        action_digest_,
    )
    return made, at


def write_approval_vote(record: ApprovalVote) -> bytes:
    return b"".join(
        (
            write_fixed_16(record.command_id),
            write_fixed_16(record.intent_id),
            write_principal(record.principal),
            write_string(record.reason),
            write_long(record.issued_at),
            VOTE_WRITE[record.vote],
            write_fixed_32(record.action_digest),
        )
    )


def read_cancel(value: bytes, at: int) -> tuple[Cancel, int]:
    command_id_, at = value[at : at + 16], at + 16
    intent_id_, at = value[at : at + 16], at + 16
    principal_, at = read_principal(value, at)
    reason_, at = read_string(value, at)
    issued_at_, at = read_long(value, at)
    made = Cancel(
        command_id_,
        intent_id_,
        principal_,
        reason_,
        issued_at_,
    )
    return made, at


def write_cancel(record: Cancel) -> bytes:
    return b"".join(
        (
            write_fixed_16(record.command_id),
            write_fixed_16(record.intent_id),
            write_principal(record.principal),
            write_string(record.reason),
            write_long(record.issued_at),
        )
    )


ANSWER_STATUS_READ = {
    0: AnswerStatus.SUCCEEDED,
    2: AnswerStatus.FAILED,
    4: AnswerStatus.AMBIGUOUS,
    6: AnswerStatus.NOT_SENT,
}
ANSWER_STATUS_WRITE = {
    AnswerStatus.SUCCEEDED: b"\x00",
    AnswerStatus.FAILED: b"\x02",
    AnswerStatus.AMBIGUOUS: b"\x04",
    AnswerStatus.NOT_SENT: b"\x06",
}
read_answer_status = enum_reader(ANSWER_STATUS_READ)
write_answer_status = enum_writer(ANSWER_STATUS_WRITE)


FAILURE_CATEGORY_READ = {
    0: FailureCategory.TRANSIENT,
    2: FailureCategory.PERMANENT,
    4: FailureCategory.POLICY,
}
FAILURE_CATEGORY_WRITE = {
    FailureCategory.TRANSIENT: b"\x00",
    FailureCategory.PERMANENT: b"\x02",
    FailureCategory.POLICY: b"\x04",
}
read_failure_category = enum_reader(FAILURE_CATEGORY_READ)
write_failure_category = enum_writer(FAILURE_CATEGORY_WRITE)


def read_object_ref(value: bytes, at: int) -> tuple[ObjectRef, int]:
    type_, at = read_string(value, at)
    id_, at = read_string(value, at)
    made = ObjectRef(
        type_,
        id_,
    )
    return made, at


def write_object_ref(record: ObjectRef) -> bytes:
    return b"".join(
        (
            write_string(record.type),
            write_string(record.id),
        )
    )


def read_tool_answer(value: bytes, at: int) -> tuple[ToolAnswer, int]:
    status_, at = ANSWER_STATUS_READ[value[at]], at + 1
    code_, at = read_string(value, at)
    category_, at = FAILURE_CATEGORY_READ[value[at]], at + 1
    reason_, at = read_string(value, at)
    cost_micros_, at = read_nullable(value, at, read_long)
    object_refs_, at = read_array(value, at, read_object_ref)
    response_digest_, at = read_nullable(value, at, read_fixed_32)
    response_bytes_, at = read_long(value, at)
    summary_, at = read_string(value, at)
    started_at_, at = read_long(value, at)
    duration_ms_, at = read_long(value, at)
    retry_after_ms_, at = read_nullable(value, at, read_long)
    artifact_, at = read_string(value, at)
    tokens_, at = read_nullable(value, at, read_long)
    made = ToolAnswer(
        status_,
        started_at_,
        duration_ms_,
        code_,
        category_,
        reason_,
        cost_micros_,
        object_refs_,
        response_digest_,
        response_bytes_,
        summary_,
        retry_after_ms_,
        artifact_,
        tokens_,
    )
    return made, at


def write_tool_answer(record: ToolAnswer) -> bytes:
    return b"".join(
        (
            ANSWER_STATUS_WRITE[record.status],
            write_string(record.code),
            FAILURE_CATEGORY_WRITE[record.category],
            write_string(record.reason),
            write_nullable(record.cost_micros, write_long),
            write_array(record.object_refs, write_object_ref),
            write_nullable(record.response_digest, write_fixed_32),
            write_long(record.response_bytes),
            write_string(record.summary),
            write_long(record.started_at),
            write_long(record.duration_ms),
            write_nullable(record.retry_after_ms, write_long),
            write_string(record.artifact),
            write_nullable(record.tokens, write_long),
        )
    )


def read_late_result(value: bytes, at: int) -> tuple[LateResult, int]:
    command_id_, at = value[at : at + 16], at + 16
    intent_id_, at = value[at : at + 16], at + 16
    principal_, at = read_principal(value, at)
    reason_, at = read_string(value, at)
    issued_at_, at = read_long(value, at)
    attempt_, at = read_int(value, at)
    answer_, at = read_tool_answer(value, at)
    made = LateResult(
        command_id_,
        intent_id_,
        principal_,
        reason_,
        issued_at_,
        attempt_,
        answer_,
    )
    return made, at


def write_late_result(record: LateResult) -> bytes:
    return b"".join(
        (
            write_fixed_16(record.command_id),
            write_fixed_16(record.intent_id),
            write_principal(record.principal),
            write_string(record.reason),
            write_long(record.issued_at),
            write_int(record.attempt),
            write_tool_answer(record.answer),
        )
    )


def read_resolve(value: bytes, at: int) -> tuple[Resolve, int]:
    command_id_, at = value[at : at + 16], at + 16
    intent_id_, at = value[at : at + 16], at + 16
    principal_, at = read_principal(value, at)
    reason_, at = read_string(value, at)
    issued_at_, at = read_long(value, at)
    applied_, at = read_boolean(value, at)
    cost_micros_, at = read_nullable(value, at, read_long)
    evidence_, at = read_string(value, at)
    made = Resolve(
        command_id_,
        intent_id_,
        principal_,
        reason_,
        issued_at_,
        applied_,
        evidence_,
        cost_micros_,
    )
    return made, at


def write_resolve(record: Resolve) -> bytes:
    return b"".join(
        (
            write_fixed_16(record.command_id),
            write_fixed_16(record.intent_id),
            write_principal(record.principal),
            write_string(record.reason),
            write_long(record.issued_at),
            write_boolean(record.applied),
            write_nullable(record.cost_micros, write_long),
            write_string(record.evidence),
        )
    )


def read_unpark(value: bytes, at: int) -> tuple[Unpark, int]:
    command_id_, at = value[at : at + 16], at + 16
    intent_id_, at = value[at : at + 16], at + 16
    principal_, at = read_principal(value, at)
    reason_, at = read_string(value, at)
    issued_at_, at = read_long(value, at)
    service_, at = read_string(value, at)
    made = Unpark(
        command_id_,
        intent_id_,
        principal_,
        reason_,
        issued_at_,
        service_,
    )
    return made, at


def write_unpark(record: Unpark) -> bytes:
    return b"".join(
        (
            write_fixed_16(record.command_id),
            write_fixed_16(record.intent_id),
            write_principal(record.principal),
            write_string(record.reason),
            write_long(record.issued_at),
            write_string(record.service),
        )
    )


def read_withdraw_approval(value: bytes, at: int) -> tuple[WithdrawApproval, int]:
    command_id_, at = value[at : at + 16], at + 16
    intent_id_, at = value[at : at + 16], at + 16
    principal_, at = read_principal(value, at)
    reason_, at = read_string(value, at)
    issued_at_, at = read_long(value, at)
    made = WithdrawApproval(
        command_id_,
        intent_id_,
        principal_,
        reason_,
        issued_at_,
    )
    return made, at


def write_withdraw_approval(record: WithdrawApproval) -> bytes:
    return b"".join(
        (
            write_fixed_16(record.command_id),
            write_fixed_16(record.intent_id),
            write_principal(record.principal),
            write_string(record.reason),
            write_long(record.issued_at),
        )
    )


BREAKER_STATE_READ = {
    0: BreakerState.CLOSED,
    2: BreakerState.OPEN,
    4: BreakerState.HALF_OPEN,
}
BREAKER_STATE_WRITE = {
    BreakerState.CLOSED: b"\x00",
    BreakerState.OPEN: b"\x02",
    BreakerState.HALF_OPEN: b"\x04",
}
read_breaker_state = enum_reader(BREAKER_STATE_READ)
write_breaker_state = enum_writer(BREAKER_STATE_WRITE)


def read_breaker_changed(value: bytes, at: int) -> tuple[BreakerChanged, int]:
    command_id_, at = value[at : at + 16], at + 16
    by_, at = read_string(value, at)
    reason_, at = read_string(value, at)
    server_, at = read_string(value, at)
    state_, at = BREAKER_STATE_READ[value[at]], at + 1
    until_at_, at = read_nullable(value, at, read_long)
    failures_, at = read_int(value, at)
    made = BreakerChanged(
        command_id_,
        by_,
        reason_,
        server_,
        state_,
        failures_,
        until_at_,
    )
    return made, at


def write_breaker_changed(record: BreakerChanged) -> bytes:
    return b"".join(
        (
            write_fixed_16(record.command_id),
            write_string(record.by),
            write_string(record.reason),
            write_string(record.server),
            BREAKER_STATE_WRITE[record.state],
            write_nullable(record.until_at, write_long),
            write_int(record.failures),
        )
    )


BUDGET_KIND_READ = {
    0: BudgetKind.GLOBAL,
    2: BudgetKind.TENANT,
    4: BudgetKind.ACCOUNT,
    6: BudgetKind.TOOL,
}
BUDGET_KIND_WRITE = {
    BudgetKind.GLOBAL: b"\x00",
    BudgetKind.TENANT: b"\x02",
    BudgetKind.ACCOUNT: b"\x04",
    BudgetKind.TOOL: b"\x06",
}
read_budget_kind = enum_reader(BUDGET_KIND_READ)
write_budget_kind = enum_writer(BUDGET_KIND_WRITE)


COST_CLASS_READ = {
    0: CostClass.CHEAP,
    2: CostClass.MEDIUM,
    4: CostClass.EXPENSIVE,
}
COST_CLASS_WRITE = {
    CostClass.CHEAP: b"\x00",
    CostClass.MEDIUM: b"\x02",
    CostClass.EXPENSIVE: b"\x04",
}
read_cost_class = enum_reader(COST_CLASS_READ)
write_cost_class = enum_writer(COST_CLASS_WRITE)


BUDGET_PERIOD_READ = {
    0: BudgetPeriod.ONCE,
    2: BudgetPeriod.DAY,
    4: BudgetPeriod.MONTH,
}
BUDGET_PERIOD_WRITE = {
    BudgetPeriod.ONCE: b"\x00",
    BudgetPeriod.DAY: b"\x02",
    BudgetPeriod.MONTH: b"\x04",
}
read_budget_period = enum_reader(BUDGET_PERIOD_READ)
write_budget_period = enum_writer(BUDGET_PERIOD_WRITE)


def read_budget_defined(value: bytes, at: int) -> tuple[BudgetDefined, int]:
    command_id_, at = value[at : at + 16], at + 16
    by_, at = read_string(value, at)
    reason_, at = read_string(value, at)
    kind_, at = BUDGET_KIND_READ[value[at]], at + 1
    id_, at = read_string(value, at)
    cost_class_, at = read_nullable(value, at, read_cost_class)
    period_, at = BUDGET_PERIOD_READ[value[at]], at + 1
    hard_micros_, at = read_long(value, at)
    soft_micros_, at = read_nullable(value, at, read_long)
    made = BudgetDefined(
        command_id_,
        by_,
        reason_,
        kind_,
        id_,
        period_,
        hard_micros_,
        cost_class_,
        soft_micros_,
    )
    return made, at


def write_budget_defined(record: BudgetDefined) -> bytes:
    return b"".join(
        (
            write_fixed_16(record.command_id),
            write_string(record.by),
            write_string(record.reason),
            BUDGET_KIND_WRITE[record.kind],
            write_string(record.id),
            write_nullable(record.cost_class, write_cost_class),
            BUDGET_PERIOD_WRITE[record.period],
            write_long(record.hard_micros),
            write_nullable(record.soft_micros, write_long),
        )
    )


def read_budget_removed(value: bytes, at: int) -> tuple[BudgetRemoved, int]:
    command_id_, at = value[at : at + 16], at + 16
    by_, at = read_string(value, at)
    reason_, at = read_string(value, at)
    kind_, at = BUDGET_KIND_READ[value[at]], at + 1
    id_, at = read_string(value, at)
    cost_class_, at = read_nullable(value, at, read_cost_class)
    period_, at = BUDGET_PERIOD_READ[value[at]], at + 1
    made = BudgetRemoved(
        command_id_,
        by_,
        reason_,
        kind_,
        id_,
        period_,
        cost_class_,
    )
    return made, at


def write_budget_removed(record: BudgetRemoved) -> bytes:
    return b"".join(
        (
            write_fixed_16(record.command_id),
            write_string(record.by),
            write_string(record.reason),
            BUDGET_KIND_WRITE[record.kind],
            write_string(record.id),
            write_nullable(record.cost_class, write_cost_class),
            BUDGET_PERIOD_WRITE[record.period],
        )
    )


FLAG_LEVEL_READ = {
    0: FlagLevel.GLOBAL,
    2: FlagLevel.SERVER,
    4: FlagLevel.TOOL,
    6: FlagLevel.TENANT,
}
FLAG_LEVEL_WRITE = {
    FlagLevel.GLOBAL: b"\x00",
    FlagLevel.SERVER: b"\x02",
    FlagLevel.TOOL: b"\x04",
    FlagLevel.TENANT: b"\x06",
}
read_flag_level = enum_reader(FLAG_LEVEL_READ)
write_flag_level = enum_writer(FLAG_LEVEL_WRITE)


def read_flag_set(value: bytes, at: int) -> tuple[FlagSet, int]:
    command_id_, at = value[at : at + 16], at + 16
    by_, at = read_string(value, at)
    reason_, at = read_string(value, at)
    level_, at = FLAG_LEVEL_READ[value[at]], at + 1
    id_, at = read_string(value, at)
    name_, at = read_string(value, at)
    value_, at = read_nullable(value, at, read_string)
    made = FlagSet(
        command_id_,
        by_,
        reason_,
        level_,
        id_,
        name_,
        value_,
    )
    return made, at


def write_flag_set(record: FlagSet) -> bytes:
    return b"".join(
        (
            write_fixed_16(record.command_id),
            write_string(record.by),
            write_string(record.reason),
            FLAG_LEVEL_WRITE[record.level],
            write_string(record.id),
            write_string(record.name),
            write_nullable(record.value, write_string),
        )
    )


def read_policy_published(value: bytes, at: int) -> tuple[PolicyPublished, int]:
    command_id_, at = value[at : at + 16], at + 16
    by_, at = read_string(value, at)
    reason_, at = read_string(value, at)
    tenant_, at = read_string(value, at)
    policy_, at = read_string(value, at)
    policy_hash_, at = value[at : at + 32], at + 32
    made = PolicyPublished(
        command_id_,
        by_,
        reason_,
        tenant_,
        policy_,
        policy_hash_,
    )
    return made, at


def write_policy_published(record: PolicyPublished) -> bytes:
    return b"".join(
        (
            write_fixed_16(record.command_id),
            write_string(record.by),
            write_string(record.reason),
            write_string(record.tenant),
            write_string(record.policy),
            write_fixed_32(record.policy_hash),
        )
    )


RATE_LIMIT_KIND_READ = {
    0: RateLimitKind.TENANT,
    2: RateLimitKind.TOOL,
    4: RateLimitKind.SERVER,
}
RATE_LIMIT_KIND_WRITE = {
    RateLimitKind.TENANT: b"\x00",
    RateLimitKind.TOOL: b"\x02",
    RateLimitKind.SERVER: b"\x04",
}
read_rate_limit_kind = enum_reader(RATE_LIMIT_KIND_READ)
write_rate_limit_kind = enum_writer(RATE_LIMIT_KIND_WRITE)


def read_rate_limit_set(value: bytes, at: int) -> tuple[RateLimitSet, int]:
    command_id_, at = value[at : at + 16], at + 16
    by_, at = read_string(value, at)
    reason_, at = read_string(value, at)
    kind_, at = RATE_LIMIT_KIND_READ[value[at]], at + 1
    id_, at = read_string(value, at)
    permits_, at = read_nullable(value, at, read_int)
    window_ms_, at = read_long(value, at)
    made = RateLimitSet(
        command_id_,
        by_,
        reason_,
        kind_,
        id_,
        window_ms_,
        permits_,
    )
    return made, at


def write_rate_limit_set(record: RateLimitSet) -> bytes:
    return b"".join(
        (
            write_fixed_16(record.command_id),
            write_string(record.by),
            write_string(record.reason),
            RATE_LIMIT_KIND_WRITE[record.kind],
            write_string(record.id),
            write_nullable(record.permits, write_int),
            write_long(record.window_ms),
        )
    )


TRANSPORT_READ = {
    0: Transport.STDIO,
    2: Transport.HTTP,
    4: Transport.BUILTIN,
}
TRANSPORT_WRITE = {
    Transport.STDIO: b"\x00",
    Transport.HTTP: b"\x02",
    Transport.BUILTIN: b"\x04",
}
read_transport = enum_reader(TRANSPORT_READ)
write_transport = enum_writer(TRANSPORT_WRITE)


def read_server_registered(value: bytes, at: int) -> tuple[ServerRegistered, int]:
    command_id_, at = value[at : at + 16], at + 16
    by_, at = read_string(value, at)
    reason_, at = read_string(value, at)
    server_, at = read_string(value, at)
    transport_, at = TRANSPORT_READ[value[at]], at + 1
    profile_, at = read_string(value, at)
    tenants_, at = read_array(value, at, read_string)
    made = ServerRegistered(
        command_id_,
        by_,
        reason_,
        server_,
        transport_,
        profile_,
        tenants_,
    )
    return made, at


def write_server_registered(record: ServerRegistered) -> bytes:
    return b"".join(
        (
            write_fixed_16(record.command_id),
            write_string(record.by),
            write_string(record.reason),
            write_string(record.server),
            TRANSPORT_WRITE[record.transport],
            write_string(record.profile),
            write_array(record.tenants, write_string),
        )
    )


def read_server_removed(value: bytes, at: int) -> tuple[ServerRemoved, int]:
    command_id_, at = value[at : at + 16], at + 16
    by_, at = read_string(value, at)
    reason_, at = read_string(value, at)
    server_, at = read_string(value, at)
    made = ServerRemoved(
        command_id_,
        by_,
        reason_,
        server_,
    )
    return made, at


def write_server_removed(record: ServerRemoved) -> bytes:
    return b"".join(
        (
            write_fixed_16(record.command_id),
            write_string(record.by),
            write_string(record.reason),
            write_string(record.server),
        )
    )


SWITCH_KIND_READ = {
    0: SwitchKind.GLOBAL,
    2: SwitchKind.TENANT,
    4: SwitchKind.ACCOUNT,
    6: SwitchKind.TOOL,
    8: SwitchKind.CAPABILITY,
}
SWITCH_KIND_WRITE = {
    SwitchKind.GLOBAL: b"\x00",
    SwitchKind.TENANT: b"\x02",
    SwitchKind.ACCOUNT: b"\x04",
    SwitchKind.TOOL: b"\x06",
    SwitchKind.CAPABILITY: b"\x08",
}
read_switch_kind = enum_reader(SWITCH_KIND_READ)
write_switch_kind = enum_writer(SWITCH_KIND_WRITE)


def read_switch_flipped(value: bytes, at: int) -> tuple[SwitchFlipped, int]:
    command_id_, at = value[at : at + 16], at + 16
    by_, at = read_string(value, at)
    reason_, at = read_string(value, at)
    kind_, at = SWITCH_KIND_READ[value[at]], at + 1
    id_, at = read_string(value, at)
    stopped_, at = read_boolean(value, at)
    made = SwitchFlipped(
        command_id_,
        by_,
        reason_,
        kind_,
        id_,
        stopped_,
    )
    return made, at


def write_switch_flipped(record: SwitchFlipped) -> bytes:
    return b"".join(
        (
            write_fixed_16(record.command_id),
            write_string(record.by),
            write_string(record.reason),
            SWITCH_KIND_WRITE[record.kind],
            write_string(record.id),
            write_boolean(record.stopped),
        )
    )


def read_tool_accepted(value: bytes, at: int) -> tuple[ToolAccepted, int]:
    command_id_, at = value[at : at + 16], at + 16
    by_, at = read_string(value, at)
    reason_, at = read_string(value, at)
    tool_, at = read_string(value, at)
    definition_hash_, at = value[at : at + 32], at + 32
    made = ToolAccepted(
        command_id_,
        by_,
        reason_,
        tool_,
        definition_hash_,
    )
    return made, at


def write_tool_accepted(record: ToolAccepted) -> bytes:
    return b"".join(
        (
            write_fixed_16(record.command_id),
            write_string(record.by),
            write_string(record.reason),
            write_string(record.tool),
            write_fixed_32(record.definition_hash),
        )
    )


def read_tool_quarantined(value: bytes, at: int) -> tuple[ToolQuarantined, int]:
    command_id_, at = value[at : at + 16], at + 16
    by_, at = read_string(value, at)
    reason_, at = read_string(value, at)
    tool_, at = read_string(value, at)
    code_, at = read_string(value, at)
    observed_hash_, at = read_nullable(value, at, read_fixed_32)
    made = ToolQuarantined(
        command_id_,
        by_,
        reason_,
        tool_,
        code_,
        observed_hash_,
    )
    return made, at


def write_tool_quarantined(record: ToolQuarantined) -> bytes:
    return b"".join(
        (
            write_fixed_16(record.command_id),
            write_string(record.by),
            write_string(record.reason),
            write_string(record.tool),
            write_string(record.code),
            write_nullable(record.observed_hash, write_fixed_32),
        )
    )


EFFECT_KIND_READ = {
    0: EffectKind.READ,
    2: EffectKind.WRITE,
}
EFFECT_KIND_WRITE = {
    EffectKind.READ: b"\x00",
    EffectKind.WRITE: b"\x02",
}
read_effect_kind = enum_reader(EFFECT_KIND_READ)
write_effect_kind = enum_writer(EFFECT_KIND_WRITE)


EFFECT_CLASS_READ = {
    0: EffectClass.READ_ONLY,
    2: EffectClass.KEYED,
    4: EffectClass.QUERYABLE,
    6: EffectClass.OPAQUE,
}
EFFECT_CLASS_WRITE = {
    EffectClass.READ_ONLY: b"\x00",
    EffectClass.KEYED: b"\x02",
    EffectClass.QUERYABLE: b"\x04",
    EffectClass.OPAQUE: b"\x06",
}
read_effect_class = enum_reader(EFFECT_CLASS_READ)
write_effect_class = enum_writer(EFFECT_CLASS_WRITE)


EXTRACTOR_KIND_READ = {
    0: ExtractorKind.STRUCTURED,
    2: ExtractorKind.TEXT,
    4: ExtractorKind.TEMPLATE,
}
EXTRACTOR_KIND_WRITE = {
    ExtractorKind.STRUCTURED: b"\x00",
    ExtractorKind.TEXT: b"\x02",
    ExtractorKind.TEMPLATE: b"\x04",
}
read_extractor_kind = enum_reader(EXTRACTOR_KIND_READ)
write_extractor_kind = enum_writer(EXTRACTOR_KIND_WRITE)


def read_extractor(value: bytes, at: int) -> tuple[Extractor, int]:
    kind_, at = EXTRACTOR_KIND_READ[value[at]], at + 1
    type_, at = read_string(value, at)
    path_, at = read_string(value, at)
    pattern_, at = read_string(value, at)
    template_, at = read_string(value, at)
    made = Extractor(
        kind_,
        type_,
        path_,
        pattern_,
        template_,
    )
    return made, at


def write_extractor(record: Extractor) -> bytes:
    return b"".join(
        (
            EXTRACTOR_KIND_WRITE[record.kind],
            write_string(record.type),
            write_string(record.path),
            write_string(record.pattern),
            write_string(record.template),
        )
    )


SUCCESS_RULE_READ = {
    0: SuccessRule.REFS,
    2: SuccessRule.ANSWER,
}
SUCCESS_RULE_WRITE = {
    SuccessRule.REFS: b"\x00",
    SuccessRule.ANSWER: b"\x02",
}
read_success_rule = enum_reader(SUCCESS_RULE_READ)
write_success_rule = enum_writer(SUCCESS_RULE_WRITE)


ERROR_MEANING_READ = {
    0: ErrorMeaning.FAILED,
    2: ErrorMeaning.AMBIGUOUS,
}
ERROR_MEANING_WRITE = {
    ErrorMeaning.FAILED: b"\x00",
    ErrorMeaning.AMBIGUOUS: b"\x02",
}
read_error_meaning = enum_reader(ERROR_MEANING_READ)
write_error_meaning = enum_writer(ERROR_MEANING_WRITE)


KEY_PLACEMENT_READ = {
    0: KeyPlacement.NONE,
    2: KeyPlacement.ARGUMENT,
    4: KeyPlacement.META,
    6: KeyPlacement.HEADER,
}
KEY_PLACEMENT_WRITE = {
    KeyPlacement.NONE: b"\x00",
    KeyPlacement.ARGUMENT: b"\x02",
    KeyPlacement.META: b"\x04",
    KeyPlacement.HEADER: b"\x06",
}
read_key_placement = enum_reader(KEY_PLACEMENT_READ)
write_key_placement = enum_writer(KEY_PLACEMENT_WRITE)


def read_tool_entry(value: bytes, at: int) -> tuple[ToolEntry, int]:
    server_, at = read_string(value, at)
    definition_, at = read_string(value, at)
    definition_hash_, at = value[at : at + 32], at + 32
    capability_, at = read_string(value, at)
    effect_, at = EFFECT_KIND_READ[value[at]], at + 1
    effect_class_, at = EFFECT_CLASS_READ[value[at]], at + 1
    cost_class_, at = COST_CLASS_READ[value[at]], at + 1
    price_micros_, at = read_long(value, at)
    answer_cost_path_, at = read_string(value, at)
    target_path_, at = read_string(value, at)
    extractors_, at = read_array(value, at, read_extractor)
    success_rule_, at = SUCCESS_RULE_READ[value[at]], at + 1
    is_error_means_, at = ERROR_MEANING_READ[value[at]], at + 1
    timeout_ms_, at = read_int(value, at)
    attempts_max_, at = read_int(value, at)
    backoff_ms_, at = read_long(value, at)
    backoff_max_ms_, at = read_long(value, at)
    key_placement_, at = KEY_PLACEMENT_READ[value[at]], at + 1
    key_name_, at = read_string(value, at)
    query_tool_, at = read_string(value, at)
    query_template_, at = read_string(value, at)
    quiet_ms_, at = read_long(value, at)
    secret_fields_, at = read_array(value, at, read_string)
    roles_allowed_, at = read_array(value, at, read_string)
    policy_, at = read_string(value, at)
    made = ToolEntry(
        server=server_,
        definition=definition_,
        definition_hash=definition_hash_,
        capability=capability_,
        effect=effect_,
        effect_class=effect_class_,
        cost_class=cost_class_,
        price_micros=price_micros_,
        answer_cost_path=answer_cost_path_,
        target_path=target_path_,
        extractors=extractors_,
        success_rule=success_rule_,
        is_error_means=is_error_means_,
        timeout_ms=timeout_ms_,
        attempts_max=attempts_max_,
        backoff_ms=backoff_ms_,
        backoff_max_ms=backoff_max_ms_,
        key_placement=key_placement_,
        key_name=key_name_,
        query_tool=query_tool_,
        query_template=query_template_,
        quiet_ms=quiet_ms_,
        secret_fields=secret_fields_,
        roles_allowed=roles_allowed_,
        policy=policy_,
    )
    return made, at


def write_tool_entry(record: ToolEntry) -> bytes:
    return b"".join(
        (
            write_string(record.server),
            write_string(record.definition),
            write_fixed_32(record.definition_hash),
            write_string(record.capability),
            EFFECT_KIND_WRITE[record.effect],
            EFFECT_CLASS_WRITE[record.effect_class],
            COST_CLASS_WRITE[record.cost_class],
            write_long(record.price_micros),
            write_string(record.answer_cost_path),
            write_string(record.target_path),
            write_array(record.extractors, write_extractor),
            SUCCESS_RULE_WRITE[record.success_rule],
            ERROR_MEANING_WRITE[record.is_error_means],
            write_int(record.timeout_ms),
            write_int(record.attempts_max),
            write_long(record.backoff_ms),
            write_long(record.backoff_max_ms),
            KEY_PLACEMENT_WRITE[record.key_placement],
            write_string(record.key_name),
            write_string(record.query_tool),
            write_string(record.query_template),
            write_long(record.quiet_ms),
            write_array(record.secret_fields, write_string),
            write_array(record.roles_allowed, write_string),
            write_string(record.policy),
        )
    )


def read_tool_registered(value: bytes, at: int) -> tuple[ToolRegistered, int]:
    command_id_, at = value[at : at + 16], at + 16
    by_, at = read_string(value, at)
    reason_, at = read_string(value, at)
    tool_, at = read_string(value, at)
    entry_, at = read_tool_entry(value, at)
    made = ToolRegistered(
        command_id_,
        by_,
        reason_,
        tool_,
        entry_,
    )
    return made, at


def write_tool_registered(record: ToolRegistered) -> bytes:
    return b"".join(
        (
            write_fixed_16(record.command_id),
            write_string(record.by),
            write_string(record.reason),
            write_string(record.tool),
            write_tool_entry(record.entry),
        )
    )


def read_tool_entry_2(value: bytes, at: int) -> tuple[ToolEntry, int]:
    server_, at = read_string(value, at)
    definition_, at = read_string(value, at)
    definition_hash_, at = value[at : at + 32], at + 32
    capability_, at = read_string(value, at)
    effect_, at = EFFECT_KIND_READ[value[at]], at + 1
    effect_class_, at = EFFECT_CLASS_READ[value[at]], at + 1
    cost_class_, at = COST_CLASS_READ[value[at]], at + 1
    price_micros_, at = read_long(value, at)
    answer_cost_path_, at = read_string(value, at)
    target_path_, at = read_string(value, at)
    extractors_, at = read_array(value, at, read_extractor)
    success_rule_, at = SUCCESS_RULE_READ[value[at]], at + 1
    is_error_means_, at = ERROR_MEANING_READ[value[at]], at + 1
    timeout_ms_, at = read_int(value, at)
    attempts_max_, at = read_int(value, at)
    backoff_ms_, at = read_long(value, at)
    backoff_max_ms_, at = read_long(value, at)
    key_placement_, at = KEY_PLACEMENT_READ[value[at]], at + 1
    key_name_, at = read_string(value, at)
    query_tool_, at = read_string(value, at)
    query_template_, at = read_string(value, at)
    quiet_ms_, at = read_long(value, at)
    secret_fields_, at = read_array(value, at, read_string)
    roles_allowed_, at = read_array(value, at, read_string)
    policy_, at = read_string(value, at)
    key_window_ms_, at = read_long(value, at)
    made = ToolEntry(
        server_,
        definition_,
        definition_hash_,
        capability_,
        effect_,
        effect_class_,
        cost_class_,
        price_micros_,
        timeout_ms_,
        answer_cost_path_,
        target_path_,
        extractors_,
        success_rule_,
        is_error_means_,
        attempts_max_,
        backoff_ms_,
        backoff_max_ms_,
        key_placement_,
        key_name_,
        query_tool_,
        query_template_,
        quiet_ms_,
        secret_fields_,
        roles_allowed_,
        policy_,
        key_window_ms_,
    )
    return made, at


def write_tool_entry_2(record: ToolEntry) -> bytes:
    return b"".join(
        (
            write_string(record.server),
            write_string(record.definition),
            write_fixed_32(record.definition_hash),
            write_string(record.capability),
            EFFECT_KIND_WRITE[record.effect],
            EFFECT_CLASS_WRITE[record.effect_class],
            COST_CLASS_WRITE[record.cost_class],
            write_long(record.price_micros),
            write_string(record.answer_cost_path),
            write_string(record.target_path),
            write_array(record.extractors, write_extractor),
            SUCCESS_RULE_WRITE[record.success_rule],
            ERROR_MEANING_WRITE[record.is_error_means],
            write_int(record.timeout_ms),
            write_int(record.attempts_max),
            write_long(record.backoff_ms),
            write_long(record.backoff_max_ms),
            KEY_PLACEMENT_WRITE[record.key_placement],
            write_string(record.key_name),
            write_string(record.query_tool),
            write_string(record.query_template),
            write_long(record.quiet_ms),
            write_array(record.secret_fields, write_string),
            write_array(record.roles_allowed, write_string),
            write_string(record.policy),
            write_long(record.key_window_ms),
        )
    )


def read_tool_registered_2(value: bytes, at: int) -> tuple[ToolRegistered, int]:
    command_id_, at = value[at : at + 16], at + 16
    by_, at = read_string(value, at)
    reason_, at = read_string(value, at)
    tool_, at = read_string(value, at)
    entry_, at = read_tool_entry_2(value, at)
    made = ToolRegistered(
        command_id_,
        by_,
        reason_,
        tool_,
        entry_,
    )
    return made, at


def write_tool_registered_2(record: ToolRegistered) -> bytes:
    return b"".join(
        (
            write_fixed_16(record.command_id),
            write_string(record.by),
            write_string(record.reason),
            write_string(record.tool),
            write_tool_entry_2(record.entry),
        )
    )


def read_tool_removed(value: bytes, at: int) -> tuple[ToolRemoved, int]:
    command_id_, at = value[at : at + 16], at + 16
    by_, at = read_string(value, at)
    reason_, at = read_string(value, at)
    tool_, at = read_string(value, at)
    made = ToolRemoved(
        command_id_,
        by_,
        reason_,
        tool_,
    )
    return made, at


def write_tool_removed(record: ToolRemoved) -> bytes:
    return b"".join(
        (
            write_fixed_16(record.command_id),
            write_string(record.by),
            write_string(record.reason),
            write_string(record.tool),
        )
    )


def read_accept_tool(value: bytes, at: int) -> tuple[AcceptTool, int]:
    command_id_, at = value[at : at + 16], at + 16
    principal_, at = read_principal(value, at)
    reason_, at = read_string(value, at)
    issued_at_, at = read_long(value, at)
    tool_, at = read_string(value, at)
    definition_hash_, at = value[at : at + 32], at + 32
    made = AcceptTool(
        command_id_,
        principal_,
        reason_,
        issued_at_,
        tool_,
        definition_hash_,
    )
    return made, at


def write_accept_tool(record: AcceptTool) -> bytes:
    return b"".join(
        (
            write_fixed_16(record.command_id),
            write_principal(record.principal),
            write_string(record.reason),
            write_long(record.issued_at),
            write_string(record.tool),
            write_fixed_32(record.definition_hash),
        )
    )


def read_define_budget(value: bytes, at: int) -> tuple[DefineBudget, int]:
    command_id_, at = value[at : at + 16], at + 16
    principal_, at = read_principal(value, at)
    reason_, at = read_string(value, at)
    issued_at_, at = read_long(value, at)
    kind_, at = BUDGET_KIND_READ[value[at]], at + 1
    id_, at = read_string(value, at)
    cost_class_, at = read_nullable(value, at, read_cost_class)
    period_, at = BUDGET_PERIOD_READ[value[at]], at + 1
    hard_micros_, at = read_long(value, at)
    soft_micros_, at = read_nullable(value, at, read_long)
    made = DefineBudget(
        command_id_,
        principal_,
        reason_,
        issued_at_,
        kind_,
        id_,
        period_,
        hard_micros_,
        cost_class_,
        soft_micros_,
    )
    return made, at


def write_define_budget(record: DefineBudget) -> bytes:
    return b"".join(
        (
            write_fixed_16(record.command_id),
            write_principal(record.principal),
            write_string(record.reason),
            write_long(record.issued_at),
            BUDGET_KIND_WRITE[record.kind],
            write_string(record.id),
            write_nullable(record.cost_class, write_cost_class),
            BUDGET_PERIOD_WRITE[record.period],
            write_long(record.hard_micros),
            write_nullable(record.soft_micros, write_long),
        )
    )


def read_flip_switch(value: bytes, at: int) -> tuple[FlipSwitch, int]:
    command_id_, at = value[at : at + 16], at + 16
    principal_, at = read_principal(value, at)
    reason_, at = read_string(value, at)
    issued_at_, at = read_long(value, at)
    kind_, at = SWITCH_KIND_READ[value[at]], at + 1
    id_, at = read_string(value, at)
    stopped_, at = read_boolean(value, at)
    made = FlipSwitch(
        command_id_,
        principal_,
        reason_,
        issued_at_,
        kind_,
        id_,
        stopped_,
    )
    return made, at


def write_flip_switch(record: FlipSwitch) -> bytes:
    return b"".join(
        (
            write_fixed_16(record.command_id),
            write_principal(record.principal),
            write_string(record.reason),
            write_long(record.issued_at),
            SWITCH_KIND_WRITE[record.kind],
            write_string(record.id),
            write_boolean(record.stopped),
        )
    )


def read_publish_policy(value: bytes, at: int) -> tuple[PublishPolicy, int]:
    command_id_, at = value[at : at + 16], at + 16
    principal_, at = read_principal(value, at)
    reason_, at = read_string(value, at)
    issued_at_, at = read_long(value, at)
    tenant_, at = read_string(value, at)
    policy_, at = read_string(value, at)
    policy_hash_, at = value[at : at + 32], at + 32
    made = PublishPolicy(
        command_id_,
        principal_,
        reason_,
        issued_at_,
        tenant_,
        policy_,
        policy_hash_,
    )
    return made, at


def write_publish_policy(record: PublishPolicy) -> bytes:
    return b"".join(
        (
            write_fixed_16(record.command_id),
            write_principal(record.principal),
            write_string(record.reason),
            write_long(record.issued_at),
            write_string(record.tenant),
            write_string(record.policy),
            write_fixed_32(record.policy_hash),
        )
    )


def read_quarantine_tool(value: bytes, at: int) -> tuple[QuarantineTool, int]:
    command_id_, at = value[at : at + 16], at + 16
    principal_, at = read_principal(value, at)
    reason_, at = read_string(value, at)
    issued_at_, at = read_long(value, at)
    tool_, at = read_string(value, at)
    code_, at = read_string(value, at)
    observed_hash_, at = read_nullable(value, at, read_fixed_32)
    made = QuarantineTool(
        command_id_,
        principal_,
        reason_,
        issued_at_,
        tool_,
        code_,
        observed_hash_,
    )
    return made, at


def write_quarantine_tool(record: QuarantineTool) -> bytes:
    return b"".join(
        (
            write_fixed_16(record.command_id),
            write_principal(record.principal),
            write_string(record.reason),
            write_long(record.issued_at),
            write_string(record.tool),
            write_string(record.code),
            write_nullable(record.observed_hash, write_fixed_32),
        )
    )


def read_register_server(value: bytes, at: int) -> tuple[RegisterServer, int]:
    command_id_, at = value[at : at + 16], at + 16
    principal_, at = read_principal(value, at)
    reason_, at = read_string(value, at)
    issued_at_, at = read_long(value, at)
    server_, at = read_string(value, at)
    transport_, at = TRANSPORT_READ[value[at]], at + 1
    profile_, at = read_string(value, at)
    tenants_, at = read_array(value, at, read_string)
    made = RegisterServer(
        command_id_,
        principal_,
        reason_,
        issued_at_,
        server_,
        transport_,
        profile_,
        tenants_,
    )
    return made, at


def write_register_server(record: RegisterServer) -> bytes:
    return b"".join(
        (
            write_fixed_16(record.command_id),
            write_principal(record.principal),
            write_string(record.reason),
            write_long(record.issued_at),
            write_string(record.server),
            TRANSPORT_WRITE[record.transport],
            write_string(record.profile),
            write_array(record.tenants, write_string),
        )
    )


def read_register_tool(value: bytes, at: int) -> tuple[RegisterTool, int]:
    command_id_, at = value[at : at + 16], at + 16
    principal_, at = read_principal(value, at)
    reason_, at = read_string(value, at)
    issued_at_, at = read_long(value, at)
    tool_, at = read_string(value, at)
    entry_, at = read_tool_entry(value, at)
    made = RegisterTool(
        command_id_,
        principal_,
        reason_,
        issued_at_,
        tool_,
        entry_,
    )
    return made, at


def write_register_tool(record: RegisterTool) -> bytes:
    return b"".join(
        (
            write_fixed_16(record.command_id),
            write_principal(record.principal),
            write_string(record.reason),
            write_long(record.issued_at),
            write_string(record.tool),
            write_tool_entry(record.entry),
        )
    )


def read_register_tool_2(value: bytes, at: int) -> tuple[RegisterTool, int]:
    command_id_, at = value[at : at + 16], at + 16
    principal_, at = read_principal(value, at)
    reason_, at = read_string(value, at)
    issued_at_, at = read_long(value, at)
    tool_, at = read_string(value, at)
    entry_, at = read_tool_entry_2(value, at)
    made = RegisterTool(
        command_id_,
        principal_,
        reason_,
        issued_at_,
        tool_,
        entry_,
    )
    return made, at


def write_register_tool_2(record: RegisterTool) -> bytes:
    return b"".join(
        (
            write_fixed_16(record.command_id),
            write_principal(record.principal),
            write_string(record.reason),
            write_long(record.issued_at),
            write_string(record.tool),
            write_tool_entry_2(record.entry),
        )
    )


def read_remove_budget(value: bytes, at: int) -> tuple[RemoveBudget, int]:
    command_id_, at = value[at : at + 16], at + 16
    principal_, at = read_principal(value, at)
    reason_, at = read_string(value, at)
    issued_at_, at = read_long(value, at)
    kind_, at = BUDGET_KIND_READ[value[at]], at + 1
    id_, at = read_string(value, at)
    cost_class_, at = read_nullable(value, at, read_cost_class)
    period_, at = BUDGET_PERIOD_READ[value[at]], at + 1
    made = RemoveBudget(
        command_id_,
        principal_,
        reason_,
        issued_at_,
        kind_,
        id_,
        period_,
        cost_class_,
    )
    return made, at


def write_remove_budget(record: RemoveBudget) -> bytes:
    return b"".join(
        (
            write_fixed_16(record.command_id),
            write_principal(record.principal),
            write_string(record.reason),
            write_long(record.issued_at),
            BUDGET_KIND_WRITE[record.kind],
            write_string(record.id),
            write_nullable(record.cost_class, write_cost_class),
            BUDGET_PERIOD_WRITE[record.period],
        )
    )


def read_remove_server(value: bytes, at: int) -> tuple[RemoveServer, int]:
    command_id_, at = value[at : at + 16], at + 16
    principal_, at = read_principal(value, at)
    reason_, at = read_string(value, at)
    issued_at_, at = read_long(value, at)
    server_, at = read_string(value, at)
    made = RemoveServer(
        command_id_,
        principal_,
        reason_,
        issued_at_,
        server_,
    )
    return made, at


def write_remove_server(record: RemoveServer) -> bytes:
    return b"".join(
        (
            write_fixed_16(record.command_id),
            write_principal(record.principal),
            write_string(record.reason),
            write_long(record.issued_at),
            write_string(record.server),
        )
    )


def read_remove_tool(value: bytes, at: int) -> tuple[RemoveTool, int]:
    command_id_, at = value[at : at + 16], at + 16
    principal_, at = read_principal(value, at)
    reason_, at = read_string(value, at)
    issued_at_, at = read_long(value, at)
    tool_, at = read_string(value, at)
    made = RemoveTool(
        command_id_,
        principal_,
        reason_,
        issued_at_,
        tool_,
    )
    return made, at


def write_remove_tool(record: RemoveTool) -> bytes:
    return b"".join(
        (
            write_fixed_16(record.command_id),
            write_principal(record.principal),
            write_string(record.reason),
            write_long(record.issued_at),
            write_string(record.tool),
        )
    )


def read_report_breaker(value: bytes, at: int) -> tuple[ReportBreaker, int]:
    command_id_, at = value[at : at + 16], at + 16
    principal_, at = read_principal(value, at)
    reason_, at = read_string(value, at)
    issued_at_, at = read_long(value, at)
    server_, at = read_string(value, at)
    state_, at = BREAKER_STATE_READ[value[at]], at + 1
    until_at_, at = read_nullable(value, at, read_long)
    failures_, at = read_int(value, at)
    made = ReportBreaker(
        command_id_,
        principal_,
        reason_,
        issued_at_,
        server_,
        state_,
        failures_,
        until_at_,
    )
    return made, at


def write_report_breaker(record: ReportBreaker) -> bytes:
    return b"".join(
        (
            write_fixed_16(record.command_id),
            write_principal(record.principal),
            write_string(record.reason),
            write_long(record.issued_at),
            write_string(record.server),
            BREAKER_STATE_WRITE[record.state],
            write_nullable(record.until_at, write_long),
            write_int(record.failures),
        )
    )


def read_set_flag(value: bytes, at: int) -> tuple[SetFlag, int]:
    command_id_, at = value[at : at + 16], at + 16
    principal_, at = read_principal(value, at)
    reason_, at = read_string(value, at)
    issued_at_, at = read_long(value, at)
    level_, at = FLAG_LEVEL_READ[value[at]], at + 1
    id_, at = read_string(value, at)
    name_, at = read_string(value, at)
    value_, at = read_nullable(value, at, read_string)
    made = SetFlag(
        command_id_,
        principal_,
        reason_,
        issued_at_,
        level_,
        id_,
        name_,
        value_,
    )
    return made, at


def write_set_flag(record: SetFlag) -> bytes:
    return b"".join(
        (
            write_fixed_16(record.command_id),
            write_principal(record.principal),
            write_string(record.reason),
            write_long(record.issued_at),
            FLAG_LEVEL_WRITE[record.level],
            write_string(record.id),
            write_string(record.name),
            write_nullable(record.value, write_string),
        )
    )


def read_set_rate_limit(value: bytes, at: int) -> tuple[SetRateLimit, int]:
    command_id_, at = value[at : at + 16], at + 16
    principal_, at = read_principal(value, at)
    reason_, at = read_string(value, at)
    issued_at_, at = read_long(value, at)
    kind_, at = RATE_LIMIT_KIND_READ[value[at]], at + 1
    id_, at = read_string(value, at)
    permits_, at = read_nullable(value, at, read_int)
    window_ms_, at = read_long(value, at)
    made = SetRateLimit(
        command_id_,
        principal_,
        reason_,
        issued_at_,
        kind_,
        id_,
        window_ms_,
        permits_,
    )
    return made, at


def write_set_rate_limit(record: SetRateLimit) -> bytes:
    return b"".join(
        (
            write_fixed_16(record.command_id),
            write_principal(record.principal),
            write_string(record.reason),
            write_long(record.issued_at),
            RATE_LIMIT_KIND_WRITE[record.kind],
            write_string(record.id),
            write_nullable(record.permits, write_int),
            write_long(record.window_ms),
        )
    )


def read_dead_letter(value: bytes, at: int) -> tuple[DeadLetter, int]:
    service_, at = read_string(value, at)
    code_, at = read_string(value, at)
    reason_, at = read_string(value, at)
    topic_, at = read_string(value, at)
    partition_, at = read_int(value, at)
    offset_, at = read_long(value, at)
    timestamp_at_, at = read_long(value, at)
    key_, at = read_nullable(value, at, read_bytes)
    value_, at = read_bytes(value, at)
    headers_, at = read_map(value, at, read_bytes)
    made = DeadLetter(
        service_,
        code_,
        reason_,
        topic_,
        partition_,
        offset_,
        timestamp_at_,
        value_,
        headers_,
        key_,
    )
    return made, at


def write_dead_letter(record: DeadLetter) -> bytes:
    return b"".join(
        (
            write_string(record.service),
            write_string(record.code),
            write_string(record.reason),
            write_string(record.topic),
            write_int(record.partition),
            write_long(record.offset),
            write_long(record.timestamp_at),
            write_nullable(record.key, write_bytes),
            write_bytes(record.value),
            write_map(record.headers, write_bytes),
        )
    )


def read_cancel_requested(value: bytes, at: int) -> tuple[CancelRequested, int]:
    command_id_, at = value[at : at + 16], at + 16
    by_, at = read_string(value, at)
    reason_, at = read_string(value, at)
    made = CancelRequested(
        command_id_,
        by_,
        reason_,
    )
    return made, at


def write_cancel_requested(record: CancelRequested) -> bytes:
    return b"".join(
        (
            write_fixed_16(record.command_id),
            write_string(record.by),
            write_string(record.reason),
        )
    )


def read_execution_cancelled(value: bytes, at: int) -> tuple[ExecutionCancelled, int]:
    attempt_, at = read_int(value, at)
    code_, at = read_string(value, at)
    reason_, at = read_string(value, at)
    by_, at = read_string(value, at)
    not_sent_, at = read_boolean(value, at)
    made = ExecutionCancelled(
        attempt_,
        code_,
        reason_,
        by_,
        not_sent_,
    )
    return made, at


def write_execution_cancelled(record: ExecutionCancelled) -> bytes:
    return b"".join(
        (
            write_int(record.attempt),
            write_string(record.code),
            write_string(record.reason),
            write_string(record.by),
            write_boolean(record.not_sent),
        )
    )


CHOKE_POINT_READ = {
    0: ChokePoint.PLAN_APPROVAL,
    2: ChokePoint.STEP_EXECUTION,
    4: ChokePoint.EXPENSIVE_OPERATION,
    6: ChokePoint.EXTERNAL_WRITE,
}
CHOKE_POINT_WRITE = {
    ChokePoint.PLAN_APPROVAL: b"\x00",
    ChokePoint.STEP_EXECUTION: b"\x02",
    ChokePoint.EXPENSIVE_OPERATION: b"\x04",
    ChokePoint.EXTERNAL_WRITE: b"\x06",
}
read_choke_point = enum_reader(CHOKE_POINT_READ)
write_choke_point = enum_writer(CHOKE_POINT_WRITE)


VERDICT_READ = {
    0: Verdict.ALLOW,
    2: Verdict.WARN,
    4: Verdict.BLOCK,
}
VERDICT_WRITE = {
    Verdict.ALLOW: b"\x00",
    Verdict.WARN: b"\x02",
    Verdict.BLOCK: b"\x04",
}
read_verdict = enum_reader(VERDICT_READ)
write_verdict = enum_writer(VERDICT_WRITE)


def read_validator_result(value: bytes, at: int) -> tuple[ValidatorResult, int]:
    validator_, at = read_string(value, at)
    choke_point_, at = CHOKE_POINT_READ[value[at]], at + 1
    verdict_, at = VERDICT_READ[value[at]], at + 1
    code_, at = read_string(value, at)
    reason_, at = read_string(value, at)
    target_, at = read_string(value, at)
    input_digest_, at = value[at : at + 32], at + 32
    made = ValidatorResult(
        validator_,
        choke_point_,
        verdict_,
        code_,
        reason_,
        target_,
        input_digest_,
    )
    return made, at


def write_validator_result(record: ValidatorResult) -> bytes:
    return b"".join(
        (
            write_string(record.validator),
            CHOKE_POINT_WRITE[record.choke_point],
            VERDICT_WRITE[record.verdict],
            write_string(record.code),
            write_string(record.reason),
            write_string(record.target),
            write_fixed_32(record.input_digest),
        )
    )


def read_execution_dispatched(value: bytes, at: int) -> tuple[ExecutionDispatched, int]:
    attempt_, at = read_int(value, at)
    tool_, at = read_string(value, at)
    tool_hash_, at = value[at : at + 32], at + 32
    server_, at = read_string(value, at)
    action_digest_, at = value[at : at + 32], at + 32
    effect_class_, at = EFFECT_CLASS_READ[value[at]], at + 1
    timeout_ms_, at = read_int(value, at)
    rechecks_, at = read_array(value, at, read_validator_result)
    reservation_id_, at = value[at : at + 16], at + 16
    approval_id_, at = read_nullable(value, at, read_fixed_16)
    policy_hash_, at = value[at : at + 32], at + 32
    made = ExecutionDispatched(
        attempt_,
        tool_,
        tool_hash_,
        server_,
        action_digest_,
        effect_class_,
        timeout_ms_,
        reservation_id_,
        policy_hash_,
        rechecks_,
        approval_id_,
    )
    return made, at


def write_execution_dispatched(record: ExecutionDispatched) -> bytes:
    return b"".join(
        (
            write_int(record.attempt),
            write_string(record.tool),
            write_fixed_32(record.tool_hash),
            write_string(record.server),
            write_fixed_32(record.action_digest),
            EFFECT_CLASS_WRITE[record.effect_class],
            write_int(record.timeout_ms),
            write_array(record.rechecks, write_validator_result),
            write_fixed_16(record.reservation_id),
            write_nullable(record.approval_id, write_fixed_16),
            write_fixed_32(record.policy_hash),
        )
    )


def read_execution_expired(value: bytes, at: int) -> tuple[ExecutionExpired, int]:
    attempt_, at = read_int(value, at)
    reason_, at = read_string(value, at)
    not_sent_, at = read_boolean(value, at)
    made = ExecutionExpired(
        attempt_,
        reason_,
        not_sent_,
    )
    return made, at


def write_execution_expired(record: ExecutionExpired) -> bytes:
    return b"".join(
        (
            write_int(record.attempt),
            write_string(record.reason),
            write_boolean(record.not_sent),
        )
    )


def read_execution_failed(value: bytes, at: int) -> tuple[ExecutionFailed, int]:
    attempt_, at = read_int(value, at)
    code_, at = read_string(value, at)
    category_, at = FAILURE_CATEGORY_READ[value[at]], at + 1
    reason_, at = read_string(value, at)
    duration_ms_, at = read_long(value, at)
    made = ExecutionFailed(
        attempt_,
        code_,
        category_,
        reason_,
        duration_ms_,
    )
    return made, at


def write_execution_failed(record: ExecutionFailed) -> bytes:
    return b"".join(
        (
            write_int(record.attempt),
            write_string(record.code),
            FAILURE_CATEGORY_WRITE[record.category],
            write_string(record.reason),
            write_long(record.duration_ms),
        )
    )


def read_execution_in_doubt(value: bytes, at: int) -> tuple[ExecutionInDoubt, int]:
    attempt_, at = read_int(value, at)
    code_, at = read_string(value, at)
    reason_, at = read_string(value, at)
    quiet_until_at_, at = read_long(value, at)
    owner_role_, at = read_string(value, at)
    made = ExecutionInDoubt(
        attempt=attempt_,
        code=code_,
        reason=reason_,
        quiet_until_at=quiet_until_at_,
        owner_role=owner_role_,
    )
    return made, at


def write_execution_in_doubt(record: ExecutionInDoubt) -> bytes:
    return b"".join(
        (
            write_int(record.attempt),
            write_string(record.code),
            write_string(record.reason),
            write_long(record.quiet_until_at),
            write_string(record.owner_role),
        )
    )


def read_execution_in_doubt_2(value: bytes, at: int) -> tuple[ExecutionInDoubt, int]:
    attempt_, at = read_int(value, at)
    code_, at = read_string(value, at)
    reason_, at = read_string(value, at)
    quiet_until_at_, at = read_long(value, at)
    owner_role_, at = read_string(value, at)
    query_, at = read_int(value, at)
    ask_at_, at = read_nullable(value, at, read_long)
    made = ExecutionInDoubt(
        attempt_,
        code_,
        reason_,
        quiet_until_at_,
        owner_role_,
        query_,
        ask_at_,
    )
    return made, at


def write_execution_in_doubt_2(record: ExecutionInDoubt) -> bytes:
    return b"".join(
        (
            write_int(record.attempt),
            write_string(record.code),
            write_string(record.reason),
            write_long(record.quiet_until_at),
            write_string(record.owner_role),
            write_int(record.query),
            write_nullable(record.ask_at, write_long),
        )
    )


def read_execution_refused(value: bytes, at: int) -> tuple[ExecutionRefused, int]:
    attempt_, at = read_int(value, at)
    code_, at = read_string(value, at)
    reason_, at = read_string(value, at)
    not_sent_, at = read_boolean(value, at)
    rechecks_, at = read_array(value, at, read_validator_result)
    made = ExecutionRefused(
        attempt_,
        code_,
        reason_,
        not_sent_,
        rechecks_,
    )
    return made, at


def write_execution_refused(record: ExecutionRefused) -> bytes:
    return b"".join(
        (
            write_int(record.attempt),
            write_string(record.code),
            write_string(record.reason),
            write_boolean(record.not_sent),
            write_array(record.rechecks, write_validator_result),
        )
    )


def read_execution_resolved(value: bytes, at: int) -> tuple[ExecutionResolved, int]:
    attempt_, at = read_int(value, at)
    applied_, at = read_boolean(value, at)
    cost_micros_, at = read_long(value, at)
    by_, at = read_string(value, at)
    evidence_, at = read_string(value, at)
    command_id_, at = read_nullable(value, at, read_fixed_16)
    object_refs_, at = read_array(value, at, read_object_ref)
    made = ExecutionResolved(
        attempt_,
        applied_,
        cost_micros_,
        by_,
        evidence_,
        command_id_,
        object_refs_,
    )
    return made, at


def write_execution_resolved(record: ExecutionResolved) -> bytes:
    return b"".join(
        (
            write_int(record.attempt),
            write_boolean(record.applied),
            write_long(record.cost_micros),
            write_string(record.by),
            write_string(record.evidence),
            write_nullable(record.command_id, write_fixed_16),
            write_array(record.object_refs, write_object_ref),
        )
    )


def read_execution_retry_scheduled(value: bytes, at: int) -> tuple[ExecutionRetryScheduled, int]:
    attempt_, at = read_int(value, at)
    retry_at_, at = read_long(value, at)
    code_, at = read_string(value, at)
    reason_, at = read_string(value, at)
    first_started_at_, at = read_nullable(value, at, read_long)
    made = ExecutionRetryScheduled(
        attempt=attempt_,
        retry_at=retry_at_,
        code=code_,
        reason=reason_,
        first_started_at=first_started_at_,
    )
    return made, at


def write_execution_retry_scheduled(record: ExecutionRetryScheduled) -> bytes:
    return b"".join(
        (
            write_int(record.attempt),
            write_long(record.retry_at),
            write_string(record.code),
            write_string(record.reason),
            write_nullable(record.first_started_at, write_long),
        )
    )


def read_execution_retry_scheduled_2(value: bytes, at: int) -> tuple[ExecutionRetryScheduled, int]:
    attempt_, at = read_int(value, at)
    retry_at_, at = read_long(value, at)
    code_, at = read_string(value, at)
    reason_, at = read_string(value, at)
    first_started_at_, at = read_nullable(value, at, read_long)
    call_until_at_, at = read_nullable(value, at, read_long)
    made = ExecutionRetryScheduled(
        attempt_,
        retry_at_,
        code_,
        reason_,
        first_started_at_,
        call_until_at_,
    )
    return made, at


def write_execution_retry_scheduled_2(record: ExecutionRetryScheduled) -> bytes:
    return b"".join(
        (
            write_int(record.attempt),
            write_long(record.retry_at),
            write_string(record.code),
            write_string(record.reason),
            write_nullable(record.first_started_at, write_long),
            write_nullable(record.call_until_at, write_long),
        )
    )


def read_execution_succeeded(value: bytes, at: int) -> tuple[ExecutionSucceeded, int]:
    attempt_, at = read_int(value, at)
    cost_micros_, at = read_long(value, at)
    object_refs_, at = read_array(value, at, read_object_ref)
    response_digest_, at = read_nullable(value, at, read_fixed_32)
    response_bytes_, at = read_long(value, at)
    summary_, at = read_string(value, at)
    started_at_, at = read_long(value, at)
    duration_ms_, at = read_long(value, at)
    artifact_, at = read_string(value, at)
    tokens_, at = read_nullable(value, at, read_long)
    made = ExecutionSucceeded(
        attempt_,
        cost_micros_,
        object_refs_,
        response_bytes_,
        summary_,
        started_at_,
        duration_ms_,
        response_digest_,
        artifact_,
        tokens_,
    )
    return made, at


def write_execution_succeeded(record: ExecutionSucceeded) -> bytes:
    return b"".join(
        (
            write_int(record.attempt),
            write_long(record.cost_micros),
            write_array(record.object_refs, write_object_ref),
            write_nullable(record.response_digest, write_fixed_32),
            write_long(record.response_bytes),
            write_string(record.summary),
            write_long(record.started_at),
            write_long(record.duration_ms),
            write_string(record.artifact),
            write_nullable(record.tokens, write_long),
        )
    )


def read_late_answer_recorded(value: bytes, at: int) -> tuple[LateAnswerRecorded, int]:
    attempt_, at = read_int(value, at)
    answer_, at = read_tool_answer(value, at)
    contradicts_, at = read_boolean(value, at)
    made = LateAnswerRecorded(
        attempt_,
        answer_,
        contradicts_,
    )
    return made, at


def write_late_answer_recorded(record: LateAnswerRecorded) -> bytes:
    return b"".join(
        (
            write_int(record.attempt),
            write_tool_answer(record.answer),
            write_boolean(record.contradicts),
        )
    )


def read_progress_reported(value: bytes, at: int) -> tuple[ProgressReported, int]:
    attempt_, at = read_int(value, at)
    percent_, at = read_int(value, at)
    message_, at = read_string(value, at)
    made = ProgressReported(
        attempt_,
        percent_,
        message_,
    )
    return made, at


def write_progress_reported(record: ProgressReported) -> bytes:
    return b"".join(
        (
            write_int(record.attempt),
            write_int(record.percent),
            write_string(record.message),
        )
    )


def read_home_submission(value: bytes, at: int) -> tuple[HomeSubmission, int]:
    intent_, at = read_bytes(value, at)
    principal_, at = read_principal(value, at)
    arrived_at_, at = read_long(value, at)
    origin_topic_, at = read_string(value, at)
    origin_partition_, at = read_int(value, at)
    origin_offset_, at = read_long(value, at)
    forwarded_, at = read_boolean(value, at)
    trace_parent_, at = read_string(value, at)
    made = HomeSubmission(
        intent_,
        principal_,
        arrived_at_,
        origin_topic_,
        origin_partition_,
        origin_offset_,
        forwarded_,
        trace_parent_,
    )
    return made, at


def write_home_submission(record: HomeSubmission) -> bytes:
    return b"".join(
        (
            write_bytes(record.intent),
            write_principal(record.principal),
            write_long(record.arrived_at),
            write_string(record.origin_topic),
            write_int(record.origin_partition),
            write_long(record.origin_offset),
            write_boolean(record.forwarded),
            write_string(record.trace_parent),
        )
    )


EVIDENCE_KIND_READ = {
    0: EvidenceKind.SOURCE,
    2: EvidenceKind.LEDGER_EVENT,
    4: EvidenceKind.RECORD,
}
EVIDENCE_KIND_WRITE = {
    EvidenceKind.SOURCE: b"\x00",
    EvidenceKind.LEDGER_EVENT: b"\x02",
    EvidenceKind.RECORD: b"\x04",
}
read_evidence_kind = enum_reader(EVIDENCE_KIND_READ)
write_evidence_kind = enum_writer(EVIDENCE_KIND_WRITE)


def read_evidence(value: bytes, at: int) -> tuple[Evidence, int]:
    kind_, at = EVIDENCE_KIND_READ[value[at]], at + 1
    type_, at = read_string(value, at)
    id_, at = read_string(value, at)
    made = Evidence(
        kind_,
        type_,
        id_,
    )
    return made, at


def write_evidence(record: Evidence) -> bytes:
    return b"".join(
        (
            EVIDENCE_KIND_WRITE[record.kind],
            write_string(record.type),
            write_string(record.id),
        )
    )


def read_data_source(value: bytes, at: int) -> tuple[DataSource, int]:
    name_, at = read_string(value, at)
    as_of_at_, at = read_long(value, at)
    made = DataSource(
        name_,
        as_of_at_,
    )
    return made, at


def write_data_source(record: DataSource) -> bytes:
    return b"".join(
        (
            write_string(record.name),
            write_long(record.as_of_at),
        )
    )


def read_intent_accepted(value: bytes, at: int) -> tuple[IntentAccepted, int]:
    idempotency_key_, at = read_string(value, at)
    account_, at = read_string(value, at)
    tool_, at = read_string(value, at)
    capability_, at = read_string(value, at)
    arguments_, at = read_string(value, at)
    cost_class_, at = read_nullable(value, at, read_cost_class)
    cost_cap_micros_, at = read_nullable(value, at, read_long)
    evidence_, at = read_array(value, at, read_evidence)
    snapshot_id_, at = read_string(value, at)
    data_sources_, at = read_array(value, at, read_data_source)
    expires_at_, at = read_long(value, at)
    trace_parent_, at = read_string(value, at)
    run_id_, at = read_string(value, at)
    plan_id_, at = read_string(value, at)
    step_id_, at = read_string(value, at)
    parent_id_, at = read_string(value, at)
    retry_of_, at = read_nullable(value, at, read_fixed_16)
    edited_from_, at = read_nullable(value, at, read_fixed_16)
    principal_, at = read_principal(value, at)
    content_digest_, at = value[at : at + 32], at + 32
    arrived_at_, at = read_long(value, at)
    made = IntentAccepted(
        idempotency_key_,
        tool_,
        capability_,
        arguments_,
        expires_at_,
        principal_,
        content_digest_,
        arrived_at_,
        account_,
        cost_class_,
        cost_cap_micros_,
        evidence_,
        snapshot_id_,
        data_sources_,
        trace_parent_,
        run_id_,
        plan_id_,
        step_id_,
        parent_id_,
        retry_of_,
        edited_from_,
    )
    return made, at


def write_intent_accepted(record: IntentAccepted) -> bytes:
    return b"".join(
        (
            write_string(record.idempotency_key),
            write_string(record.account),
            write_string(record.tool),
            write_string(record.capability),
            write_string(record.arguments),
            write_nullable(record.cost_class, write_cost_class),
            write_nullable(record.cost_cap_micros, write_long),
            write_array(record.evidence, write_evidence),
            write_string(record.snapshot_id),
            write_array(record.data_sources, write_data_source),
            write_long(record.expires_at),
            write_string(record.trace_parent),
            write_string(record.run_id),
            write_string(record.plan_id),
            write_string(record.step_id),
            write_string(record.parent_id),
            write_nullable(record.retry_of, write_fixed_16),
            write_nullable(record.edited_from, write_fixed_16),
            write_principal(record.principal),
            write_fixed_32(record.content_digest),
            write_long(record.arrived_at),
        )
    )


def read_submission_rejected(value: bytes, at: int) -> tuple[SubmissionRejected, int]:
    submission_id_, at = value[at : at + 16], at + 16
    code_, at = read_string(value, at)
    category_, at = FAILURE_CATEGORY_READ[value[at]], at + 1
    reason_, at = read_string(value, at)
    remedy_, at = read_string(value, at)
    origin_topic_, at = read_string(value, at)
    origin_partition_, at = read_int(value, at)
    origin_offset_, at = read_long(value, at)
    idempotency_key_, at = read_string(value, at)
    made = SubmissionRejected(
        submission_id_,
        code_,
        category_,
        reason_,
        remedy_,
        origin_topic_,
        origin_partition_,
        origin_offset_,
        idempotency_key_,
    )
    return made, at


def write_submission_rejected(record: SubmissionRejected) -> bytes:
    return b"".join(
        (
            write_fixed_16(record.submission_id),
            write_string(record.code),
            FAILURE_CATEGORY_WRITE[record.category],
            write_string(record.reason),
            write_string(record.remedy),
            write_string(record.origin_topic),
            write_int(record.origin_partition),
            write_long(record.origin_offset),
            write_string(record.idempotency_key),
        )
    )


def read_intent(value: bytes, at: int) -> tuple[Intent, int]:
    idempotency_key_, at = read_string(value, at)
    account_, at = read_string(value, at)
    tool_, at = read_string(value, at)
    capability_, at = read_string(value, at)
    arguments_, at = read_string(value, at)
    cost_class_, at = read_nullable(value, at, read_cost_class)
    cost_cap_micros_, at = read_nullable(value, at, read_long)
    evidence_, at = read_array(value, at, read_evidence)
    snapshot_id_, at = read_string(value, at)
    data_sources_, at = read_array(value, at, read_data_source)
    expires_at_, at = read_long(value, at)
    trace_parent_, at = read_string(value, at)
    run_id_, at = read_string(value, at)
    plan_id_, at = read_string(value, at)
    step_id_, at = read_string(value, at)
    parent_id_, at = read_string(value, at)
    retry_of_, at = read_nullable(value, at, read_fixed_16)
    edited_from_, at = read_nullable(value, at, read_fixed_16)
    made = Intent(
        idempotency_key_,
        tool_,
        capability_,
        arguments_,
        expires_at_,
        account_,
        cost_class_,
        cost_cap_micros_,
        evidence_,
        snapshot_id_,
        data_sources_,
        trace_parent_,
        run_id_,
        plan_id_,
        step_id_,
        parent_id_,
        retry_of_,
        edited_from_,
    )
    return made, at


def write_intent(record: Intent) -> bytes:
    return b"".join(
        (
            write_string(record.idempotency_key),
            write_string(record.account),
            write_string(record.tool),
            write_string(record.capability),
            write_string(record.arguments),
            write_nullable(record.cost_class, write_cost_class),
            write_nullable(record.cost_cap_micros, write_long),
            write_array(record.evidence, write_evidence),
            write_string(record.snapshot_id),
            write_array(record.data_sources, write_data_source),
            write_long(record.expires_at),
            write_string(record.trace_parent),
            write_string(record.run_id),
            write_string(record.plan_id),
            write_string(record.step_id),
            write_string(record.parent_id),
            write_nullable(record.retry_of, write_fixed_16),
            write_nullable(record.edited_from, write_fixed_16),
        )
    )


OUTCOME_STATUS_READ = {
    0: OutcomeStatus.SUCCEEDED,
    2: OutcomeStatus.FAILED,
    4: OutcomeStatus.BLOCKED,
    6: OutcomeStatus.DENIED,
    8: OutcomeStatus.CANCELLED,
    10: OutcomeStatus.EXPIRED,
    12: OutcomeStatus.REFUSED,
}
OUTCOME_STATUS_WRITE = {
    OutcomeStatus.SUCCEEDED: b"\x00",
    OutcomeStatus.FAILED: b"\x02",
    OutcomeStatus.BLOCKED: b"\x04",
    OutcomeStatus.DENIED: b"\x06",
    OutcomeStatus.CANCELLED: b"\x08",
    OutcomeStatus.EXPIRED: b"\x0a",
    OutcomeStatus.REFUSED: b"\x0c",
}
read_outcome_status = enum_reader(OUTCOME_STATUS_READ)
write_outcome_status = enum_writer(OUTCOME_STATUS_WRITE)


def read_outcome_amended(value: bytes, at: int) -> tuple[OutcomeAmended, int]:
    status_, at = OUTCOME_STATUS_READ[value[at]], at + 1
    reason_, at = read_string(value, at)
    decided_by_, at = value[at : at + 16], at + 16
    cost_micros_, at = read_long(value, at)
    object_refs_, at = read_array(value, at, read_object_ref)
    made = OutcomeAmended(
        status_,
        reason_,
        decided_by_,
        cost_micros_,
        object_refs_,
    )
    return made, at


def write_outcome_amended(record: OutcomeAmended) -> bytes:
    return b"".join(
        (
            OUTCOME_STATUS_WRITE[record.status],
            write_string(record.reason),
            write_fixed_16(record.decided_by),
            write_long(record.cost_micros),
            write_array(record.object_refs, write_object_ref),
        )
    )


def read_outcome_recorded(value: bytes, at: int) -> tuple[OutcomeRecorded, int]:
    status_, at = OUTCOME_STATUS_READ[value[at]], at + 1
    code_, at = read_string(value, at)
    reason_, at = read_string(value, at)
    cost_micros_, at = read_long(value, at)
    object_refs_, at = read_array(value, at, read_object_ref)
    attempts_, at = read_int(value, at)
    decided_by_, at = value[at : at + 16], at + 16
    tool_, at = read_string(value, at)
    made = OutcomeRecorded(
        status_,
        code_,
        reason_,
        cost_micros_,
        attempts_,
        decided_by_,
        tool_,
        object_refs_,
    )
    return made, at


def write_outcome_recorded(record: OutcomeRecorded) -> bytes:
    return b"".join(
        (
            OUTCOME_STATUS_WRITE[record.status],
            write_string(record.code),
            write_string(record.reason),
            write_long(record.cost_micros),
            write_array(record.object_refs, write_object_ref),
            write_int(record.attempts),
            write_fixed_16(record.decided_by),
            write_string(record.tool),
        )
    )


def read_signal_emitted(value: bytes, at: int) -> tuple[SignalEmitted, int]:
    dedupe_key_, at = read_string(value, at)
    window_key_, at = read_string(value, at)
    kind_, at = read_string(value, at)
    tenant_, at = read_string(value, at)
    subject_, at = read_string(value, at)
    count_, at = read_long(value, at)
    total_, at = read_long(value, at)
    threshold_, at = read_long(value, at)
    message_, at = read_string(value, at)
    window_start_at_, at = read_long(value, at)
    window_end_at_, at = read_long(value, at)
    emitted_at_, at = read_long(value, at)
    made = SignalEmitted(
        dedupe_key_,
        window_key_,
        kind_,
        tenant_,
        subject_,
        count_,
        total_,
        threshold_,
        message_,
        window_start_at_,
        window_end_at_,
        emitted_at_,
    )
    return made, at


def write_signal_emitted(record: SignalEmitted) -> bytes:
    return b"".join(
        (
            write_string(record.dedupe_key),
            write_string(record.window_key),
            write_string(record.kind),
            write_string(record.tenant),
            write_string(record.subject),
            write_long(record.count),
            write_long(record.total),
            write_long(record.threshold),
            write_string(record.message),
            write_long(record.window_start_at),
            write_long(record.window_end_at),
            write_long(record.emitted_at),
        )
    )


def read_intent_allowed(value: bytes, at: int) -> tuple[IntentAllowed, int]:
    verdict_, at = VERDICT_READ[value[at]], at + 1
    results_, at = read_array(value, at, read_validator_result)
    human_required_, at = read_boolean(value, at)
    approvals_needed_, at = read_int(value, at)
    approver_roles_, at = read_array(value, at, read_string)
    approval_expires_at_, at = read_nullable(value, at, read_long)
    action_digest_, at = value[at : at + 32], at + 32
    policy_hash_, at = value[at : at + 32], at + 32
    tool_, at = read_string(value, at)
    tool_hash_, at = value[at : at + 32], at + 32
    server_, at = read_string(value, at)
    price_micros_, at = read_long(value, at)
    cost_class_, at = COST_CLASS_READ[value[at]], at + 1
    effect_class_, at = EFFECT_CLASS_READ[value[at]], at + 1
    effect_, at = EFFECT_KIND_READ[value[at]], at + 1
    target_, at = read_string(value, at)
    display_, at = read_string(value, at)
    cost_cap_micros_, at = read_nullable(value, at, read_long)
    expires_at_, at = read_long(value, at)
    requester_, at = read_string(value, at)
    made = IntentAllowed(
        verdict_,
        results_,
        human_required_,
        approvals_needed_,
        approver_roles_,
        action_digest_,
        policy_hash_,
        tool_,
        tool_hash_,
        server_,
        price_micros_,
        cost_class_,
        effect_class_,
        effect_,
        target_,
        display_,
        expires_at_,
        requester_,
        approval_expires_at_,
        cost_cap_micros_,
    )
    return made, at


def write_intent_allowed(record: IntentAllowed) -> bytes:
    return b"".join(
        (
            VERDICT_WRITE[record.verdict],
            write_array(record.results, write_validator_result),
            write_boolean(record.human_required),
            write_int(record.approvals_needed),
            write_array(record.approver_roles, write_string),
            write_nullable(record.approval_expires_at, write_long),
            write_fixed_32(record.action_digest),
            write_fixed_32(record.policy_hash),
            write_string(record.tool),
            write_fixed_32(record.tool_hash),
            write_string(record.server),
            write_long(record.price_micros),
            COST_CLASS_WRITE[record.cost_class],
            EFFECT_CLASS_WRITE[record.effect_class],
            EFFECT_KIND_WRITE[record.effect],
            write_string(record.target),
            write_string(record.display),
            write_nullable(record.cost_cap_micros, write_long),
            write_long(record.expires_at),
            write_string(record.requester),
        )
    )


def read_intent_blocked(value: bytes, at: int) -> tuple[IntentBlocked, int]:
    results_, at = read_array(value, at, read_validator_result)
    code_, at = read_string(value, at)
    reason_, at = read_string(value, at)
    policy_hash_, at = value[at : at + 32], at + 32
    made = IntentBlocked(
        results_,
        code_,
        reason_,
        policy_hash_,
    )
    return made, at


def write_intent_blocked(record: IntentBlocked) -> bytes:
    return b"".join(
        (
            write_array(record.results, write_validator_result),
            write_string(record.code),
            write_string(record.reason),
            write_fixed_32(record.policy_hash),
        )
    )
