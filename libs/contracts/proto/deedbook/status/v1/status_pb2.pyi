import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STATE_UNSPECIFIED: _ClassVar[State]
    STATE_PENDING: _ClassVar[State]
    STATE_AWAITING_APPROVAL: _ClassVar[State]
    STATE_READY: _ClassVar[State]
    STATE_RUNNING: _ClassVar[State]
    STATE_IN_DOUBT: _ClassVar[State]
    STATE_SUCCEEDED: _ClassVar[State]
    STATE_FAILED: _ClassVar[State]
    STATE_BLOCKED: _ClassVar[State]
    STATE_DENIED: _ClassVar[State]
    STATE_CANCELLED: _ClassVar[State]
    STATE_EXPIRED: _ClassVar[State]
    STATE_REFUSED: _ClassVar[State]

class ErrorCategory(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ERROR_CATEGORY_UNSPECIFIED: _ClassVar[ErrorCategory]
    ERROR_CATEGORY_TRANSIENT: _ClassVar[ErrorCategory]
    ERROR_CATEGORY_PERMANENT: _ClassVar[ErrorCategory]
    ERROR_CATEGORY_POLICY: _ClassVar[ErrorCategory]

class SubmissionState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SUBMISSION_STATE_UNSPECIFIED: _ClassVar[SubmissionState]
    SUBMISSION_STATE_PENDING: _ClassVar[SubmissionState]
    SUBMISSION_STATE_ACCEPTED: _ClassVar[SubmissionState]
    SUBMISSION_STATE_REPEATED: _ClassVar[SubmissionState]
    SUBMISSION_STATE_REJECTED: _ClassVar[SubmissionState]

class Consent(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CONSENT_UNSPECIFIED: _ClassVar[Consent]
    CONSENT_GRANTED: _ClassVar[Consent]
    CONSENT_DENIED: _ClassVar[Consent]
    CONSENT_EXPIRED: _ClassVar[Consent]
    CONSENT_CANCELLED: _ClassVar[Consent]
    CONSENT_WITHDRAWN: _ClassVar[Consent]

class Verdict(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VERDICT_UNSPECIFIED: _ClassVar[Verdict]
    VERDICT_ALLOW: _ClassVar[Verdict]
    VERDICT_WARN: _ClassVar[Verdict]
    VERDICT_BLOCK: _ClassVar[Verdict]

class AttemptStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ATTEMPT_STATUS_UNSPECIFIED: _ClassVar[AttemptStatus]
    ATTEMPT_STATUS_OPEN: _ClassVar[AttemptStatus]
    ATTEMPT_STATUS_SUCCEEDED: _ClassVar[AttemptStatus]
    ATTEMPT_STATUS_FAILED: _ClassVar[AttemptStatus]
    ATTEMPT_STATUS_NOT_SENT: _ClassVar[AttemptStatus]
    ATTEMPT_STATUS_IN_DOUBT: _ClassVar[AttemptStatus]
STATE_UNSPECIFIED: State
STATE_PENDING: State
STATE_AWAITING_APPROVAL: State
STATE_READY: State
STATE_RUNNING: State
STATE_IN_DOUBT: State
STATE_SUCCEEDED: State
STATE_FAILED: State
STATE_BLOCKED: State
STATE_DENIED: State
STATE_CANCELLED: State
STATE_EXPIRED: State
STATE_REFUSED: State
ERROR_CATEGORY_UNSPECIFIED: ErrorCategory
ERROR_CATEGORY_TRANSIENT: ErrorCategory
ERROR_CATEGORY_PERMANENT: ErrorCategory
ERROR_CATEGORY_POLICY: ErrorCategory
SUBMISSION_STATE_UNSPECIFIED: SubmissionState
SUBMISSION_STATE_PENDING: SubmissionState
SUBMISSION_STATE_ACCEPTED: SubmissionState
SUBMISSION_STATE_REPEATED: SubmissionState
SUBMISSION_STATE_REJECTED: SubmissionState
CONSENT_UNSPECIFIED: Consent
CONSENT_GRANTED: Consent
CONSENT_DENIED: Consent
CONSENT_EXPIRED: Consent
CONSENT_CANCELLED: Consent
CONSENT_WITHDRAWN: Consent
VERDICT_UNSPECIFIED: Verdict
VERDICT_ALLOW: Verdict
VERDICT_WARN: Verdict
VERDICT_BLOCK: Verdict
ATTEMPT_STATUS_UNSPECIFIED: AttemptStatus
ATTEMPT_STATUS_OPEN: AttemptStatus
ATTEMPT_STATUS_SUCCEEDED: AttemptStatus
ATTEMPT_STATUS_FAILED: AttemptStatus
ATTEMPT_STATUS_NOT_SENT: AttemptStatus
ATTEMPT_STATUS_IN_DOUBT: AttemptStatus

class GetRequest(_message.Message):
    __slots__ = ("intent_id",)
    INTENT_ID_FIELD_NUMBER: _ClassVar[int]
    intent_id: str
    def __init__(self, intent_id: _Optional[str] = ...) -> None: ...

class GetResponse(_message.Message):
    __slots__ = ("intent",)
    INTENT_FIELD_NUMBER: _ClassVar[int]
    intent: Intent
    def __init__(self, intent: _Optional[_Union[Intent, _Mapping[str, object]]] = ...) -> None: ...

class ListRequest(_message.Message):
    __slots__ = ("account", "page_size", "page_token")
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    account: str
    page_size: int
    page_token: str
    def __init__(self, account: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListResponse(_message.Message):
    __slots__ = ("intents", "next_page_token")
    INTENTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    intents: _containers.RepeatedCompositeFieldContainer[Intent]
    next_page_token: str
    def __init__(self, intents: _Optional[_Iterable[_Union[Intent, _Mapping[str, object]]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class WatchRequest(_message.Message):
    __slots__ = ("intent_id", "after_version")
    INTENT_ID_FIELD_NUMBER: _ClassVar[int]
    AFTER_VERSION_FIELD_NUMBER: _ClassVar[int]
    intent_id: str
    after_version: int
    def __init__(self, intent_id: _Optional[str] = ..., after_version: _Optional[int] = ...) -> None: ...

class WatchResponse(_message.Message):
    __slots__ = ("intent",)
    INTENT_FIELD_NUMBER: _ClassVar[int]
    intent: Intent
    def __init__(self, intent: _Optional[_Union[Intent, _Mapping[str, object]]] = ...) -> None: ...

class GetSubmissionRequest(_message.Message):
    __slots__ = ("submission_id", "intent_id", "content_digest")
    SUBMISSION_ID_FIELD_NUMBER: _ClassVar[int]
    INTENT_ID_FIELD_NUMBER: _ClassVar[int]
    CONTENT_DIGEST_FIELD_NUMBER: _ClassVar[int]
    submission_id: str
    intent_id: str
    content_digest: str
    def __init__(self, submission_id: _Optional[str] = ..., intent_id: _Optional[str] = ..., content_digest: _Optional[str] = ...) -> None: ...

class GetSubmissionResponse(_message.Message):
    __slots__ = ("submission",)
    SUBMISSION_FIELD_NUMBER: _ClassVar[int]
    submission: Submission
    def __init__(self, submission: _Optional[_Union[Submission, _Mapping[str, object]]] = ...) -> None: ...

class Submission(_message.Message):
    __slots__ = ("submission_id", "state", "intent_id", "code", "error_category", "reason", "remedy", "idempotency_key", "decide_time", "event_id")
    SUBMISSION_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    INTENT_ID_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    ERROR_CATEGORY_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REMEDY_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    DECIDE_TIME_FIELD_NUMBER: _ClassVar[int]
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    submission_id: str
    state: SubmissionState
    intent_id: str
    code: str
    error_category: ErrorCategory
    reason: str
    remedy: str
    idempotency_key: str
    decide_time: _timestamp_pb2.Timestamp
    event_id: str
    def __init__(self, submission_id: _Optional[str] = ..., state: _Optional[_Union[SubmissionState, str]] = ..., intent_id: _Optional[str] = ..., code: _Optional[str] = ..., error_category: _Optional[_Union[ErrorCategory, str]] = ..., reason: _Optional[str] = ..., remedy: _Optional[str] = ..., idempotency_key: _Optional[str] = ..., decide_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, object]]] = ..., event_id: _Optional[str] = ...) -> None: ...

class Intent(_message.Message):
    __slots__ = ("intent_id", "account", "tool", "requester", "state", "overdue", "version", "code", "reason", "error_category", "create_time", "update_time", "expire_time", "end_time", "attempts", "reserved_micros", "cost_micros", "object_refs", "waiting", "approval", "stages", "timeline", "positions", "timeline_dropped", "capability", "idempotency_key", "trace_parent", "findings", "rechecks", "tries", "doubt", "progress", "money", "price_micros")
    INTENT_ID_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    TOOL_FIELD_NUMBER: _ClassVar[int]
    REQUESTER_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    OVERDUE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ERROR_CATEGORY_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    RESERVED_MICROS_FIELD_NUMBER: _ClassVar[int]
    COST_MICROS_FIELD_NUMBER: _ClassVar[int]
    OBJECT_REFS_FIELD_NUMBER: _ClassVar[int]
    WAITING_FIELD_NUMBER: _ClassVar[int]
    APPROVAL_FIELD_NUMBER: _ClassVar[int]
    STAGES_FIELD_NUMBER: _ClassVar[int]
    TIMELINE_FIELD_NUMBER: _ClassVar[int]
    POSITIONS_FIELD_NUMBER: _ClassVar[int]
    TIMELINE_DROPPED_FIELD_NUMBER: _ClassVar[int]
    CAPABILITY_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    TRACE_PARENT_FIELD_NUMBER: _ClassVar[int]
    FINDINGS_FIELD_NUMBER: _ClassVar[int]
    RECHECKS_FIELD_NUMBER: _ClassVar[int]
    TRIES_FIELD_NUMBER: _ClassVar[int]
    DOUBT_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    MONEY_FIELD_NUMBER: _ClassVar[int]
    PRICE_MICROS_FIELD_NUMBER: _ClassVar[int]
    intent_id: str
    account: str
    tool: str
    requester: str
    state: State
    overdue: bool
    version: int
    code: str
    reason: str
    error_category: ErrorCategory
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    expire_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    attempts: int
    reserved_micros: int
    cost_micros: int
    object_refs: _containers.RepeatedCompositeFieldContainer[ObjectRef]
    waiting: Waiting
    approval: ApprovalRequest
    stages: _containers.RepeatedCompositeFieldContainer[Stage]
    timeline: _containers.RepeatedCompositeFieldContainer[TimelineEntry]
    positions: _containers.RepeatedCompositeFieldContainer[Position]
    timeline_dropped: int
    capability: str
    idempotency_key: str
    trace_parent: str
    findings: _containers.RepeatedCompositeFieldContainer[Finding]
    rechecks: _containers.RepeatedCompositeFieldContainer[Finding]
    tries: _containers.RepeatedCompositeFieldContainer[Attempt]
    doubt: Doubt
    progress: Progress
    money: Money
    price_micros: int
    def __init__(self, intent_id: _Optional[str] = ..., account: _Optional[str] = ..., tool: _Optional[str] = ..., requester: _Optional[str] = ..., state: _Optional[_Union[State, str]] = ..., overdue: _Optional[bool] = ..., version: _Optional[int] = ..., code: _Optional[str] = ..., reason: _Optional[str] = ..., error_category: _Optional[_Union[ErrorCategory, str]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, object]]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, object]]] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, object]]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, object]]] = ..., attempts: _Optional[int] = ..., reserved_micros: _Optional[int] = ..., cost_micros: _Optional[int] = ..., object_refs: _Optional[_Iterable[_Union[ObjectRef, _Mapping[str, object]]]] = ..., waiting: _Optional[_Union[Waiting, _Mapping[str, object]]] = ..., approval: _Optional[_Union[ApprovalRequest, _Mapping[str, object]]] = ..., stages: _Optional[_Iterable[_Union[Stage, _Mapping[str, object]]]] = ..., timeline: _Optional[_Iterable[_Union[TimelineEntry, _Mapping[str, object]]]] = ..., positions: _Optional[_Iterable[_Union[Position, _Mapping[str, object]]]] = ..., timeline_dropped: _Optional[int] = ..., capability: _Optional[str] = ..., idempotency_key: _Optional[str] = ..., trace_parent: _Optional[str] = ..., findings: _Optional[_Iterable[_Union[Finding, _Mapping[str, object]]]] = ..., rechecks: _Optional[_Iterable[_Union[Finding, _Mapping[str, object]]]] = ..., tries: _Optional[_Iterable[_Union[Attempt, _Mapping[str, object]]]] = ..., doubt: _Optional[_Union[Doubt, _Mapping[str, object]]] = ..., progress: _Optional[_Union[Progress, _Mapping[str, object]]] = ..., money: _Optional[_Union[Money, _Mapping[str, object]]] = ..., price_micros: _Optional[int] = ...) -> None: ...

