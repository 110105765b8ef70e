"""Who calls? The `authorization` header of a call against the present key set. Whatever is wrong with a token, the
caller hears the same; the reason is in our log."""

from __future__ import annotations

from collections.abc import Callable

import jwt

from libs.governance.tokens import AuthRefused, KeySet, TokenVerifier, Verified, bearer
from libs.runtime.clock import wall_micros
from libs.runtime.keyset import KeySource
from libs.runtime.logs import logger
from libs.runtime.rpc import Unauthenticated


class Authenticator:
    """What `libs.runtime.rpc.Guard` asks for each call."""

    def __init__(self, keys: KeySource, now_at: Callable[[], int] = wall_micros) -> None:
        self._keys = keys
        self._verifier = TokenVerifier()
        self._now_at = now_at
        self._log = logger(__name__)

    async def __call__(self, header: str) -> Verified:
        """What the token is worth. Raises Unauthenticated. A key id that we do not know makes us look again once."""
        try:
            token = bearer(header.encode() if header else None)
            try:
                return self._verifier.verify(token, self._keys.current(), self._now_at())
            except AuthRefused:
                if not names_unknown_key(token, self._keys.current()) or not await self._keys.look_again():
                    raise
                return self._verifier.verify(token, self._keys.current(), self._now_at())
        except AuthRefused as error:
            self._log.info("a caller was not authenticated", reason=error.reason)
            raise Unauthenticated from None


def names_unknown_key(token: bytes, keys: KeySet) -> bool:
    """Could the token be right under keys that we have not read yet?"""
    try:
        kid = jwt.get_unverified_header(token).get("kid")
    except (jwt.PyJWTError, ValueError):
        return False
    return isinstance(kid, str) and not any(kid in issuer.keys for issuer in keys.issuers.values())
