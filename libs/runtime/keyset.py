"""The public keys of the issuer and of DIDs: read from a file or a URL, read again now and then and when a token names
a key that is not known (not more often than the cool-down allows, so that forged key ids cannot make us hammer
anybody). When the issuer is away the last good set is believed for a bounded time; after that nobody is."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from hashlib import sha256
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from libs.governance.tokens import Issuer, KeySet, read_jwks
from libs.runtime.clock import boottime_ms
from libs.runtime.dids import Dids, GrantsUnreadable
from libs.runtime.logs import logger
from libs.runtime.settings import AuthSettings, SettingsError, StartRefused, is_loopback

BYTES_MAX = 262_144
FETCH_TIMEOUT_S = 5.0
LOOK_S = 1.0  # at the file of DIDs, whether it has changed
PATIENCE_MS = 500  # a lane's submissions wait so long for newer keys, at most once per cool-down
NO_KEYS = KeySet(0, {})


class KeysUnreadable(Exception):
    """The key set cannot be had right now, or is no key set."""


class KeySource:
    """Holds the present key set, in the form that libs.governance.tokens verifies against."""

    def __init__(self, settings: AuthSettings, now_ms: Callable[[], int] = boottime_ms) -> None:
        self._settings = settings
        self._now_ms = now_ms
        self._dids = Dids(
            settings.dids_file,
            settings.jwt_audience,
            settings.jwt_lifetime_max_s,
            settings.jwks_stale_max_s,
            fetch_json,
        )
        self._keys = self._issuers = NO_KEYS
        self._granted: Mapping[str, Issuer] = {}
        self._good_ms: int | None = None
        self._tried_ms: int | None = None
        self._reading = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._look: asyncio.Task[bool] | None = None
        self._look_ms = 0
        self._failed = ""
        self._log = logger(__name__)

    def current(self) -> KeySet:
        """The last good set, or one that believes nobody when that is too old."""
        return self._keys if self.readiness() == "" else NO_KEYS

    def readiness(self) -> str:
        """'' while the set may be believed, else why not."""
        if self._good_ms is None:
            return "the key set was not read yet"
        if self._now_ms() - self._good_ms > self._settings.jwks_stale_max_s * 1000:
            return "the key set is too old"
        return ""

    async def start(self) -> None:
        """Read the set and keep it up to date. Raises StartRefused when it cannot be read at all."""
        check_source(self._settings.jwks)
        if not await self.reload():
            raise StartRefused(self._failed)
        self._task = asyncio.create_task(self._keep(), name="keyset")

    async def stop(self) -> None:
        for task in (self._task, self._look):
            if task is not None:
                task.cancel()
                await asyncio.wait((task,))

    async def look_again(self) -> bool:
        """A token names a key that is not in the set. Reads again, at most once per cool-down; says whether it did."""
        before = self._tried_ms
        async with self._reading:
            if self._tried_ms != before:
                return True  # somebody else has just read it
            if self._is_cooling_down():
                return False
            return await self._reload()

    def is_looking(self) -> bool:
        """The same for those who cannot wait here but may come again: starts to read, and says whether it is worth
        coming again in a moment. That is so for a bounded time once per cool-down, whatever the issuer does."""
        now_ms = self._now_ms()
        if self._look is None or self._look.done():
            if self._is_cooling_down():
                return False
            self._look, self._look_ms = asyncio.create_task(self.look_again(), name="keyset-look"), now_ms
        return now_ms - self._look_ms < PATIENCE_MS

    def _is_cooling_down(self) -> bool:
        """The operator's own file may be read at any time."""
        if self._tried_ms is None or self._dids.have_changed():
            return False
        return self._now_ms() - self._tried_ms < self._settings.jwks_cooldown_s * 1000

    async def reload(self) -> bool:
        """Read now. What cannot be read or is bad leaves its last good state in place, and holds up nothing else."""
        async with self._reading:
            await self._reload()
            return not self._failed

    async def _reload(self) -> bool:
        """Each part by itself, and in force as soon as it is read: a grant that was taken back must not count on
        because the issuer is away, nor may a typing error among the grants, or a DID's slow host, keep the issuer's
        new key out. Says whether the issuer was read."""
        self._tried_ms = self._now_ms()
        self._failed = ""
        is_read = await self._read_issuer(self._tried_ms)
        self._merge()
        await self._read_dids(self._tried_ms)
        self._merge()
        return is_read

    def _merge(self) -> None:
        self._keys = KeySet(self._issuers.version, {**self._granted, **self._issuers.issuers})

    async def _read_issuer(self, now_ms: int) -> bool:
        try:
            self._issuers = key_set(self._settings, await asyncio.to_thread(read_document, self._settings.jwks))
        except (KeysUnreadable, ValueError) as error:
            self._failed = f"The key set at DEED_JWKS ({self._settings.jwks}) cannot be read."
            self._log.warning("the key set cannot be read", source=self._settings.jwks, error=str(error))
            return False
        self._good_ms = now_ms
        return True

    async def _read_dids(self, now_ms: int) -> None:
        try:
            granted = await self._dids.read(now_ms)
            if self._settings.jwt_issuer in granted:
                raise GrantsUnreadable(f"{self._settings.jwt_issuer} is DEED_JWT_ISSUER too")
            self._granted = granted
        except GrantsUnreadable as error:
            self._failed = self._failed or f"DEED_DIDS_FILE is wrong: {error}."
            self._log.warning("the grants of DIDs cannot be read", error=str(error))

    async def _keep(self) -> None:
        tried_ms = self._now_ms()
        while True:
            await asyncio.sleep(LOOK_S)
            if self._now_ms() - tried_ms >= self._settings.jwks_refresh_s * 1000 or self._dids.have_changed():
                tried_ms = self._now_ms()
                await self.reload()


