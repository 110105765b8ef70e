"""The client for scripts, notebooks and the command line: the methods of `Client`, each of which waits for its answer.
They run on a loop in a thread of their own, so it does not matter whether the caller has a loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from libs.client.calling import not_open
from libs.client.client import Client
from libs.client.connection import Connection
from libs.runtime.settings import KafkaSettings

P = ParamSpec("P")
T = TypeVar("T")


def _waits(
    method: Callable[Concatenate[Client, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[SyncClient, P], T]:
    @wraps(method)
    def call(self: SyncClient, /, *given: P.args, **named: P.kwargs) -> T:
        return self._run(method(self._client, *given, **named))

    return call


def _iterates(
    method: Callable[Concatenate[Client, P], AsyncGenerator[T, None]],
) -> Callable[Concatenate[SyncClient, P], Iterator[T]]:
    @wraps(method)
    def call(self: SyncClient, /, *given: P.args, **named: P.kwargs) -> Iterator[T]:
        answers = method(self._client, *given, **named)
        try:
            while True:
                try:
                    answer = self._run(anext(answers))
                except StopAsyncIteration:
                    return
                yield answer
        finally:
            if self._thread.is_alive():  # else nobody is left to close it, or has to
                self._run(answers.aclose())

    return call


class SyncClient:
    """See `Client`: the same arguments, answers and errors.

    >>> from deedbook import Intent, SyncClient
    >>> with SyncClient() as client:
    ...     intent = Intent(tool="builtin/journal", capability="builtin.journal", arguments={"line": "paid"})
    ...     deed = client.wait(client.submit(intent))
    ...     print(deed.state, [entry.event for entry in deed.timeline][0])
    SUCCEEDED IntentAccepted
    """

    def __init__(self, connection: Connection | None = None, kafka: KafkaSettings | None = None) -> None:
        self._client = Client(connection, kafka)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="deedbook", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            self._run(self._client.__aenter__())
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._run(self._client.__aexit__())
        finally:
            self._stop()

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    submit = _waits(Client.submit)
    retry = _waits(Client.retry)
    get = _waits(Client.get)
    list = _iterates(Client.list)
    watch = _iterates(Client.watch)
    wait = _waits(Client.wait)
    cancel = _waits(Client.cancel)
    approve = _waits(Client.approve)
    deny = _waits(Client.deny)
    withdraw = _waits(Client.withdraw)
    resolve = _waits(Client.resolve)
    unpark = _waits(Client.unpark)

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        """What it gives. Whatever ends the waiting (Ctrl-C) ends the work. Without a loop that runs it would wait for
        ever. Raises Misconfigured."""
        if not self._thread.is_alive():
            work.close()
            raise not_open()
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise
