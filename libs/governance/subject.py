"""What is judged, approved and carried out: an accepted intent, as validators and the executor look at it."""

from __future__ import annotations

import hashlib

import msgspec

from libs.contracts.events import ActorKind, CostClass, DataSource, Evidence, IntentAccepted, ToolEntry
from libs.governance.digests import encode_sorted
from libs.governance.paths import select_text
from libs.governance.redact import parse_canonical
from libs.ledger.service import Fact


class Subject(msgspec.Struct, frozen=True, omit_defaults=True):
    """An intent's content. `arguments` is canonical JSON text; `content_digest` stands for all that was said."""

    intent_id: bytes
    tenant: str
    account: str
    actor: str
    actor_kind: ActorKind
    tool: str
    capability: str
    arguments: str
    expires_at: int
    content_digest: bytes
    roles: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    data_sources: tuple[DataSource, ...] = ()
    cost_class: CostClass | None = None
    cost_cap_micros: int | None = None


def subject_of(fact: Fact) -> Subject:
    """The subject of an IntentAccepted."""
    body: IntentAccepted = fact.body
    return Subject(
        intent_id=fact.envelope.intent_id,
        tenant=body.principal.tenant,
        account=body.account,
        actor=body.principal.subject,
        actor_kind=body.principal.kind,
        tool=body.tool,
        capability=body.capability,
        arguments=body.arguments,
        expires_at=body.expires_at,
        content_digest=body.content_digest,
        roles=body.principal.roles,
        evidence=body.evidence,
        data_sources=body.data_sources,
        cost_class=body.cost_class,
        cost_cap_micros=body.cost_cap_micros,
    )


def target_of(subject: Subject, entry: ToolEntry) -> str:
    """What is acted upon: the value at the registry's path, or the tool itself without one. "" = there is none."""
    if not entry.target_path:
        return subject.tool
    return select_text(parse_canonical(subject.arguments), entry.target_path)


def action_digest(subject: Subject, tool_hash: bytes, target: str, policy_hash: bytes) -> bytes:
    """SHA-256 over the canonical JSON of the action (flow.md, decision 9): what is approved is what runs."""
    form = {
        "account": subject.account,
        "actor": {"id": subject.actor, "kind": subject.actor_kind},
        "arguments": msgspec.Raw(subject.arguments.encode()),
        "capability": subject.capability,
        "cost_cap_micros": subject.cost_cap_micros,
        "evidence": subject.evidence,
        "expires_at": subject.expires_at,
        "policy_hash": policy_hash.hex(),
        "target": target,
        "tenant": subject.tenant,
        "tool": subject.tool,
        "tool_hash": tool_hash.hex(),
    }
    return hashlib.sha256(encode_sorted(form)).digest()
