"""A request for approval exactly as an approver sees it: the arguments redacted, and the digest that a vote names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime

from libs.client.rendering.page import Cell, Grid, Line, Page, Words, heading, line
from libs.client.rendering.words import micros, until
from libs.client.results import Approval, Deed
from libs.contracts.events import Verdict


def request(deed: Deed, asked: Approval, now: datetime) -> Page:
    """The whole request, in the same words for who agrees and for who refuses."""
    return [
        line(Words("This is asked for", "bold")),
        Grid((), tuple(_facts(deed, asked, now))),
        *heading("With these arguments"),
        *(line("  ", text) for text in _arguments(asked.display)),
        *_warnings(deed),
        line(),
    ]


def _facts(deed: Deed, asked: Approval, now: datetime) -> Iterator[tuple[Cell, ...]]:
    yield "intent", deed.intent_id
    yield "tool", Words(f"{deed.tool}{f' ({deed.capability})' if deed.capability else ''}", "bold")
    yield "asked by", f"{deed.requester}{f' for account {deed.account}' if deed.account else ''}"
    have = f"; so far {', '.join(asked.approvers)}" if asked.approvers else "; so far nobody"
    yield "needed", f"{asked.needed} of {', '.join(asked.roles)}{have}"
    yield "until", until(asked.expires_at, now)
    yield "may cost", micros(deed.price_micros)
    yield "digest", asked.action_digest


def _arguments(display: str) -> list[str]:
    """The display in lines. What is no JSON is shown as it is."""
    try:
        return json.dumps(json.loads(display), indent=2, ensure_ascii=False).splitlines()
    except ValueError:
        return [display]


def _warnings(deed: Deed) -> Iterator[Line]:
    warnings = [one for one in deed.findings if one.verdict is Verdict.WARN]
    if not warnings:
        return
    yield from heading("Validators warn")
    for one in warnings:
        yield line("  ", Words(f"{one.code}: {one.reason}{f' ({one.target})' if one.target else ''}", "yellow"))
