"""Decentralized identifiers (W3C DID 1.0): which public keys speak for `did:key:...` and `did:web:...`.

A DID proves who signed, and nothing about what they may do: tenant, accounts and roles are granted to it by an
operator. Nothing here fetches anything.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from typing import Any

import jwt
import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from libs.contracts.events import ActorKind
from libs.governance.tokens import ALGORITHMS, AuthRefused, Issuer, principal_of

KEY, WEB = "did:key:", "did:web:"
METHODS_MAX = 64  # verification methods that are looked at in one document
ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"  # of base58btc
_BASE58 = {character: value for value, character in enumerate(ALPHABET)}
_MULTIBASE_MAX = 128
_ED25519, _P256 = b"\xed\x01", b"\x80\x24"  # multicodec prefixes of public keys
_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})*")
_SEGMENT = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,128}")
_PORT = re.compile(r"[1-9][0-9]{0,4}")


class DidRefused(ValueError):
    """It is no DID of a known method, or its document does not say what it must."""


class Grant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an operator lets one DID do. `algorithm` counts for did:web; did:key says its own."""

    tenant: str
    accounts: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    kind: ActorKind = ActorKind.MACHINE
    algorithm: str = "EdDSA"


def issuer_of(did: str, grant: Grant, audience: str, lifetime_max_s: int, document: Any = None) -> Issuer:
    """A DID as the issuer of its own tokens; `document`: that of a did:web, without which it has no keys. Raises
    DidRefused, also when the grant has a name that no token could have."""
    if did.startswith(KEY):
        algorithm, keys = keys_of(did)
    elif did.startswith(WEB):
        document_url(did)
        algorithm, keys = grant.algorithm, {} if document is None else keys_in(document, did, grant.algorithm)
    else:
        raise DidRefused("only did:key and did:web are known")
    if algorithm not in ALGORITHMS:
        raise DidRefused(f"algorithm is none of {', '.join(ALGORITHMS)}")
    issuer = Issuer(did, audience, algorithm, keys, lifetime_max_s)
    said = {"tenant": grant.tenant, "sub": did, "kind": grant.kind}
    try:
        granted = principal_of(said | {"accounts": [*grant.accounts], "roles": [*grant.roles]}, issuer)
    except AuthRefused as error:
        raise DidRefused(error.reason) from None
    return msgspec.structs.replace(issuer, granted=granted)


def keys_of(did: str) -> tuple[str, dict[str, Any]]:
    """(algorithm, public keys by DID URL) of a did:key, which is its own document. Raises DidRefused."""
    multibase = did.removeprefix(KEY)
    algorithm, key = _public_key(multibase)
    return algorithm, {f"{did}#{multibase}": key}


def did_of(key: ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey) -> str:
    """The did:key of a public key, Ed25519 or P-256."""
    if isinstance(key, ed25519.Ed25519PublicKey):
        raw = _ED25519 + key.public_bytes_raw()
    else:
        raw = _P256 + key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint)
    number, text = int.from_bytes(raw), ""
    while number:
        number, value = divmod(number, 58)
        text = ALPHABET[value] + text
    return f"{KEY}z{text}"


def document_url(did: str) -> str:
    """Where the document of a did:web is. Raises DidRefused. Only localhost is asked without TLS."""
    authority, *segments = did.removeprefix(WEB).split(":")
    host, mark, port = authority.replace("%3a", "%3A").partition("%3A")
    if not _HOST.fullmatch(host) or _is_address(host) or (mark and not _PORT.fullmatch(port)):
        raise DidRefused("a did:web names a host in small letters, no address, and a port after %3A")
    if not all(_SEGMENT.fullmatch(segment) for segment in segments):
        raise DidRefused("the path of a did:web has letters, digits and . _ - only")
    scheme = "http" if host == "localhost" else "https"
    path = "/".join(segments) if segments else ".well-known"
    return f"{scheme}://{host}{':' + port if mark else ''}/{path}/did.json"


def keys_in(document: Any, did: str, algorithm: str) -> dict[str, Any]:
    """Public keys of one algorithm by DID URL: those with which the subject of a document may authenticate. Raises
    DidRefused when there is none."""
    if not isinstance(document, dict) or document.get("id") != did:
        raise DidRefused("the document is not that of the DID")
    found: dict[str, Any] = {}
    for method in _authenticating(document, did):
        name = _absolute(method.get("id"), did)
        if name.startswith(f"{did}#") and method.get("controller") == did:
            key = _read(method, algorithm)
            if key is not None:
                found[name] = key
    if not found:
        raise DidRefused(f"no {algorithm} key of the document may authenticate")
    return found


def _authenticating(document: Mapping[str, Any], did: str) -> Iterator[Mapping[str, Any]]:
    """Methods that stand in `authentication`, or are named there."""
    said, methods = document.get("authentication"), document.get("verificationMethod", [])
    if not isinstance(said, list) or not isinstance(methods, list):
        return
    said, methods = said[:METHODS_MAX], methods[:METHODS_MAX]
    named = {_absolute(one, did) for one in said if isinstance(one, str)}
    yield from (one for one in said if isinstance(one, dict))
    yield from (one for one in methods if isinstance(one, dict) and _absolute(one.get("id"), did) in named)


def _absolute(name: Any, did: str) -> str:
    if not isinstance(name, str):
        return ""
    return did + name if name.startswith("#") else name


def _read(method: Mapping[str, Any], algorithm: str) -> Any:
    """The key of a verification method, None when it is of another algorithm or cannot be read."""
    jwk, multibase = method.get("publicKeyJwk"), method.get("publicKeyMultibase")
    try:
        if isinstance(jwk, dict) and "d" not in jwk and jwk.get("alg", algorithm) == algorithm:
            return jwt.PyJWK(jwk, algorithm).key
        if isinstance(multibase, str):
            found, key = _public_key(multibase)
            return key if found == algorithm else None
    except (jwt.PyJWTError, DidRefused, ValueError, TypeError):
        pass
    return None


def _public_key(multibase: str) -> tuple[str, Any]:
    if not multibase.startswith("z"):
        raise DidRefused("a key is written in base58, after a z")
    raw = _base58(multibase[1:])
    try:
        if raw.startswith(_ED25519):
            return "EdDSA", ed25519.Ed25519PublicKey.from_public_bytes(raw.removeprefix(_ED25519))
        if raw.startswith(_P256):
            return "ES256", _point(raw.removeprefix(_P256))
    except ValueError as error:
        raise DidRefused("it holds no public key") from error
    raise DidRefused("only Ed25519 and P-256 keys are known")


def _point(raw: bytes) -> Any:
    if len(raw) != 33:
        raise ValueError("not compressed")  # one key, one name
    return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), raw)


def _base58(text: str) -> bytes:
    if not 0 < len(text) <= _MULTIBASE_MAX or not set(text) <= _BASE58.keys():
        raise DidRefused("it is not base58")
    number = 0
    for character in text:
        number = number * 58 + _BASE58[character]
    zeros = len(text) - len(text.lstrip("1"))
    return bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host.rpartition(".")[2].isdecimal()  # what some resolvers take for one
    return True
