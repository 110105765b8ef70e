from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EffectClass(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EFFECT_CLASS_UNSPECIFIED: _ClassVar[EffectClass]
    EFFECT_CLASS_READ_ONLY: _ClassVar[EffectClass]
    EFFECT_CLASS_KEYED: _ClassVar[EffectClass]
    EFFECT_CLASS_QUERYABLE: _ClassVar[EffectClass]
    EFFECT_CLASS_OPAQUE: _ClassVar[EffectClass]

class EffectKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EFFECT_KIND_UNSPECIFIED: _ClassVar[EffectKind]
    EFFECT_KIND_READ: _ClassVar[EffectKind]
    EFFECT_KIND_WRITE: _ClassVar[EffectKind]

class CostClass(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    COST_CLASS_UNSPECIFIED: _ClassVar[CostClass]
    COST_CLASS_CHEAP: _ClassVar[CostClass]
    COST_CLASS_MEDIUM: _ClassVar[CostClass]
    COST_CLASS_EXPENSIVE: _ClassVar[CostClass]

class SuccessRule(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SUCCESS_RULE_UNSPECIFIED: _ClassVar[SuccessRule]
    SUCCESS_RULE_REFS: _ClassVar[SuccessRule]
    SUCCESS_RULE_ANSWER: _ClassVar[SuccessRule]

class ErrorMeaning(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ERROR_MEANING_UNSPECIFIED: _ClassVar[ErrorMeaning]
    ERROR_MEANING_FAILED: _ClassVar[ErrorMeaning]
    ERROR_MEANING_AMBIGUOUS: _ClassVar[ErrorMeaning]

class KeyPlacement(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    KEY_PLACEMENT_UNSPECIFIED: _ClassVar[KeyPlacement]
    KEY_PLACEMENT_NONE: _ClassVar[KeyPlacement]
    KEY_PLACEMENT_ARGUMENT: _ClassVar[KeyPlacement]
    KEY_PLACEMENT_META: _ClassVar[KeyPlacement]
    KEY_PLACEMENT_HEADER: _ClassVar[KeyPlacement]

class ExtractorKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EXTRACTOR_KIND_UNSPECIFIED: _ClassVar[ExtractorKind]
    EXTRACTOR_KIND_STRUCTURED: _ClassVar[ExtractorKind]
    EXTRACTOR_KIND_TEXT: _ClassVar[ExtractorKind]
    EXTRACTOR_KIND_TEMPLATE: _ClassVar[ExtractorKind]

class Transport(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TRANSPORT_UNSPECIFIED: _ClassVar[Transport]
    TRANSPORT_STDIO: _ClassVar[Transport]
    TRANSPORT_HTTP: _ClassVar[Transport]
    TRANSPORT_BUILTIN: _ClassVar[Transport]
EFFECT_CLASS_UNSPECIFIED: EffectClass
EFFECT_CLASS_READ_ONLY: EffectClass
EFFECT_CLASS_KEYED: EffectClass
EFFECT_CLASS_QUERYABLE: EffectClass
EFFECT_CLASS_OPAQUE: EffectClass
EFFECT_KIND_UNSPECIFIED: EffectKind
EFFECT_KIND_READ: EffectKind
EFFECT_KIND_WRITE: EffectKind
COST_CLASS_UNSPECIFIED: CostClass
COST_CLASS_CHEAP: CostClass
COST_CLASS_MEDIUM: CostClass
COST_CLASS_EXPENSIVE: CostClass
SUCCESS_RULE_UNSPECIFIED: SuccessRule
SUCCESS_RULE_REFS: SuccessRule
SUCCESS_RULE_ANSWER: SuccessRule
ERROR_MEANING_UNSPECIFIED: ErrorMeaning
ERROR_MEANING_FAILED: ErrorMeaning
ERROR_MEANING_AMBIGUOUS: ErrorMeaning
KEY_PLACEMENT_UNSPECIFIED: KeyPlacement
KEY_PLACEMENT_NONE: KeyPlacement
KEY_PLACEMENT_ARGUMENT: KeyPlacement
KEY_PLACEMENT_META: KeyPlacement
KEY_PLACEMENT_HEADER: KeyPlacement
EXTRACTOR_KIND_UNSPECIFIED: ExtractorKind
EXTRACTOR_KIND_STRUCTURED: ExtractorKind
EXTRACTOR_KIND_TEXT: ExtractorKind
EXTRACTOR_KIND_TEMPLATE: ExtractorKind
TRANSPORT_UNSPECIFIED: Transport
TRANSPORT_STDIO: Transport
TRANSPORT_HTTP: Transport
TRANSPORT_BUILTIN: Transport

class Extractor(_message.Message):
    __slots__ = ("kind", "type", "path", "pattern", "template")
    KIND_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    PATTERN_FIELD_NUMBER: _ClassVar[int]
    TEMPLATE_FIELD_NUMBER: _ClassVar[int]
    kind: ExtractorKind
    type: str
    path: str
    pattern: str
    template: str
    def __init__(self, kind: _Optional[_Union[ExtractorKind, str]] = ..., type: _Optional[str] = ..., path: _Optional[str] = ..., pattern: _Optional[str] = ..., template: _Optional[str] = ...) -> None: ...

class ToolEntry(_message.Message):
    __slots__ = ("server", "definition", "definition_hash", "capability", "effect", "effect_class", "cost_class", "price_micros", "answer_cost_path", "target_path", "extractors", "success_rule", "is_error_means", "timeout_ms", "attempts_max", "backoff_ms", "backoff_max_ms", "key_placement", "key_name", "query_tool", "query_template", "quiet_ms", "secret_fields", "roles_allowed", "policy", "key_window_ms")
    SERVER_FIELD_NUMBER: _ClassVar[int]
    DEFINITION_FIELD_NUMBER: _ClassVar[int]
    DEFINITION_HASH_FIELD_NUMBER: _ClassVar[int]
    CAPABILITY_FIELD_NUMBER: _ClassVar[int]
    EFFECT_FIELD_NUMBER: _ClassVar[int]
    EFFECT_CLASS_FIELD_NUMBER: _ClassVar[int]
    COST_CLASS_FIELD_NUMBER: _ClassVar[int]
    PRICE_MICROS_FIELD_NUMBER: _ClassVar[int]
    ANSWER_COST_PATH_FIELD_NUMBER: _ClassVar[int]
    TARGET_PATH_FIELD_NUMBER: _ClassVar[int]
    EXTRACTORS_FIELD_NUMBER: _ClassVar[int]
    SUCCESS_RULE_FIELD_NUMBER: _ClassVar[int]
    IS_ERROR_MEANS_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_MS_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_MAX_FIELD_NUMBER: _ClassVar[int]
    BACKOFF_MS_FIELD_NUMBER: _ClassVar[int]
    BACKOFF_MAX_MS_FIELD_NUMBER: _ClassVar[int]
    KEY_PLACEMENT_FIELD_NUMBER: _ClassVar[int]
    KEY_NAME_FIELD_NUMBER: _ClassVar[int]
    QUERY_TOOL_FIELD_NUMBER: _ClassVar[int]
    QUERY_TEMPLATE_FIELD_NUMBER: _ClassVar[int]
    QUIET_MS_FIELD_NUMBER: _ClassVar[int]
    SECRET_FIELDS_FIELD_NUMBER: _ClassVar[int]
    ROLES_ALLOWED_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    KEY_WINDOW_MS_FIELD_NUMBER: _ClassVar[int]
    server: str
    definition: str
    definition_hash: str
    capability: str
    effect: EffectKind
    effect_class: EffectClass
    cost_class: CostClass
    price_micros: int
    answer_cost_path: str
    target_path: str
    extractors: _containers.RepeatedCompositeFieldContainer[Extractor]
    success_rule: SuccessRule
    is_error_means: ErrorMeaning
    timeout_ms: int
    attempts_max: int
    backoff_ms: int
    backoff_max_ms: int
    key_placement: KeyPlacement
    key_name: str
    query_tool: str
    query_template: str
    quiet_ms: int
    secret_fields: _containers.RepeatedScalarFieldContainer[str]
    roles_allowed: _containers.RepeatedScalarFieldContainer[str]
    policy: str
    key_window_ms: int
    def __init__(self, server: _Optional[str] = ..., definition: _Optional[str] = ..., definition_hash: _Optional[str] = ..., capability: _Optional[str] = ..., effect: _Optional[_Union[EffectKind, str]] = ..., effect_class: _Optional[_Union[EffectClass, str]] = ..., cost_class: _Optional[_Union[CostClass, str]] = ..., price_micros: _Optional[int] = ..., answer_cost_path: _Optional[str] = ..., target_path: _Optional[str] = ..., extractors: _Optional[_Iterable[_Union[Extractor, _Mapping[str, object]]]] = ..., success_rule: _Optional[_Union[SuccessRule, str]] = ..., is_error_means: _Optional[_Union[ErrorMeaning, str]] = ..., timeout_ms: _Optional[int] = ..., attempts_max: _Optional[int] = ..., backoff_ms: _Optional[int] = ..., backoff_max_ms: _Optional[int] = ..., key_placement: _Optional[_Union[KeyPlacement, str]] = ..., key_name: _Optional[str] = ..., query_tool: _Optional[str] = ..., query_template: _Optional[str] = ..., quiet_ms: _Optional[int] = ..., secret_fields: _Optional[_Iterable[str]] = ..., roles_allowed: _Optional[_Iterable[str]] = ..., policy: _Optional[str] = ..., key_window_ms: _Optional[int] = ...) -> None: ...
