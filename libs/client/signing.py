"""A DID's own signature instead of an issuer's token: one token for each payload, signed with the key of the DID."""

from __future__ import annotations

import os
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from libs.client.settings import ClientSettings
from libs.governance.dids import did_of
from libs.runtime.settings import SettingsError

LIFETIME_S = 60  # it is used at once
PrivateKey = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey


class DidSigner:
    """Makes the token that counts for one payload only."""

    def __init__(self, settings: ClientSettings) -> None:
        if not settings.did_tenant:
            raise SettingsError("DEED_DID_TENANT is not set: in which tenant was the DID granted something?")
        self._key = read_key(Path(settings.did_key_file))
        self._algorithm = "EdDSA" if isinstance(self._key, ed25519.Ed25519PrivateKey) else "ES256"
        own = did_of(self._key.public_key())
        url = settings.did or f"{own}#{own.removeprefix('did:key:')}"
        self.did, mark, _ = url.partition("#")
        if not mark:
            raise SettingsError(f"DEED_DID is wrong: {url} does not name the key (did:web:example.com#key-1).")
        self._headers = {"kid": url, "typ": "JWT"}
        self._claims = {"iss": self.did, "sub": self.did, "aud": settings.did_audience, "tenant": settings.did_tenant}

    def __call__(self, payload_type: str, payload: bytes) -> str:
        """`payload_type`: the topic of a record, or the full name of a request's message."""
        now = int(time.time())
        claims: dict[str, Any] = self._claims | {"iat": now, "exp": now + LIFETIME_S, "payload_type": payload_type}
        claims["payload_sha256"] = sha256(payload).hexdigest()
        return jwt.encode(claims, self._key, self._algorithm, self._headers)


def read_key(file: Path) -> PrivateKey:
    """The private key of a PEM file. Raises SettingsError."""
    try:
        key = serialization.load_pem_private_key(file.read_bytes(), password=None)
    except OSError as error:
        raise SettingsError(f"DEED_DID_KEY_FILE is wrong: {file} cannot be read ({error.strerror}).") from None
    except (ValueError, TypeError) as error:
        raise SettingsError(f"DEED_DID_KEY_FILE is wrong: {file} holds no private key ({error}).") from None
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    raise SettingsError(f"DEED_DID_KEY_FILE is wrong: {file} holds neither an Ed25519 nor a P-256 key.")


def make_key(file: Path) -> None:
    """A new Ed25519 key that its owner alone may read. Raises OSError, also when the file is there."""
    file.parent.mkdir(parents=True, exist_ok=True)
    pem = ed25519.Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
        opened.write(pem)
