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

class Intent(_message.Message):
    __slots__ = ("intent_id", "account", "tool", "requester", "state", "overdue", "version", "code", "reason", "error_category", "create_time", "update_time", "expire_time", "end_time", "attempts", "reserved_micros", "cost_micros", "object_refs", "waiting", "approval", "stages", "timeline", "positions", "timeline_dropped")
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
    def __init__(self, intent_id: _Optional[str] = ..., account: _Optional[str] = ..., tool: _Optional[str] = ..., requester: _Optional[str] = ..., state: _Optional[_Union[State, str]] = ..., overdue: _Optional[bool] = ..., version: _Optional[int] = ..., code: _Optional[str] = ..., reason: _Optional[str] = ..., error_category: _Optional[_Union[ErrorCategory, str]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, object]]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, object]]] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, object]]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, object]]] = ..., attempts: _Optional[int] = ..., reserved_micros: _Optional[int] = ..., cost_micros: _Optional[int] = ..., object_refs: _Optional[_Iterable[_Union[ObjectRef, _Mapping[str, object]]]] = ..., waiting: _Optional[_Union[Waiting, _Mapping[str, object]]] = ..., approval: _Optional[_Union[ApprovalRequest, _Mapping[str, object]]] = ..., stages: _Optional[_Iterable[_Union[Stage, _Mapping[str, object]]]] = ..., timeline: _Optional[_Iterable[_Union[TimelineEntry, _Mapping[str, object]]]] = ..., positions: _Optional[_Iterable[_Union[Position, _Mapping[str, object]]]] = ..., timeline_dropped: _Optional[int] = ...) -> None: ...

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
    __slots__ = ("action_digest", "needed", "approvers", "roles", "expire_time", "display")
    ACTION_DIGEST_FIELD_NUMBER: _ClassVar[int]
    NEEDED_FIELD_NUMBER: _ClassVar[int]
    APPROVERS_FIELD_NUMBER: _ClassVar[int]
    ROLES_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_FIELD_NUMBER: _ClassVar[int]
    action_digest: str
    needed: int
    approvers: _containers.RepeatedScalarFieldContainer[str]
    roles: _containers.RepeatedScalarFieldContainer[str]
    expire_time: _timestamp_pb2.Timestamp
    display: str
    def __init__(self, action_digest: _Optional[str] = ..., needed: _Optional[int] = ..., approvers: _Optional[_Iterable[str]] = ..., roles: _Optional[_Iterable[str]] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, object]]] = ..., display: _Optional[str] = ...) -> None: ...

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
