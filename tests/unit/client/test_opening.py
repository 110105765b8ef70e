"""A client that is not open says so at once: without its loop it would wait for ever."""

from __future__ import annotations

import asyncio

import pytest

from libs.client.client import Client
from libs.client.connection import Connection
from libs.client.errors import Misconfigured
from libs.client.intents import Intent
from libs.client.sync import SyncClient

NOWHERE = Connection("127.0.0.1:9", "127.0.0.1:9", lambda *_: "token", timeout_s=0.1)
LIMIT_S = 5.0


async def test_a_client_that_was_not_opened_or_is_closed_says_how_to_open_it() -> None:
    client = Client(NOWHERE)
    for _ in ("not opened", "closed"):
        for question in (client.submit(Intent(tool="a/b")), client.get("x"), client.cancel("x"), client.wait("x")):
            with pytest.raises(Misconfigured, match="async with") as raised:
                await question
            assert raised.value.code == "NOT_OPEN"
        async with client:
            pass


async def test_a_script_that_forgets_to_open_it_does_not_wait_for_ever() -> None:
    client = SyncClient(NOWHERE)
    for _ in ("not opened", "closed"):
        for question in (lambda: client.get("x"), lambda: next(client.list())):
            with pytest.raises(Misconfigured, match="NOT_OPEN"):
                await asyncio.wait_for(asyncio.to_thread(question), LIMIT_S)
        if not client._thread.ident:
            with client:
                pass


def test_answers_that_nobody_read_to_the_end_are_left_when_the_client_is_closed() -> None:
    with SyncClient(NOWHERE) as client:
        unread = client.list()
        with pytest.raises(Exception, match="AWAY"):
            next(unread)
        other = client.watch("x")
    other.close()  # type: ignore[attr-defined]
