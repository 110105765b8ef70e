"""Arguments against the tool's own input schema, before anything is sent: what the tool would refuse is a doubt
afterwards, and certain before."""

from __future__ import annotations

from typing import Any

import msgspec

from libs.contracts.events import FailureCategory
from libs.runtime.logs import logger
from services.execution.adapters.definition import ToolDefinition
from services.execution.adapters.patterns import NotSearched, Patterns
from services.execution.ports import NotReady

log = logger(__name__)


class _Schema(msgspec.Struct):
    """What of a definition says how a tool may be called."""

    inputSchema: msgspec.Raw = msgspec.Raw(b"{}")  # noqa: N815 - MCP names it


async def check(patterns: Patterns, pinned: ToolDefinition, arguments: dict[str, Any]) -> None:
    """Raises NotReady when they do not fit. A schema that we cannot judge by is the tool's own affair."""
    schema = msgspec.json.decode(pinned.json, type=_Schema).inputSchema
    try:
        found = await patterns.misfit(bytes(schema).decode(), msgspec.json.encode(arguments).decode())
    except NotSearched as error:
        log.info("arguments are not checked", tool=pinned.name, reason=str(error))
        return
    if found is not None:
        raise NotReady("BAD_ARGUMENTS", f"they do not fit the tool's schema: {found}", FailureCategory.PERMANENT)
