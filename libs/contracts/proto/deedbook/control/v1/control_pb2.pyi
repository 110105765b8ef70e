import datetime

from libs.contracts.proto.deedbook.control.v1 import registry_pb2 as _registry_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SwitchKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SWITCH_KIND_UNSPECIFIED: _ClassVar[SwitchKind]
    SWITCH_KIND_GLOBAL: _ClassVar[SwitchKind]
    SWITCH_KIND_TENANT: _ClassVar[SwitchKind]
    SWITCH_KIND_ACCOUNT: _ClassVar[SwitchKind]
    SWITCH_KIND_TOOL: _ClassVar[SwitchKind]
    SWITCH_KIND_CAPABILITY: _ClassVar[SwitchKind]

class BudgetKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    BUDGET_KIND_UNSPECIFIED: _ClassVar[BudgetKind]
    BUDGET_KIND_GLOBAL: _ClassVar[BudgetKind]
    BUDGET_KIND_TENANT: _ClassVar[BudgetKind]
    BUDGET_KIND_ACCOUNT: _ClassVar[BudgetKind]
    BUDGET_KIND_TOOL: _ClassVar[BudgetKind]

class BudgetPeriod(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    BUDGET_PERIOD_UNSPECIFIED: _ClassVar[BudgetPeriod]
    BUDGET_PERIOD_ONCE: _ClassVar[BudgetPeriod]
    BUDGET_PERIOD_DAY: _ClassVar[BudgetPeriod]
    BUDGET_PERIOD_MONTH: _ClassVar[BudgetPeriod]

class RateLimitKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RATE_LIMIT_KIND_UNSPECIFIED: _ClassVar[RateLimitKind]
    RATE_LIMIT_KIND_TENANT: _ClassVar[RateLimitKind]
    RATE_LIMIT_KIND_TOOL: _ClassVar[RateLimitKind]
    RATE_LIMIT_KIND_SERVER: _ClassVar[RateLimitKind]

class FlagLevel(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FLAG_LEVEL_UNSPECIFIED: _ClassVar[FlagLevel]
    FLAG_LEVEL_GLOBAL: _ClassVar[FlagLevel]
    FLAG_LEVEL_SERVER: _ClassVar[FlagLevel]
    FLAG_LEVEL_TOOL: _ClassVar[FlagLevel]
    FLAG_LEVEL_TENANT: _ClassVar[FlagLevel]

class ToolState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TOOL_STATE_UNSPECIFIED: _ClassVar[ToolState]
    TOOL_STATE_ACTIVE: _ClassVar[ToolState]
    TOOL_STATE_QUARANTINED: _ClassVar[ToolState]
SWITCH_KIND_UNSPECIFIED: SwitchKind
SWITCH_KIND_GLOBAL: SwitchKind
SWITCH_KIND_TENANT: SwitchKind
SWITCH_KIND_ACCOUNT: SwitchKind
SWITCH_KIND_TOOL: SwitchKind
SWITCH_KIND_CAPABILITY: SwitchKind
BUDGET_KIND_UNSPECIFIED: BudgetKind
BUDGET_KIND_GLOBAL: BudgetKind
BUDGET_KIND_TENANT: BudgetKind
BUDGET_KIND_ACCOUNT: BudgetKind
BUDGET_KIND_TOOL: BudgetKind
BUDGET_PERIOD_UNSPECIFIED: BudgetPeriod
BUDGET_PERIOD_ONCE: BudgetPeriod
BUDGET_PERIOD_DAY: BudgetPeriod
BUDGET_PERIOD_MONTH: BudgetPeriod
RATE_LIMIT_KIND_UNSPECIFIED: RateLimitKind
RATE_LIMIT_KIND_TENANT: RateLimitKind
RATE_LIMIT_KIND_TOOL: RateLimitKind
RATE_LIMIT_KIND_SERVER: RateLimitKind
FLAG_LEVEL_UNSPECIFIED: FlagLevel
FLAG_LEVEL_GLOBAL: FlagLevel
FLAG_LEVEL_SERVER: FlagLevel
FLAG_LEVEL_TOOL: FlagLevel
FLAG_LEVEL_TENANT: FlagLevel
TOOL_STATE_UNSPECIFIED: ToolState
TOOL_STATE_ACTIVE: ToolState
TOOL_STATE_QUARANTINED: ToolState

class Switch(_message.Message):
    __slots__ = ("kind", "id", "stopped", "by", "reason", "flip_time", "control_seq")
    KIND_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    STOPPED_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    FLIP_TIME_FIELD_NUMBER: _ClassVar[int]
    CONTROL_SEQ_FIELD_NUMBER: _ClassVar[int]
    kind: SwitchKind
    id: str
    stopped: bool
    by: str
    reason: str
    flip_time: _timestamp_pb2.Timestamp
    control_seq: int
    def __init__(self, kind: _Optional[_Union[SwitchKind, str]] = ..., id: _Optional[str] = ..., stopped: _Optional[bool] = ..., by: _Optional[str] = ..., reason: _Optional[str] = ..., flip_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, object]]] = ..., control_seq: _Optional[int] = ...) -> None: ...