def key_set(settings: AuthSettings, document: dict[str, Any]) -> KeySet:
    """The one issuer of the settings with the keys of its document. Raises ValueError when none is usable. The version
    is made of the document, so that reading the same keys again changes nothing; what DIDs sign is verified each
    time."""
    issuer = Issuer(
        issuer=settings.jwt_issuer,
        audience=settings.jwt_audience,
        algorithm=settings.jwt_algorithm,
        keys=read_jwks(document, settings.jwt_algorithm),
        lifetime_max_s=settings.jwt_lifetime_max_s,
    )
    content = json.dumps(document, sort_keys=True).encode()
    return KeySet(int.from_bytes(sha256(content).digest()[:8]), {issuer.issuer: issuer})


def check_source(source: str) -> None:
    """Keys come over https, or from this machine. Raises SettingsError."""
    url = urlsplit(source)
    if url.scheme == "http" and not is_loopback(url.hostname or ""):
        raise SettingsError("DEED_JWKS is wrong: a key set over http can be forged on the way, use https.")
    if "://" in source and url.scheme not in ("http", "https"):
        raise SettingsError("DEED_JWKS is wrong: it must be a file or an https URL.")


def read_document(source: str) -> dict[str, Any]:
    """The JWKS document. Blocking. Raises KeysUnreadable."""
    try:
        document = fetch_json(source) if "://" in source else json.loads(_read_file(Path(source)))
    except (OSError, ValueError) as error:
        raise KeysUnreadable(f"{type(error).__name__}: {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get("keys"), list) or not document["keys"]:
        raise KeysUnreadable("it is no key set")
    return document


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would let whoever answers choose where our trust comes from."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def fetch_json(url: str) -> Any:
    """What is there. Blocking. Raises OSError or ValueError."""
    opener = urllib.request.build_opener(_NoRedirect)
    try:
        with opener.open(url, timeout=FETCH_TIMEOUT_S) as answer:
            return json.loads(_bounded(answer.read(BYTES_MAX + 1)))
    except (HTTPException, RecursionError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error


def _read_file(path: Path) -> bytes:
    with path.open("rb") as file:
        return _bounded(file.read(BYTES_MAX + 1))


def _bounded(raw: bytes) -> bytes:
    if len(raw) > BYTES_MAX:
        raise ValueError(f"more than {BYTES_MAX} bytes")
    return raw
