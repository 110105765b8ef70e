"""What the deciding services need of their process besides their deciders: intake its key set, execution its tools."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from libs.governance.control import ControlView
from libs.governance.tokens import TokenVerifier
from libs.runtime.hosting import Given, host
from libs.runtime.keyset import KeySource
from libs.runtime.outbound import CommandLog, KafkaOutbound
from libs.runtime.process import Process
from libs.runtime.settings import AuthSettings, KafkaSettings, load
from services.execution.adapters.keys import effect_key
from services.execution.adapters.routing import Adapters, build_adapters
from services.execution.changes import Changes, Give
from services.execution.effects import Effects
from services.execution.ports import Health
from services.execution.settings import ToolSettings
from services.intake.decider import IntakeWorld
from services.status.adapters.cited import CitedEvents
from services.table import TABLE
from services.validation.settings import ValidationSettings

REPORT_TIMEOUT_MS = 10_000


class _Owned(dict[str, Any]):
    """What deciders look at in `world.owned`; intake's entry follows the key set."""

    def __init__(self, keys: KeySource | None) -> None:
        super().__init__()
        self._keys = keys
        self._verifier = TokenVerifier()

    def __getitem__(self, name: str) -> Any:
        if name == "intake" and self._keys is not None:
            return IntakeWorld(self._keys.current(), self._verifier, look_again=self._keys.is_looking)
        return super().__getitem__(name)


async def host_deciders(process: Process, names: Sequence[str]) -> None:
    """Host these services until the process is told to stop."""
    keys = KeySource(load(AuthSettings)) if "intake" in names else None
    tools = load(ToolSettings) if "execution" in names else None
    adapters = build_adapters(tools) if tools is not None else None
    kafka = load(KafkaSettings)
    reports = KafkaOutbound(kafka, f"{process.name}/reports", REPORT_TIMEOUT_MS)  # connects with the first report
    cited = _cited(load(ValidationSettings)) if "validation" in names else None
    if keys is not None:
        await keys.start()
    try:
        give = CommandLog(reports, kafka.lanes).give_control
        effects = _effects(process, adapters, tools, give) if adapters is not None and tools is not None else None
        given = Given(effects=effects, owned=_Owned(keys), look_up=cited)
        await host(process, [TABLE[name] for name in names], given)
    finally:
        if keys is not None:
            await keys.stop()
        if adapters is not None:
            await adapters.close()
        if cited is not None:
            await cited.close()
        await reports.stop()


def _cited(settings: ValidationSettings) -> CitedEvents | None:
    url = settings.status_database_url
    return CitedEvents(url.get_secret_value()) if url is not None else None


class _ServerStates(Collector):
    """How the tool servers are, asked whenever somebody looks, since the operator's file of them may change."""

    def __init__(self, health: Callable[[], Mapping[str, Callable[[], Health]]]) -> None:
        self._health = health

    def collect(self) -> Iterator[GaugeMetricFamily]:
        told = GaugeMetricFamily("mcp_server_state", "1 for the state that it is in.", labels=("profile", "state"))
        for profile, health in self._health().items():
            now = health()
            for state in Health:
                told.add_metric((profile, state), int(now is state))
        yield told


def _effects(
    process: Process, adapters: Adapters, tools: ToolSettings, give: Give
) -> Callable[[Callable[[], ControlView]], Effects]:
    key_of = partial(effect_key, tools.effect_key_secret.get_secret_value().encode())

    def build(view: Callable[[], ControlView]) -> Effects:
        process.metrics.registry.register(_ServerStates(adapters.health))
        adapters.watch(Changes(give, view, process.metrics))
        return Effects(adapters, view, process.metrics, key_of)

    return build
