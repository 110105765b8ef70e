"""Policy snapshots: what a tenant's agents may do, how fresh their data must be, and when people must agree.

A policy is a JSON document on the control ledger. It is checked when it is published; one that cannot be read denies
everything. What it does not mention is not allowed.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256
from typing import Annotated, Self

import msgspec
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from libs.contracts.events import CostClass, EffectKind
from libs.governance.digests import JsonLimits, JsonRefused, canonical, read_object
from libs.governance.paths import PATH

POLICY_MALFORMED = "POLICY_MALFORMED"
_LIMITS = JsonLimits(bytes_max=262_144)


class PolicyRefused(ValueError):
    """The document is no policy. The message says where and why."""

    code = POLICY_MALFORMED


def _tool_pattern(text: str) -> str:
    if text != "*" and ("*" in text.removesuffix("/*") or "/" not in text):
        raise ValueError("a tool is named 'server/tool', 'server/*' or '*'")
    return text


def _path(text: str) -> str:
    if not PATH.fullmatch(text):
        raise ValueError("a field is named by keys joined by dots, such as 'options.force'")
    return text


ToolPattern = Annotated[str, AfterValidator(_tool_pattern)]
FieldPath = Annotated[str, AfterValidator(_path)]
Milliseconds = Annotated[int, Field(ge=0, le=10 * 366 * 86_400_000)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Ttl(_Model):
    """Ages of data: above `soft_ms` a warning, above `hard_ms` a stop."""

    soft_ms: Milliseconds
    hard_ms: Milliseconds

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.soft_ms > self.hard_ms:
            raise ValueError("soft_ms is larger than hard_ms")
        return self


class Freshness(_Model):
    """How old data may be, by source. A source without a limit of its own takes the default; without both it stops."""

    default: Ttl | None = None
    sources: dict[str, Ttl] = {}
    required_for: tuple[EffectKind, ...] = ()  # these effects must name a data source
    future_max_ms: Milliseconds = 60_000  # clocks differ


class Grounding(_Model):
    """Effects that must cite evidence."""

    required_for: tuple[EffectKind, ...] = (EffectKind.WRITE,)


class ToolRules(_Model):
    """Which tools may be used. A denial beats a permission; what neither names is denied."""

    allow: tuple[ToolPattern, ...]
    deny: tuple[ToolPattern, ...] = ()


class FieldRule(_Model):
    """Which arguments a tool may be given. `allow` None = all but those denied."""

    tools: tuple[ToolPattern, ...] = ("*",)
    allow: tuple[FieldPath, ...] | None = None
    deny: tuple[FieldPath, ...] = ()


class ApprovalRule(_Model):
    """Calls that people must agree to. Empty classes or effects = any."""

    tools: tuple[ToolPattern, ...] = ("*",)
    cost_classes: tuple[CostClass, ...] = ()
    effects: tuple[EffectKind, ...] = ()
    needed: Annotated[int, Field(ge=1, le=20)] = 1
    roles: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)]
    within_ms: Annotated[int, Field(ge=1_000, le=366 * 86_400_000)]


class Policy(_Model):
    """One policy document."""

    version: Annotated[int, Field(ge=1, le=1)]
    tools: ToolRules
    fields: tuple[FieldRule, ...] = ()
    freshness: Freshness = Freshness()
    grounding: Grounding = Grounding()
    approvals: tuple[ApprovalRule, ...] = ()


class PolicySnapshot(msgspec.Struct, frozen=True):
    """A policy under the hash that verdicts name. `policy` None = it could not be read, which denies. `text`: the
    document as canonical JSON, whose SHA-256 the hash is."""

    hash: bytes
    policy: Policy | None
    text: str = ""


def read_policy(text: str) -> PolicySnapshot:
    """Read and check a policy document. Raises PolicyRefused."""
    try:
        document = read_object(text, _LIMITS)
        policy = Policy.model_validate_json(document.text)
    except JsonRefused as error:
        raise PolicyRefused(f"{error.code}: {error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise PolicyRefused(f"{'.'.join(map(str, first['loc'])) or 'policy'}: {first['msg']}") from error
    whole = canonical(document.value)
    return PolicySnapshot(sha256(whole).digest(), policy, whole.decode())


@lru_cache(maxsize=4_096)
def tool_matches(patterns: tuple[str, ...], tool: str) -> bool:
    """Does one of the patterns name the tool?"""
    if tool in patterns or "*" in patterns:
        return True
    return any(pattern.endswith("/*") and tool.startswith(pattern[:-1]) for pattern in patterns)


def approval_rule(policy: Policy, tool: str, cost_class: CostClass, effect: EffectKind) -> ApprovalRule | None:
    """The strictest rule that asks for people: the one that needs most of them, the first of those. None: none asks."""
    fitting = [
        rule
        for rule in policy.approvals
        if tool_matches(rule.tools, tool)
        and (not rule.cost_classes or cost_class in rule.cost_classes)
        and (not rule.effects or effect in rule.effects)
    ]
    return max(fitting, key=lambda rule: rule.needed, default=None)
