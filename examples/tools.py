"""What the operator of the demo says is in force: how each tool of the git server is treated. Nothing of it is taken
from the tools but their definitions."""

from __future__ import annotations

from dataclasses import dataclass

from libs.contracts.proto.deedbook.control.v1 import control_pb2 as control
from libs.contracts.proto.deedbook.control.v1 import registry_pb2 as registry

TENANT, ACCOUNT, SANDBOX = "acme", "platform", "sandbox"
CENT = 10_000  # micros
POLICY = {
    "version": 1,
    "tools": {"allow": ["git/*"], "deny": ["git/git_reset"]},
    "fields": [{"tools": ["git/git_create_branch"], "deny": ["base_branch"]}],
    "freshness": {"default": {"soft_ms": 300_000, "hard_ms": 3_600_000}, "required_for": ["WRITE"]},
    "grounding": {"required_for": ["WRITE"]},
    "approvals": [{"tools": ["git/git_create_branch"], "roles": ["approver"], "within_ms": 120_000}],
}


@dataclass(frozen=True)
class Terms:
    """How one tool is treated. `refs`: (where references come from, their type, template or pattern)."""

    capability: str
    price_micros: int
    refs: tuple[registry.ExtractorKind, str, str] | None = None  # None = it reads


TOOLS = {
    "git_status": Terms("git.read", CENT // 5),
    "git_add": Terms("git.write", CENT // 5, (registry.EXTRACTOR_KIND_TEMPLATE, "index", "{repo_path}")),
    "git_commit": Terms(
        "git.write", CENT, (registry.EXTRACTOR_KIND_TEXT, "commit", "committed successfully with hash ([0-9a-f]{40})")
    ),
    "git_create_branch": Terms("git.branch", 5 * CENT, (registry.EXTRACTOR_KIND_TEMPLATE, "branch", "{branch_name}")),
}
BUDGETS = (
    control.Budget(
        kind=control.BUDGET_KIND_TENANT, id=TENANT, period=control.BUDGET_PERIOD_DAY, hard_micros=100 * CENT
    ),
    control.Budget(
        kind=control.BUDGET_KIND_ACCOUNT, id=f"{TENANT}/{SANDBOX}", period=control.BUDGET_PERIOD_DAY,
        hard_micros=CENT // 4,
    ),
)  # fmt: skip


def tool_entry(name: str, definition: str) -> registry.ToolEntry:
    """The registry's entry of a tool of the git server."""
    terms = TOOLS[name]
    entry = registry.ToolEntry(
        server="git",
        definition=definition,
        capability=terms.capability,
        cost_class=registry.COST_CLASS_CHEAP,
        price_micros=terms.price_micros,
        target_path="repo_path",
        timeout_ms=20_000,
    )
    if terms.refs is None:
        entry.effect, entry.effect_class = registry.EFFECT_KIND_READ, registry.EFFECT_CLASS_READ_ONLY
        entry.success_rule = registry.SUCCESS_RULE_ANSWER
        entry.attempts_max = 3
        return entry
    entry.effect, entry.effect_class = registry.EFFECT_KIND_WRITE, registry.EFFECT_CLASS_OPAQUE
    kind, type_, text = terms.refs
    found = entry.extractors.add(kind=kind, type=type_)
    if kind == registry.EXTRACTOR_KIND_TEXT:
        found.pattern = text
    else:
        found.template = text
    return entry
