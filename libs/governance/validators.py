"""The validators: each looks at an intent and at what is in force, and says what it finds. Silence means ALLOW.

They only look: nothing here changes anything, and nothing depends on the order of questions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

import msgspec

from libs.contracts.events import EffectKind, Evidence, EvidenceKind, Verdict
from libs.governance.control import ControlView, Tool
from libs.governance.paths import cover, leaves
from libs.governance.policy import PolicySnapshot, tool_matches
from libs.governance.redact import parse_canonical
from libs.governance.subject import Subject, target_of
from libs.ledger.service import Citation


class Ground(msgspec.Struct, frozen=True):
    """What it is judged by: what is in force, and the one moment at which everything is evaluated. `cited`: whose the
    cited events are, by what was looked up for this evaluation; None = an earlier one has looked, and what is on the
    ledger stays there."""

    control: ControlView
    at: int
    tool: Tool | None
    snapshot: PolicySnapshot | None
    cited: Mapping[Citation, str | None] | None = None


class Finding(msgspec.Struct, frozen=True):
    """One thing that a validator has to say."""

    verdict: Verdict
    code: str = ""
    reason: str = ""
    target: str = ""


Validator = Callable[[Subject, Ground], Iterator[Finding]]

_ID = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
CITED_MAX = 16  # ledger events that are looked up for one intent


def _block(code: str, reason: str, target: str = "") -> Finding:
    return Finding(Verdict.BLOCK, code, reason, target)


def ground_for(
    control: ControlView, tenant: str, tool: str, at: int, cited: Mapping[Citation, str | None] | None = None
) -> Ground:
    """Look up what binds this tenant and tool now."""
    return Ground(control, at, control.tools.get(tool), control.policy_for(tenant), cited)


def citations(subject: Subject) -> tuple[Citation, ...]:
    """The ledger events that an intent cites in a valid form, at most as many as are looked up."""
    found = [citation for item in subject.evidence if (citation := citation_of(item))]
    return tuple(dict.fromkeys(found[:CITED_MAX]))


def citation_of(item: Evidence) -> Citation | None:
    """The intent and the event that a piece of evidence names; None if it names none in a valid form."""
    fits = item.kind is EvidenceKind.LEDGER_EVENT and _ID.fullmatch(item.type) and _ID.fullmatch(item.id)
    return (_raw(item.type), _raw(item.id)) if fits else None


def switches(subject: Subject, ground: Ground) -> Iterator[Finding]:
    """Is a kill switch closed? By the registry's capability, whatever the submitter says."""
    capability = ground.tool.entry.capability if ground.tool else subject.capability
    switch = ground.control.stopped_by(subject.tenant, subject.account, subject.tool, capability)
    if switch:
        yield _block(switch.code, f"stopped by {switch.by}: {switch.reason}", switch.id)


def registry(subject: Subject, ground: Ground) -> Iterator[Finding]:
    """Is the tool known, trusted, offered to this tenant, and open to the caller's roles?"""
    tool = ground.tool
    if tool is None:
        yield _block("TOOL_UNKNOWN", "the tool is not registered", subject.tool)
        return
    entry = tool.entry
    server = ground.control.servers.get(entry.server)
    if tool.quarantined:
        yield _block("TOOL_QUARANTINED", f"the tool waits for acceptance: {tool.quarantined}", subject.tool)
    if server is None or not server.serves(subject.tenant):
        yield _block("SERVER_UNKNOWN", "the tool's server is not registered for this tenant", entry.server)
    if entry.roles_allowed and not set(entry.roles_allowed) & set(subject.roles):
        yield _block("ROLE_MISSING", f"needs one of the roles {', '.join(entry.roles_allowed)}", subject.tool)
    if subject.capability != entry.capability:
        yield _block("CAPABILITY_MISMATCH", f"the tool's capability is {entry.capability}", subject.capability)
    if not target_of(subject, entry):
        yield _block("TARGET_MISSING", "the arguments do not say what is acted upon", entry.target_path)


def compliance(subject: Subject, ground: Ground) -> Iterator[Finding]:
    """Does the tenant's policy let this tool be used with these arguments?"""
    if ground.snapshot is None:
        yield _block("POLICY_MISSING", "no policy is published for this tenant, and none for all")
        return
    policy = ground.snapshot.policy
    if policy is None:
        yield _block("POLICY_MALFORMED", "the published policy cannot be read")
        return
    if tool_matches(policy.tools.deny, subject.tool):
        yield _block("TOOL_DENIED", "the policy denies this tool", subject.tool)
    elif not tool_matches(policy.tools.allow, subject.tool):
        yield _block("TOOL_NOT_ALLOWED", "the policy does not allow this tool", subject.tool)
    rules = [rule for rule in policy.fields if tool_matches(rule.tools, subject.tool)]
    if not rules:
        return
    fields = sorted({keys for keys in leaves(parse_canonical(subject.arguments)) if keys})
    for rule in rules:
        denied, allowed = cover(rule.deny), cover(rule.allow) if rule.allow is not None else None
        for keys in fields:
            name = ".".join(keys)
            if denied(keys):
                yield _block("FIELD_DENIED", f"the policy denies the field {name[:80]}", name)
            elif allowed is not None and not allowed(keys):
                yield _block("FIELD_NOT_ALLOWED", f"the policy does not allow the field {name[:80]}", name)


