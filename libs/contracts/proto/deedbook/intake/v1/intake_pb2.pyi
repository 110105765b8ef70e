import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CostClass(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    COST_CLASS_UNSPECIFIED: _ClassVar[CostClass]
    COST_CLASS_CHEAP: _ClassVar[CostClass]
    COST_CLASS_MEDIUM: _ClassVar[CostClass]
    COST_CLASS_EXPENSIVE: _ClassVar[CostClass]

class EvidenceKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EVIDENCE_KIND_UNSPECIFIED: _ClassVar[EvidenceKind]
    EVIDENCE_KIND_SOURCE: _ClassVar[EvidenceKind]
    EVIDENCE_KIND_LEDGER_EVENT: _ClassVar[EvidenceKind]
    EVIDENCE_KIND_RECORD: _ClassVar[EvidenceKind]
COST_CLASS_UNSPECIFIED: CostClass
COST_CLASS_CHEAP: CostClass
COST_CLASS_MEDIUM: CostClass
COST_CLASS_EXPENSIVE: CostClass
EVIDENCE_KIND_UNSPECIFIED: EvidenceKind
EVIDENCE_KIND_SOURCE: EvidenceKind
EVIDENCE_KIND_LEDGER_EVENT: EvidenceKind
EVIDENCE_KIND_RECORD: EvidenceKind

class SubmitRequest(_message.Message):
    __slots__ = ("intent",)
    INTENT_FIELD_NUMBER: _ClassVar[int]
    intent: Intent
    def __init__(self, intent: _Optional[_Union[Intent, _Mapping[str, object]]] = ...) -> None: ...

class SubmitResponse(_message.Message):
    __slots__ = ("intent_id", "topic", "partition", "offset", "submission_id", "content_digest")
    INTENT_ID_FIELD_NUMBER: _ClassVar[int]
    TOPIC_FIELD_NUMBER: _ClassVar[int]
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    SUBMISSION_ID_FIELD_NUMBER: _ClassVar[int]
    CONTENT_DIGEST_FIELD_NUMBER: _ClassVar[int]
    intent_id: str
    topic: str
    partition: int
    offset: int
    submission_id: str
    content_digest: str
    def __init__(self, intent_id: _Optional[str] = ..., topic: _Optional[str] = ..., partition: _Optional[int] = ..., offset: _Optional[int] = ..., submission_id: _Optional[str] = ..., content_digest: _Optional[str] = ...) -> None: ...

class Intent(_message.Message):
    __slots__ = ("idempotency_key", "account", "tool", "capability", "arguments", "cost_class", "cost_cap_micros", "evidence", "snapshot_id", "data_sources", "expire_time", "trace_parent", "run_id", "plan_id", "step_id", "parent_id", "retry_of", "edited_from")
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    TOOL_FIELD_NUMBER: _ClassVar[int]
    CAPABILITY_FIELD_NUMBER: _ClassVar[int]
    ARGUMENTS_FIELD_NUMBER: _ClassVar[int]
    COST_CLASS_FIELD_NUMBER: _ClassVar[int]
    COST_CAP_MICROS_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_ID_FIELD_NUMBER: _ClassVar[int]
    DATA_SOURCES_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    TRACE_PARENT_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    PLAN_ID_FIELD_NUMBER: _ClassVar[int]
    STEP_ID_FIELD_NUMBER: _ClassVar[int]
    PARENT_ID_FIELD_NUMBER: _ClassVar[int]
    RETRY_OF_FIELD_NUMBER: _ClassVar[int]
    EDITED_FROM_FIELD_NUMBER: _ClassVar[int]
    idempotency_key: str
    account: str
    tool: str
    capability: str
    arguments: str
    cost_class: CostClass
    cost_cap_micros: int
    evidence: _containers.RepeatedCompositeFieldContainer[Evidence]
    snapshot_id: str
    data_sources: _containers.RepeatedCompositeFieldContainer[DataSource]
    expire_time: _timestamp_pb2.Timestamp
    trace_parent: str
    run_id: str
    plan_id: str
    step_id: str
    parent_id: str
    retry_of: str
    edited_from: str
    def __init__(self, idempotency_key: _Optional[str] = ..., account: _Optional[str] = ..., tool: _Optional[str] = ..., capability: _Optional[str] = ..., arguments: _Optional[str] = ..., cost_class: _Optional[_Union[CostClass, str]] = ..., cost_cap_micros: _Optional[int] = ..., evidence: _Optional[_Iterable[_Union[Evidence, _Mapping[str, object]]]] = ..., snapshot_id: _Optional[str] = ..., data_sources: _Optional[_Iterable[_Union[DataSource, _Mapping[str, object]]]] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, object]]] = ..., trace_parent: _Optional[str] = ..., run_id: _Optional[str] = ..., plan_id: _Optional[str] = ..., step_id: _Optional[str] = ..., parent_id: _Optional[str] = ..., retry_of: _Optional[str] = ..., edited_from: _Optional[str] = ...) -> None: ...

class Evidence(_message.Message):
    __slots__ = ("kind", "type", "id")
    KIND_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    kind: EvidenceKind
    type: str
    id: str
    def __init__(self, kind: _Optional[_Union[EvidenceKind, str]] = ..., type: _Optional[str] = ..., id: _Optional[str] = ...) -> None: ...

class DataSource(_message.Message):
    __slots__ = ("name", "as_of_time")
    NAME_FIELD_NUMBER: _ClassVar[int]
    AS_OF_TIME_FIELD_NUMBER: _ClassVar[int]
    name: str
    as_of_time: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., as_of_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, object]]] = ...) -> None: ...