class ObjectRef(_message.Message):
    __slots__ = ("type", "id")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    type: str
    id: str
    def __init__(self, type: _Optional[str] = ..., id: _Optional[str] = ...) -> None: ...

class Waiting(_message.Message):
    __slots__ = ("what", "owner_role", "due_time")
    WHAT_FIELD_NUMBER: _ClassVar[int]
    OWNER_ROLE_FIELD_NUMBER: _ClassVar[int]
    DUE_TIME_FIELD_NUMBER: _ClassVar[int]
    what: str
    owner_role: str
    due_time: _timestamp_pb2.Timestamp
    def __init__(self, what: _Optional[str] = ..., owner_role: _Optional[str] = ..., due_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, object]]] = ...) -> None: ...

class ApprovalRequest(_message.Message):
    __slots__ = ("action_digest", "needed", "approvers", "roles", "expire_time", "display", "consent", "ballots")
    ACTION_DIGEST_FIELD_NUMBER: _ClassVar[int]
    NEEDED_FIELD_NUMBER: _ClassVar[int]
    APPROVERS_FIELD_NUMBER: _ClassVar[int]
    ROLES_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_FIELD_NUMBER: _ClassVar[int]
    CONSENT_FIELD_NUMBER: _ClassVar[int]
    BALLOTS_FIELD_NUMBER: _ClassVar[int]
    action_digest: str
    needed: int
    approvers: _containers.RepeatedScalarFieldContainer[str]
    roles: _containers.RepeatedScalarFieldContainer[str]
    expire_time: _timestamp_pb2.Timestamp
    display: str
    consent: Consent
    ballots: _containers.RepeatedCompositeFieldContainer[Ballot]
    def __init__(self, action_digest: _Optional[str] = ..., needed: _Optional[int] = ..., approvers: _Optional[_Iterable[str]] = ..., roles: _Optional[_Iterable[str]] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, object]]] = ..., display: _Optional[str] = ..., consent: _Optional[_Union[Consent, str]] = ..., ballots: _Optional[_Iterable[_Union[Ballot, _Mapping[str, object]]]] = ...) -> None: ...

