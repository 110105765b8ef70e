"""What execution needs of the outside world: tools, reached through adapters that all keep the same promises.

`ready` may fail with NotReady: then the tool was provably not called. `call` never raises for what a tool does; its
answer says what is certain. Only these two statuses follow from what we did, not from what the tool said:

    NOT_SENT     no byte left (the guard said no, or the connection was gone before)
    AMBIGUOUS    bytes left, and no usable answer came back
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Protocol

from libs.contracts.events import FailureCategory, ToolAnswer, ToolEntry, Transport
from libs.ledger.service import Effect

Guard = Callable[[], bool]


class Watcher(Protocol):
    """Who holds what servers offer against what was accepted."""

    def now(self) -> int:
        """The place on the control ledger up to which this process knows what was accepted."""
        ...

    def offered(self, profile: str, hashes: Mapping[str, bytes], since: int) -> None:
        """What a server offers: SHA-256 of each definition by the tool's name. `since`: `now` when it was started, for
        one that can be started anew; what was accepted later it may not know yet."""
        ...


class Nobody:
    """Watches nothing."""

    def now(self) -> int:
        return 0

    def offered(self, profile: str, hashes: Mapping[str, bytes], since: int) -> None:
        pass


class Health(StrEnum):
    """How a tool server is."""

    PENDING = "PENDING"
    ACTIVE = "ACTIVE"
    DEGRADED = "DEGRADED"
    OFFLINE = "OFFLINE"


class RegisteredTool(Protocol):
    """A tool as the control view knows it: the operator's entry, and how its server is reached."""

    @property
    def id(self) -> str:
        """`server/tool`."""
        ...

    @property
    def entry(self) -> ToolEntry: ...

    @property
    def seq(self) -> int:
        """Place on the control ledger where it was registered or accepted."""
        ...

    @property
    def transport(self) -> Transport: ...

    @property
    def profile(self) -> str:
        """Name of the entry in the operator's local file; never the command line itself."""
        ...


class NotReady(Exception):
    """The tool cannot be called now, and was provably not called. TRANSIENT: later it may be."""

    def __init__(
        self, code: str, reason: str, category: FailureCategory = FailureCategory.TRANSIENT, retry_after_ms: int = 0
    ) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason
        self.category = category
        self.retry_after_ms = retry_after_ms


class ToolAdapter(Protocol):
    """One way of reaching tools."""

    async def ready(self, effect: Effect, tool: RegisteredTool) -> None:
        """Connection up, handshake done, definition as pinned. Before anything is marked `started`.
        Raises NotReady."""
        ...

    async def call(self, effect: Effect, tool: RegisteredTool, guard: Guard) -> ToolAnswer:
        """Call the tool once, never twice. `guard` is looked at with no await between it and the first byte; when it
        says no, the answer is NOT_SENT with code NOT_OWNER. NOT_SENT with LOOK_AGAIN: what `ready`
        saw may be so no longer."""
        ...

    def health(self) -> Mapping[str, Callable[[], Health]]:
        """By profile, how its server is whenever that is asked."""
        ...

    def watch(self, watcher: Watcher) -> None:
        """From now on say what a server offers, each time that it was asked or that it is not as accepted."""
        ...

    async def close(self) -> None:
        """End connections and child processes."""
        ...