class Tool(_message.Message):
    __slots__ = ("tool", "entry", "state", "quarantine_code", "observed_hash")
    TOOL_FIELD_NUMBER: _ClassVar[int]
    ENTRY_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    QUARANTINE_CODE_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_HASH_FIELD_NUMBER: _ClassVar[int]
    tool: str
    entry: _registry_pb2.ToolEntry
    state: ToolState
    quarantine_code: str
    observed_hash: str
    def __init__(self, tool: _Optional[str] = ..., entry: _Optional[_Union[_registry_pb2.ToolEntry, _Mapping[str, object]]] = ..., state: _Optional[_Union[ToolState, str]] = ..., quarantine_code: _Optional[str] = ..., observed_hash: _Optional[str] = ...) -> None: ...

class Server(_message.Message):
    __slots__ = ("server", "transport", "profile", "tenants")
    SERVER_FIELD_NUMBER: _ClassVar[int]
    TRANSPORT_FIELD_NUMBER: _ClassVar[int]
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    TENANTS_FIELD_NUMBER: _ClassVar[int]
    server: str
    transport: _registry_pb2.Transport
    profile: str
    tenants: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, server: _Optional[str] = ..., transport: _Optional[_Union[_registry_pb2.Transport, str]] = ..., profile: _Optional[str] = ..., tenants: _Optional[_Iterable[str]] = ...) -> None: ...

class Budget(_message.Message):
    __slots__ = ("kind", "id", "cost_class", "period", "hard_micros", "soft_micros")
    KIND_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    COST_CLASS_FIELD_NUMBER: _ClassVar[int]
    PERIOD_FIELD_NUMBER: _ClassVar[int]
    HARD_MICROS_FIELD_NUMBER: _ClassVar[int]
    SOFT_MICROS_FIELD_NUMBER: _ClassVar[int]
    kind: BudgetKind
    id: str
    cost_class: _registry_pb2.CostClass
    period: BudgetPeriod
    hard_micros: int
    soft_micros: int
    def __init__(self, kind: _Optional[_Union[BudgetKind, str]] = ..., id: _Optional[str] = ..., cost_class: _Optional[_Union[_registry_pb2.CostClass, str]] = ..., period: _Optional[_Union[BudgetPeriod, str]] = ..., hard_micros: _Optional[int] = ..., soft_micros: _Optional[int] = ...) -> None: ...

class Policy(_message.Message):
    __slots__ = ("tenant", "policy", "policy_hash")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    POLICY_HASH_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    policy: str
    policy_hash: str
    def __init__(self, tenant: _Optional[str] = ..., policy: _Optional[str] = ..., policy_hash: _Optional[str] = ...) -> None: ...

class RateLimit(_message.Message):
    __slots__ = ("kind", "id", "permits", "window_ms")
    KIND_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    PERMITS_FIELD_NUMBER: _ClassVar[int]
    WINDOW_MS_FIELD_NUMBER: _ClassVar[int]
    kind: RateLimitKind
    id: str
    permits: int
    window_ms: int
    def __init__(self, kind: _Optional[_Union[RateLimitKind, str]] = ..., id: _Optional[str] = ..., permits: _Optional[int] = ..., window_ms: _Optional[int] = ...) -> None: ...