def freshness(subject: Subject, ground: Ground) -> Iterator[Finding]:
    """Is the data that the agent looked at young enough, source by source?"""
    policy = ground.snapshot.policy if ground.snapshot else None
    if policy is None:
        yield _block("POLICY_MISSING", "no policy says how fresh data must be")
        return
    rules = policy.freshness
    if not subject.data_sources and ground.tool and ground.tool.entry.effect in rules.required_for:
        yield _block("FRESHNESS_UNKNOWN", "the policy wants the age of the data, and the intent names none")
    for source in subject.data_sources:
        ttl, age_ms = rules.sources.get(source.name, rules.default), (ground.at - source.as_of_at) // 1000
        if ttl is None:
            yield _block("FRESHNESS_UNDEFINED", "the policy has no limit for this source", source.name)
        elif age_ms < -rules.future_max_ms:
            yield _block("FRESHNESS_FUTURE", "the data is from the future", source.name)
        elif age_ms > ttl.hard_ms:
            yield _block("FRESHNESS_STALE", f"{age_ms} ms old, at most {ttl.hard_ms} allowed", source.name)
        elif age_ms > ttl.soft_ms:
            reason = f"{age_ms} ms old, should be at most {ttl.soft_ms}"
            yield Finding(Verdict.WARN, "FRESHNESS_AGING", reason, source.name)


def grounding(subject: Subject, ground: Ground) -> Iterator[Finding]:
    """Does the action cite evidence of a valid shape, and is each ledger event among it the tenant's own?"""
    policy = ground.snapshot.policy if ground.snapshot else None
    required = policy.grounding.required_for if policy else tuple(EffectKind)
    effect = ground.tool.entry.effect if ground.tool else EffectKind.WRITE
    if not subject.evidence and effect in required:
        yield _block("GROUNDING_MISSING", "the action cites no evidence")
    for item in subject.evidence:
        if item.kind is EvidenceKind.LEDGER_EVENT:
            fits = citation_of(item) is not None
        else:
            fits = bool(item.type.strip() and item.id.strip())
        if not fits:
            yield _block("GROUNDING_SHAPE", f"not a valid {item.kind} citation", item.id[:80])
    if ground.cited is not None:
        yield from _cited(subject, ground.cited)


def _cited(subject: Subject, cited: Mapping[Citation, str | None]) -> Iterator[Finding]:
    """What was looked up is said in any case, so that the verdict shows what it rests on. An event of another
    tenant and one that is not there are told alike."""
    named = [item for item in subject.evidence if citation_of(item)]
    if len(named) > CITED_MAX:
        yield _block("GROUNDING_SHAPE", f"cites more than {CITED_MAX} ledger events")
    for intent_id, event_id in citations(subject):
        owner = cited.get((intent_id, event_id))
        if owner is None:
            yield _block("EVIDENCE_UNREADABLE", "whether the cited event exists could not be asked", event_id.hex())
        elif owner == subject.tenant:
            yield Finding(Verdict.ALLOW, "", "the cited event is on the ledger", event_id.hex())
        else:
            yield _block("EVIDENCE_UNKNOWN", "there is no such event", event_id.hex())


def _raw(text: str) -> bytes:
    return bytes.fromhex(text.replace("-", ""))


def cost(subject: Subject, ground: Ground) -> Iterator[Finding]:
    """The registry's price counts; the intent's own cap can only refuse, its cost class says nothing."""
    if ground.tool is None:
        yield _block("PRICE_UNKNOWN", "a tool that is not registered has no price", subject.tool)
        return
    entry, cap = ground.tool.entry, subject.cost_cap_micros
    if cap is not None and entry.price_micros > cap:
        yield _block("COST_CAP", f"the tool may cost {entry.price_micros} micros, the intent's cap is {cap}")
    if subject.cost_class is not None and subject.cost_class is not entry.cost_class:
        reason = f"the registry counts this tool as {entry.cost_class}, not {subject.cost_class}"
        yield Finding(Verdict.WARN, "COST_CLASS", reason)
