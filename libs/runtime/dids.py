"""The DIDs that an operator has granted something, from a file, with their keys: those of did:key are in the name,
those of did:web in a document that is fetched. One host that is away, or says nonsense, takes no other DID along: for a
bounded time its last good document is believed, and then it has no keys."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from libs.governance.dids import WEB, DidRefused, Grant, document_url, issuer_of
from libs.governance.tokens import Issuer
from libs.runtime.logs import logger

AT_ONCE = 8  # documents


class GrantsUnreadable(Exception):
    """The file cannot be read, or is not what it must be. The text says which DID, and why."""


class Dids:
    """Issuers of one file, read anew each time. `fetch` gives the JSON at a URL, or raises ValueError or OSError."""

    def __init__(
        self, file: str, audience: str, lifetime_max_s: int, stale_max_s: int, fetch: Callable[[str], Any]
    ) -> None:
        self._file = file
        self._terms = (audience, lifetime_max_s)
        self._stale_max_ms = stale_max_s * 1000
        self._fetch = fetch
        self._documents: dict[str, tuple[int, Any]] = {}
        self._seen = self._mark()
        self._log = logger(__name__)

    async def read(self, now_ms: int) -> dict[str, Issuer]:
        """Each DID with its keys as of now. Raises GrantsUnreadable."""
        if not self._file:
            return {}
        self._seen = self._mark()
        grants = await asyncio.to_thread(self._grants)
        places = asyncio.Semaphore(AT_ONCE)

        async def one(did: str) -> None:
            async with places:
                await self._update(did, grants[did], now_ms)

        await asyncio.gather(*(one(did) for did in grants if did.startswith(WEB)))
        return {did: self._issuer(did, grant, now_ms) for did, grant in grants.items()}

    def have_changed(self) -> bool:
        """Is the file another one than it was when it was read?"""
        return self._mark() != self._seen

    def _mark(self) -> tuple[int, ...]:
        try:
            found = Path(self._file).stat() if self._file else None
        except OSError:
            return ()
        return (found.st_ino, found.st_size, found.st_mtime_ns, found.st_mode) if found else ()

    def _grants(self) -> Mapping[str, Grant]:
        file = Path(self._file)
        try:
            if file.stat().st_mode & 0o002:
                raise GrantsUnreadable(f"everybody may write to {file}")
            grants = msgspec.toml.decode(file.read_bytes(), type=dict[str, Grant])
        except OSError as error:
            raise GrantsUnreadable(f"{self._file}: {error.strerror}") from error
        except (msgspec.DecodeError, ValueError) as error:
            raise GrantsUnreadable(f"{self._file}: {error}") from error
        for did, grant in grants.items():
            try:
                issuer_of(did, grant, *self._terms)
            except DidRefused as error:
                raise GrantsUnreadable(f"{self._file}: {did}: {error}") from error
        return grants

    async def _update(self, did: str, grant: Grant, now_ms: int) -> None:
        """Fetch a document; a bad one leaves the last good one in place."""
        url = document_url(did)
        try:
            document = await asyncio.to_thread(self._fetch, url)
            issuer_of(did, grant, *self._terms, document)
        except (OSError, ValueError) as error:
            self._log.warning("the document of a DID cannot be had", did=did, url=url, error=str(error))
        else:
            self._documents[did] = now_ms, document

    def _issuer(self, did: str, grant: Grant, now_ms: int) -> Issuer:
        read_ms, document = self._documents.get(did, (now_ms, None))
        if now_ms - read_ms > self._stale_max_ms:
            document = None
        try:
            return issuer_of(did, grant, *self._terms, document)
        except DidRefused:  # the grant names another algorithm than it did
            return issuer_of(did, grant, *self._terms)