class Ballot(_message.Message):
    __slots__ = ("voter", "approve", "reason", "vote_time")
    VOTER_FIELD_NUMBER: _ClassVar[int]
    APPROVE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    VOTE_TIME_FIELD_NUMBER: _ClassVar[int]
    voter: str
    approve: bool
    reason: str
    vote_time: _timestamp_pb2.Timestamp
    def __init__(self, voter: _Optional[str] = ..., approve: _Optional[bool] = ..., reason: _Optional[str] = ..., vote_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, object]]] = ...) -> None: ...

class Finding(_message.Message):
    __slots__ = ("validator", "choke_point", "verdict", "code", "reason", "target")
    VALIDATOR_FIELD_NUMBER: _ClassVar[int]
    CHOKE_POINT_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    validator: str
    choke_point: str
    verdict: Verdict
    code: str
    reason: str
    target: str
    def __init__(self, validator: _Optional[str] = ..., choke_point: _Optional[str] = ..., verdict: _Optional[_Union[Verdict, str]] = ..., code: _Optional[str] = ..., reason: _Optional[str] = ..., target: _Optional[str] = ...) -> None: ...

class Attempt(_message.Message):
    __slots__ = ("attempt", "dispatch_time", "server", "effect_class", "status", "end_time", "start_time", "duration_ms", "code", "error_category", "reason", "artifact", "response_digest")
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    DISPATCH_TIME_FIELD_NUMBER: _ClassVar[int]
    SERVER_FIELD_NUMBER: _ClassVar[int]
    EFFECT_CLASS_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    DURATION_MS_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    ERROR_CATEGORY_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ARTIFACT_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    attempt: int
    dispatch_time: _timestamp_pb2.Timestamp
    server: str
    effect_class: str
    status: AttemptStatus
    end_time: _timestamp_pb2.Timestamp
    start_time: _timestamp_pb2.Timestamp
    duration_ms: int
    code: str
    error_category: ErrorCategory
    reason: str
    artifact: str
    response_digest: str
    def __init__(self, attempt: _Optional[int] = ..., dispatch_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, object]]] = ..., server: _Optional[str] = ..., effect_class: _Optional[str] = ..., status: _Optional[_Union[AttemptStatus, str]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, object]]] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, object]]] = ..., duration_ms: _Optional[int] = ..., code: _Optional[str] = ..., error_category: _Optional[_Union[ErrorCategory, str]] = ..., reason: _Optional[str] = ..., artifact: _Optional[str] = ..., response_digest: _Optional[str] = ...) -> None: ...

class Doubt(_message.Message):
    __slots__ = ("attempt", "begin_time", "code", "reason", "quiet_until_time", "owner_role", "applied", "resolve_time", "by", "evidence")
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    BEGIN_TIME_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    QUIET_UNTIL_TIME_FIELD_NUMBER: _ClassVar[int]
    OWNER_ROLE_FIELD_NUMBER: _ClassVar[int]
    APPLIED_FIELD_NUMBER: _ClassVar[int]
    RESOLVE_TIME_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    attempt: int
    begin_time: _timestamp_pb2.Timestamp
    code: str
    reason: str
    quiet_until_time: _timestamp_pb2.Timestamp
    owner_role: str
    applied: bool
    resolve_time: _timestamp_pb2.Timestamp
    by: str
    evidence: str
    def __init__(self, attempt: _Optional[int] = ..., begin_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, object]]] = ..., code: _Optional[str] = ..., reason: _Optional[str] = ..., quiet_until_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, object]]] = ..., owner_role: _Optional[str] = ..., applied: _Optional[bool] = ..., resolve_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, object]]] = ..., by: _Optional[str] = ..., evidence: _Optional[str] = ...) -> None: ...

class Progress(_message.Message):
    __slots__ = ("attempt", "percent", "message", "report_time")
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    PERCENT_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    REPORT_TIME_FIELD_NUMBER: _ClassVar[int]
    attempt: int
    percent: int
    message: str
    report_time: _timestamp_pb2.Timestamp
    def __init__(self, attempt: _Optional[int] = ..., percent: _Optional[int] = ..., message: _Optional[str] = ..., report_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, object]]] = ...) -> None: ...

