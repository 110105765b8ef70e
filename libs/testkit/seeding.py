"""What a system needs before agents can use it (a server, tools, budgets, a policy), and intents to use it with."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import uuid4

from aiokafka import TopicPartition

from libs.contracts.events import (
    ActorKind,
    BudgetKind,
    BudgetPeriod,
    CommandRejected,
    CostClass,
    DataSource,
    DefineBudget,
    EffectClass,
    EffectKind,
    Evidence,
    EvidenceKind,
    FlipSwitch,
    Intent,
    Principal,
    PublishPolicy,
    RegisterServer,
    RegisterTool,
    SwitchKind,
    ToolEntry,
    Transport,
)
from libs.governance.identity import intent_id
from libs.governance.policy import read_policy
from libs.ledger.codec import CATALOGUE
from libs.ledger.partition import lane_of
from libs.runtime import kafka
from libs.runtime.settings import KafkaSettings

TENANT = "acme"
OPERATOR = Principal(TENANT, "olga", ActorKind.HUMAN, (), ("operator", "platform"))
HOUR = 3_600_000_000
POLICY = {
    "version": 1,
    "tools": {"allow": ["*"]},
    "freshness": {"default": {"soft_ms": 60_000, "hard_ms": 600_000}},
    "grounding": {"required_for": []},
}


def now_at() -> int:
    """Wall time in microseconds."""
    return time.time_ns() // 1000


def standard(hard_micros: int = 10**15, accounts: int = 1) -> list[Any]:
    """The built-in tools, one tenant budget and one per account, and a policy that allows all tools."""
    journal = builtin_tool("journal")
    return [
        RegisterServer(**_head(), server="builtin", transport=Transport.BUILTIN, profile="builtin"),
        RegisterTool(**_head(), tool="builtin/journal", entry=journal),
        RegisterTool(**_head(), tool="builtin/sleep", entry=builtin_tool("sleep")),
        budget(BudgetKind.TENANT, TENANT, hard_micros),
        *(budget(BudgetKind.ACCOUNT, f"{TENANT}/account-{n}", hard_micros) for n in range(accounts)),
        policy(POLICY),
    ]


def builtin_tool(name: str, effect_class: EffectClass = EffectClass.OPAQUE, price_micros: int = 1_000) -> ToolEntry:
    """A registry entry for a tool of the built-in adapter."""
    from services.execution.adapters.builtin import TOOLS

    definition = TOOLS[name]
    return ToolEntry(
        server="builtin", definition=definition.json, definition_hash=definition.hash, capability=f"builtin.{name}",
        effect=EffectKind.WRITE, effect_class=effect_class, cost_class=CostClass.CHEAP, price_micros=price_micros,
        timeout_ms=10_000,
    )  # fmt: skip


def budget(kind: BudgetKind, of: str, hard_micros: int, soft_micros: int | None = None) -> DefineBudget:
    """One budget, for ever."""
    return DefineBudget(
        **_head(), kind=kind, id=of, period=BudgetPeriod.ONCE, hard_micros=hard_micros, soft_micros=soft_micros
    )


def policy(document: dict[str, Any], tenant: str = "") -> PublishPolicy:
    """A policy document for one tenant, or for all."""
    text = json.dumps(document)
    return PublishPolicy(**_head(), tenant=tenant, policy=text, policy_hash=read_policy(text).hash)


def switch(kind: SwitchKind, of: str, stopped: bool) -> FlipSwitch:
    """A kill switch, closed or opened again."""
    return FlipSwitch(**_head(), kind=kind, id=of, stopped=stopped)


def _head() -> dict[str, Any]:
    return {"command_id": uuid4().bytes, "principal": OPERATOR, "reason": "set up", "issued_at": now_at()}


def intent(n: int | str, tool: str = "builtin/journal", account: str = "account-0", **more: Any) -> Intent:
    """An intent under the idempotency key `key-<n>`."""
    given: dict[str, Any] = {
        "idempotency_key": f"key-{n}",
        "account": account,
        "tool": tool,
        "capability": "builtin." + tool.partition("/")[2],
        "arguments": '{"n":1}' if tool.endswith("journal") else '{"ms":50}',
        "evidence": (Evidence(kind=EvidenceKind.SOURCE, type="ticket", id="T-1"),),
        "data_sources": (DataSource(name="crm", as_of_at=now_at()),),
        "expires_at": now_at() + HOUR,
    }
    return Intent(**(given | more))


async def publish(settings: KafkaSettings, commands: Sequence[Any], seconds: float = 30.0) -> None:
    """Put commands on `control.commands` and wait until each has its event. Raises RuntimeError for a refusal."""
    client = kafka.producer(settings, "testkit/control")
    await kafka.start(client, settings)
    try:
        for command in commands:
            await client.send_and_wait(
                "control.commands", CATALOGUE.encode_message(command), key=command.command_id, partition=0
            )
    finally:
        await kafka.stop(client)
    waiting = {command.command_id for command in commands}
    deadline = time.monotonic() + seconds
    async for value in follow(settings, "ledger.control", 1, lambda: bool(waiting) and time.monotonic() < deadline):
        body = CATALOGUE.decode_event(value, "ledger.control").body
        if isinstance(body, CommandRejected) and body.command_id in waiting:
            raise RuntimeError(f"control refused {body.command}: {body.code}: {body.reason}")
        waiting.discard(getattr(body, "command_id", b""))
    if waiting:
        raise TimeoutError(f"{len(waiting)} control commands have no answer after {seconds} s")


async def submit(settings: KafkaSettings, intents: Iterable[Intent], token: str, tenant: str = TENANT) -> list[bytes]:
    """Publish intents; ids in the same order. The partition is the home lane, as our own client chooses it."""
    client = kafka.producer(settings, "testkit/agent", linger_ms=2)
    await kafka.start(client, settings)
    headers = [("authorization", f"Bearer {token}".encode())]
    ids, sent = [], []
    try:
        for one in intents:
            key = intent_id(tenant, one.idempotency_key)
            ids.append(key)
            sent.append(
                await client.send(
                    "intents", CATALOGUE.encode_message(one), key=key, partition=lane_of(key, settings.lanes),
                    headers=headers,
                )
            )  # fmt: skip
        for future in sent:
            await future
    finally:
        await kafka.stop(client)
    return ids


async def outcomes(settings: KafkaSettings, wanted: set[bytes], seconds: float) -> dict[bytes, Any]:
    """OutcomeRecorded by intent id."""
    found: dict[bytes, Any] = {}
    deadline = time.monotonic() + seconds
    async for value in follow(
        settings, "ledger.outcome", settings.lanes, lambda: not wanted <= found.keys() and time.monotonic() < deadline
    ):
        fact = CATALOGUE.decode_event(value, "ledger.outcome")
        found.setdefault(fact.envelope.intent_id, fact.body)
    return found


async def follow(settings: KafkaSettings, topic: str, partitions: int, going: Any) -> Any:
    """Record values of a topic from its start on, while `going()`."""
    client = kafka.consumer(settings, "testkit/reader", fetch_max_wait_ms=100)
    await kafka.start(client, settings)
    try:
        places = [TopicPartition(topic, n) for n in range(partitions)]
        client.assign(places)
        for place, offset in (await client.beginning_offsets(places)).items():
            client.seek(place, offset)
        while going():
            for records in (await client.getmany(timeout_ms=100)).values():
                for record in records:
                    yield record.value
    finally:
        await kafka.stop(client)
