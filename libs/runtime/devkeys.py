"""Keys and tokens for a local stack and for tests: whoever holds the folder is the issuer. Never for production.

python -m libs.runtime.devkeys FOLDER                                     make the key pair and the JWKS file
python -m libs.runtime.devkeys FOLDER mint SUBJECT --tenant acme ...      print a token
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ISSUER = "https://issuer.deedbook.local"
AUDIENCE = "deedbook"
ALGORITHM = "EdDSA"
LIFETIME_S = 3600
KEY_FILE = "signing-key.pem"
JWKS_FILE = "jwks.json"


@dataclass(frozen=True)
class Who:
    """What a token says about its bearer."""

    subject: str
    tenant: str
    kind: str = "MACHINE"
    accounts: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()


def ensure(folder: Path) -> Path:
    """Make the key pair if there is none; give the path of the JWKS file. The private key is readable by its owner
    alone."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / KEY_FILE).exists():
        pem = Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        draft = folder / f"{KEY_FILE}.{os.getpid()}"
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(pem)
        with suppress(FileExistsError):  # somebody else was faster: theirs counts
            os.link(draft, folder / KEY_FILE)
        draft.unlink()
    key = _key(folder)
    public = _base64(key.public_key().public_bytes_raw())
    entry = {"kty": "OKP", "crv": "Ed25519", "x": public, "kid": _kid(key), "alg": ALGORITHM, "use": "sig"}
    fresh = folder / f"{JWKS_FILE}.{os.getpid()}"
    fresh.write_text(json.dumps({"keys": [entry]}, indent=2) + "\n")
    return fresh.replace(folder / JWKS_FILE)  # who starts meanwhile reads the old one or the new one, never half of it


def mint(folder: Path, who: Who, lifetime_s: int = LIFETIME_S, now_s: int | None = None) -> str:
    """A token that says who somebody is, valid from now on."""
    key = _key(folder)
    now = int(time.time()) if now_s is None else now_s
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "iat": now,
        "exp": now + lifetime_s,
        "sub": who.subject,
        "tenant": who.tenant,
        "kind": who.kind,
        "accounts": list(who.accounts),
        "roles": list(who.roles),
    }
    return jwt.encode(claims, key, algorithm=ALGORITHM, headers={"kid": _kid(key), "typ": "at+jwt"})


def variables(folder: Path) -> dict[str, str]:
    """The settings with which a process believes these tokens."""
    return {"DEED_JWKS": str(folder / JWKS_FILE), "DEED_JWT_ISSUER": ISSUER, "DEED_JWT_AUDIENCE": AUDIENCE}


def main(arguments: list[str]) -> int:
    """Command line; gives the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m libs.runtime.devkeys", description="Keys and tokens for local use."
    )
    parser.add_argument("folder", type=Path, help="where the key pair is kept")
    actions = parser.add_subparsers(dest="action")
    minting = actions.add_parser("mint", help="print a token")
    minting.add_argument("subject", help="who the bearer is")
    minting.add_argument("--tenant", required=True)
    minting.add_argument("--kind", default="MACHINE", choices=("HUMAN", "MACHINE"))
    minting.add_argument("--account", action="append", default=[], help="may be given again")
    minting.add_argument("--role", action="append", default=[], help="may be given again")
    minting.add_argument("--lifetime-s", type=int, default=LIFETIME_S)
    given = parser.parse_args(arguments)
    jwks = ensure(given.folder)
    if given.action == "mint":
        who = Who(given.subject, given.tenant, given.kind, tuple(given.account), tuple(given.role))
        sys.stdout.write(mint(given.folder, who, given.lifetime_s) + "\n")
    else:
        sys.stdout.write(f"{jwks}\n")
    return 0


def _key(folder: Path) -> Ed25519PrivateKey:
    key = serialization.load_pem_private_key((folder / KEY_FILE).read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise SystemExit(f"{folder / KEY_FILE} holds no Ed25519 key")
    return key


def _kid(key: Ed25519PrivateKey) -> str:
    return sha256(key.public_key().public_bytes_raw()).hexdigest()[:16]


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
