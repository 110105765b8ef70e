"""Asks processes how they are: their metrics, all at once. Nobody is waited for longer than a few seconds."""

from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

from prometheus_client.parser import text_string_to_metric_families

from libs.client.operating import OperatorSettings, local
from libs.runtime.settings import SettingsError, load

ANSWER_S = 3.0
ANSWER_BYTES_MAX = 16 << 20
POLL_S = 0.02

Sample = tuple[str, Mapping[str, str], float]


@dataclass(frozen=True)
class Process:
    """A process of ours by the address of its HTTP port."""

    name: str
    url: str


@dataclass(frozen=True)
class Heard:
    """What a process said. `error` "" = it answered."""

    process: Process
    samples: tuple[Sample, ...] = ()
    error: str = ""

    def value(self, name: str, **labels: str) -> float | None:
        """The first sample of this name whose labels fit; None = there is none."""
        return next((value for _, value in self.all(name, **labels)), None)

    def total(self, name: str, **labels: str) -> float:
        """The sum over all samples of this name whose labels fit."""
        return sum(value for _, value in self.all(name, **labels))

    def all(self, name: str, **labels: str) -> Iterator[tuple[Mapping[str, str], float]]:
        """Every sample of this name whose labels fit, with its labels."""
        for found, given, value in self.samples:
            if found == name and labels.items() <= given.items():
                yield given, value


@dataclass(frozen=True)
class Confirmed:
    """Since when a process has a change. `after_ms` None = not yet: `why`."""

    name: str
    after_ms: float | None
    why: str = ""


def known() -> list[Process]:
    """All processes of the deployment; none when nobody said where they are. Raises SettingsError, StackError."""
    urls = load(OperatorSettings).processes
    for url in urls:
        address = urlsplit(url)
        if address.scheme not in ("http", "https") or not address.hostname:
            raise SettingsError(f"DEED_PROCESSES is wrong: {url} is no URL such as http://10.0.0.5:9102.")
    if urls:
        return [Process(urlsplit(url).netloc, url.rstrip("/")) for url in urls]
    return [
        Process(line.name, f"http://127.0.0.1:{line.ports['http']}")
        for line in local().lines
        if "http" in line.ports
    ]  # fmt: skip


async def listen(processes: Sequence[Process]) -> list[Heard]:
    """The metrics of each, in the same order."""
    token = load(OperatorSettings).http_token
    bearer = token.get_secret_value() if token is not None else ""
    return await asyncio.gather(*(asyncio.to_thread(_heard, process, bearer) for process in processes))


async def confirmations(
    processes: Sequence[Process], control_seq: int, asked_at: float, patience_s: float
) -> list[Confirmed]:
    """When each process had the change with this number on the control ledger, in milliseconds after `asked_at` (wall
    clock, seconds) by its own clock. Those that have it not after `patience_s` say why."""
    found: dict[str, Confirmed] = {}
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience_s
    waiting = list(processes)
    while waiting:
        for heard in await listen(waiting):
            found[heard.process.name] = confirmed(heard, control_seq, asked_at)
        waiting = [one for one in processes if found[one.name].after_ms is None]
        if loop.time() > deadline:
            break
        await asyncio.sleep(POLL_S if waiting else 0)
    return [found[one.name] for one in processes]


def confirmed(heard: Heard, control_seq: int, asked_at: float) -> Confirmed:
    """Does this process have the change? If it has seen a later one since, it had this one no later than that."""
    name = heard.process.name
    if heard.error:
        return Confirmed(name, None, heard.error)
    seq, seen = heard.value("control_seq"), heard.value("control_seq_seen_timestamp_seconds")
    if seq is None or seen is None:
        return Confirmed(name, None, "it follows no control ledger")
    if seq < control_seq or not seen:
        return Confirmed(name, None, f"it is at control event {seq:.0f}")
    return Confirmed(name, max(0.0, (seen - asked_at) * 1000))


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The token is for the process that was named and for nobody else."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _heard(process: Process, bearer: str) -> Heard:
    request = urllib.request.Request(f"{process.url}/metrics")
    if bearer:
        request.add_header("Authorization", f"Bearer {bearer}")
    opener = urllib.request.build_opener(_NoRedirect, urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=ANSWER_S) as answer:
            text = answer.read(ANSWER_BYTES_MAX).decode()
        return Heard(process, tuple(_samples(text)))
    except (OSError, HTTPException, ValueError) as error:
        return Heard(process, error=f"no answer ({getattr(error, 'reason', None) or error})")


def _samples(text: str) -> Iterator[Sample]:
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            yield sample.name, sample.labels, sample.value