class Flag(_message.Message):
    __slots__ = ("level", "id", "name", "value")
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    level: FlagLevel
    id: str
    name: str
    value: str
    def __init__(self, level: _Optional[_Union[FlagLevel, str]] = ..., id: _Optional[str] = ..., name: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...

class FlipSwitchRequest(_message.Message):
    __slots__ = ("switch", "reason")
    SWITCH_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    switch: Switch
    reason: str
    def __init__(self, switch: _Optional[_Union[Switch, _Mapping[str, object]]] = ..., reason: _Optional[str] = ...) -> None: ...

class FlipSwitchResponse(_message.Message):
    __slots__ = ("command_id",)
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    command_id: str
    def __init__(self, command_id: _Optional[str] = ...) -> None: ...

class RegisterToolRequest(_message.Message):
    __slots__ = ("tool", "entry", "reason")
    TOOL_FIELD_NUMBER: _ClassVar[int]
    ENTRY_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    tool: str
    entry: _registry_pb2.ToolEntry
    reason: str
    def __init__(self, tool: _Optional[str] = ..., entry: _Optional[_Union[_registry_pb2.ToolEntry, _Mapping[str, object]]] = ..., reason: _Optional[str] = ...) -> None: ...

class RegisterToolResponse(_message.Message):
    __slots__ = ("command_id",)
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    command_id: str
    def __init__(self, command_id: _Optional[str] = ...) -> None: ...

class RemoveToolRequest(_message.Message):
    __slots__ = ("tool", "reason")
    TOOL_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    tool: str
    reason: str
    def __init__(self, tool: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class RemoveToolResponse(_message.Message):
    __slots__ = ("command_id",)
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    command_id: str
    def __init__(self, command_id: _Optional[str] = ...) -> None: ...

class AcceptToolRequest(_message.Message):
    __slots__ = ("tool", "definition_hash", "reason")
    TOOL_FIELD_NUMBER: _ClassVar[int]
    DEFINITION_HASH_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    tool: str
    definition_hash: str
    reason: str
    def __init__(self, tool: _Optional[str] = ..., definition_hash: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class AcceptToolResponse(_message.Message):
    __slots__ = ("command_id",)
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    command_id: str
    def __init__(self, command_id: _Optional[str] = ...) -> None: ...

class QuarantineToolRequest(_message.Message):
    __slots__ = ("tool", "reason")
    TOOL_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    tool: str
    reason: str
    def __init__(self, tool: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class QuarantineToolResponse(_message.Message):
    __slots__ = ("command_id",)
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    command_id: str
    def __init__(self, command_id: _Optional[str] = ...) -> None: ...

class RegisterServerRequest(_message.Message):
    __slots__ = ("server", "reason")
    SERVER_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    server: Server
    reason: str
    def __init__(self, server: _Optional[_Union[Server, _Mapping[str, object]]] = ..., reason: _Optional[str] = ...) -> None: ...

class RegisterServerResponse(_message.Message):
    __slots__ = ("command_id",)
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    command_id: str
    def __init__(self, command_id: _Optional[str] = ...) -> None: ...

class RemoveServerRequest(_message.Message):
    __slots__ = ("server", "reason")
    SERVER_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    server: str
    reason: str
    def __init__(self, server: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class RemoveServerResponse(_message.Message):
    __slots__ = ("command_id",)
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    command_id: str
    def __init__(self, command_id: _Optional[str] = ...) -> None: ...

class DefineBudgetRequest(_message.Message):
    __slots__ = ("budget", "reason")
    BUDGET_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    budget: Budget
    reason: str
    def __init__(self, budget: _Optional[_Union[Budget, _Mapping[str, object]]] = ..., reason: _Optional[str] = ...) -> None: ...

class DefineBudgetResponse(_message.Message):
    __slots__ = ("command_id",)
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    command_id: str
    def __init__(self, command_id: _Optional[str] = ...) -> None: ...

class RemoveBudgetRequest(_message.Message):
    __slots__ = ("kind", "id", "cost_class", "period", "reason")
    KIND_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    COST_CLASS_FIELD_NUMBER: _ClassVar[int]
    PERIOD_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    kind: BudgetKind
    id: str
    cost_class: _registry_pb2.CostClass
    period: BudgetPeriod
    reason: str
    def __init__(self, kind: _Optional[_Union[BudgetKind, str]] = ..., id: _Optional[str] = ..., cost_class: _Optional[_Union[_registry_pb2.CostClass, str]] = ..., period: _Optional[_Union[BudgetPeriod, str]] = ..., reason: _Optional[str] = ...) -> None: ...

class RemoveBudgetResponse(_message.Message):
    __slots__ = ("command_id",)
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    command_id: str
    def __init__(self, command_id: _Optional[str] = ...) -> None: ...

class PublishPolicyRequest(_message.Message):
    __slots__ = ("policy", "reason")
    POLICY_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    policy: Policy
    reason: str
    def __init__(self, policy: _Optional[_Union[Policy, _Mapping[str, object]]] = ..., reason: _Optional[str] = ...) -> None: ...

class PublishPolicyResponse(_message.Message):
    __slots__ = ("command_id", "policy_hash")
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    POLICY_HASH_FIELD_NUMBER: _ClassVar[int]
    command_id: str
    policy_hash: str
    def __init__(self, command_id: _Optional[str] = ..., policy_hash: _Optional[str] = ...) -> None: ...

class SetRateLimitRequest(_message.Message):
    __slots__ = ("rate_limit", "reason")
    RATE_LIMIT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    rate_limit: RateLimit
    reason: str
    def __init__(self, rate_limit: _Optional[_Union[RateLimit, _Mapping[str, object]]] = ..., reason: _Optional[str] = ...) -> None: ...

class SetRateLimitResponse(_message.Message):
    __slots__ = ("command_id",)
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    command_id: str
    def __init__(self, command_id: _Optional[str] = ...) -> None: ...

class SetFlagRequest(_message.Message):
    __slots__ = ("flag", "reason")
    FLAG_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    flag: Flag
    reason: str
    def __init__(self, flag: _Optional[_Union[Flag, _Mapping[str, object]]] = ..., reason: _Optional[str] = ...) -> None: ...

class SetFlagResponse(_message.Message):
    __slots__ = ("command_id",)
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    command_id: str
    def __init__(self, command_id: _Optional[str] = ...) -> None: ...

class GetChangeRequest(_message.Message):
    __slots__ = ("command_id",)
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    command_id: str
    def __init__(self, command_id: _Optional[str] = ...) -> None: ...

class GetChangeResponse(_message.Message):
    __slots__ = ("control_seq", "code", "reason", "decide_time")
    CONTROL_SEQ_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DECIDE_TIME_FIELD_NUMBER: _ClassVar[int]
    control_seq: int
    code: str
    reason: str
    decide_time: _timestamp_pb2.Timestamp
    def __init__(self, control_seq: _Optional[int] = ..., code: _Optional[str] = ..., reason: _Optional[str] = ..., decide_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, object]]] = ...) -> None: ...

class ListToolsRequest(_message.Message):
    __slots__ = ("server", "page_size", "page_token")
    SERVER_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    server: str
    page_size: int
    page_token: str
    def __init__(self, server: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListToolsResponse(_message.Message):
    __slots__ = ("tools", "next_page_token")
    TOOLS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    tools: _containers.RepeatedCompositeFieldContainer[Tool]
    next_page_token: str
    def __init__(self, tools: _Optional[_Iterable[_Union[Tool, _Mapping[str, object]]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetConfigRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetConfigResponse(_message.Message):
    __slots__ = ("control_seq", "fresh", "read_time", "switches", "servers", "budgets", "policy", "rate_limits", "flags", "tools")
    CONTROL_SEQ_FIELD_NUMBER: _ClassVar[int]
    FRESH_FIELD_NUMBER: _ClassVar[int]
    READ_TIME_FIELD_NUMBER: _ClassVar[int]
    SWITCHES_FIELD_NUMBER: _ClassVar[int]
    SERVERS_FIELD_NUMBER: _ClassVar[int]
    BUDGETS_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    RATE_LIMITS_FIELD_NUMBER: _ClassVar[int]
    FLAGS_FIELD_NUMBER: _ClassVar[int]
    TOOLS_FIELD_NUMBER: _ClassVar[int]
    control_seq: int
    fresh: bool
    read_time: _timestamp_pb2.Timestamp
    switches: _containers.RepeatedCompositeFieldContainer[Switch]
    servers: _containers.RepeatedCompositeFieldContainer[Server]
    budgets: _containers.RepeatedCompositeFieldContainer[Budget]
    policy: Policy
    rate_limits: _containers.RepeatedCompositeFieldContainer[RateLimit]
    flags: _containers.RepeatedCompositeFieldContainer[Flag]
    tools: int
    def __init__(self, control_seq: _Optional[int] = ..., fresh: _Optional[bool] = ..., read_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, object]]] = ..., switches: _Optional[_Iterable[_Union[Switch, _Mapping[str, object]]]] = ..., servers: _Optional[_Iterable[_Union[Server, _Mapping[str, object]]]] = ..., budgets: _Optional[_Iterable[_Union[Budget, _Mapping[str, object]]]] = ..., policy: _Optional[_Union[Policy, _Mapping[str, object]]] = ..., rate_limits: _Optional[_Iterable[_Union[RateLimit, _Mapping[str, object]]]] = ..., flags: _Optional[_Iterable[_Union[Flag, _Mapping[str, object]]]] = ..., tools: _Optional[int] = ...) -> None: ...