class Money(_message.Message):
    __slots__ = ("set_aside_micros", "settled_micros", "released_micros", "corrected_micros")
    SET_ASIDE_MICROS_FIELD_NUMBER: _ClassVar[int]
    SETTLED_MICROS_FIELD_NUMBER: _ClassVar[int]
    RELEASED_MICROS_FIELD_NUMBER: _ClassVar[int]
    CORRECTED_MICROS_FIELD_NUMBER: _ClassVar[int]
    set_aside_micros: int
    settled_micros: int
    released_micros: int
    corrected_micros: int
    def __init__(self, set_aside_micros: _Optional[int] = ..., settled_micros: _Optional[int] = ..., released_micros: _Optional[int] = ..., corrected_micros: _Optional[int] = ...) -> None: ...

class Stage(_message.Message):
    __slots__ = ("name", "reach_time")
    NAME_FIELD_NUMBER: _ClassVar[int]
    REACH_TIME_FIELD_NUMBER: _ClassVar[int]
    name: str
    reach_time: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., reach_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, object]]] = ...) -> None: ...

class TimelineEntry(_message.Message):
    __slots__ = ("position", "event_id", "event", "decide_time", "actor", "code", "reason", "control_seq")
    POSITION_FIELD_NUMBER: _ClassVar[int]
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    DECIDE_TIME_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    CONTROL_SEQ_FIELD_NUMBER: _ClassVar[int]
    position: Position
    event_id: str
    event: str
    decide_time: _timestamp_pb2.Timestamp
    actor: str
    code: str
    reason: str
    control_seq: int
    def __init__(self, position: _Optional[_Union[Position, _Mapping[str, object]]] = ..., event_id: _Optional[str] = ..., event: _Optional[str] = ..., decide_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, object]]] = ..., actor: _Optional[str] = ..., code: _Optional[str] = ..., reason: _Optional[str] = ..., control_seq: _Optional[int] = ...) -> None: ...

class Position(_message.Message):
    __slots__ = ("topic", "partition", "seq")
    TOPIC_FIELD_NUMBER: _ClassVar[int]
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    topic: str
    partition: int
    seq: int
    def __init__(self, topic: _Optional[str] = ..., partition: _Optional[int] = ..., seq: _Optional[int] = ...) -> None: ...
