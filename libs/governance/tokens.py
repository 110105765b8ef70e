"""Who is asking? Verification of JSON Web Tokens against a key set that was loaded elsewhere.

One algorithm is pinned per issuer, claims and lifetimes are required, and nothing in the token chooses a key beyond its
`kid` in the issuer's own set. Outsiders hear AUTH_INVALID and nothing more; the precise reason is for operators.

A DID is an issuer that speaks for itself only. Its tokens are each made for one payload (the claims `payload_type` and
`payload_sha256`), and what it may do stands in an operator's grant, not in the token.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import jwt
import msgspec

from libs.contracts.events import ActorKind, Principal

AUTH_INVALID = "AUTH_INVALID"
ALGORITHMS = ("EdDSA", "ES256", "RS256")
TOKEN_BYTES_MAX = 8_192
NAME_BYTES_MAX = 128
NAMES_MAX = 256
SECOND = 1_000_000  # microseconds
PLATFORM = "platform"  # the role of those who rule what all tenants share, and every tenant's own
_BROKEN = (jwt.PyJWTError, ValueError, TypeError, RecursionError)  # what hostile bytes make the libraries raise
_KEY_HEADERS = frozenset({"jku", "jwk", "x5u", "x5c", "x5t", "x5t#S256", "crit", "b64", "zip", "enc"})

_jws = jwt.PyJWS(algorithms=list(ALGORITHMS), options={"enforce_minimum_key_length": True})


class Issuer(msgspec.Struct, frozen=True):
    """What is believed of one issuer. `keys`: public keys by `kid`. `tenants`/`roles` None = it may name any; roles
    outside the list are dropped, a tenant outside it is refused. One that speaks for some tenants only makes nobody
    PLATFORM unless its `roles` say so. `granted`: the one who speaks, whatever else the token says, when the issuer
    is a DID; each token must then be made for its payload."""

    issuer: str
    audience: str
    algorithm: str
    keys: Mapping[str, Any]
    lifetime_max_s: int = 3_600
    leeway_s: int = 30
    types: tuple[str, ...] = ("jwt", "at+jwt")
    tenants: tuple[str, ...] | None = None
    roles: tuple[str, ...] | None = None
    kinds: tuple[ActorKind, ...] = (ActorKind.HUMAN, ActorKind.MACHINE)
    tenant_claim: str = "tenant"
    granted: Principal | None = None


class KeySet(msgspec.Struct, frozen=True):
    """All issuers by name. `version` changes with each reload, so that nothing verified under older keys is reused."""

    version: int
    issuers: Mapping[str, Issuer]


class AuthRefused(Exception):
    """The token is not accepted. `reason` is precise and for operators only."""

    code = AUTH_INVALID

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class UnknownKey(AuthRefused):
    """It names a key, or a DID, that is not known as far as we have read: another look may help."""


class Verified(msgspec.Struct, frozen=True):
    """A token that is believed from one moment to another (microseconds). `made_for`: the type and the SHA-256 of the
    only payload with which it counts, if it does not count with any."""

    _principal: Principal
    from_at: int
    until_at: int
    made_for: tuple[str, str] | None = None

    def speaks_for(self, payload_type: str, payload: bytes) -> Principal:
        """Who sends this payload: a record's value on the topic `payload_type`, or a request as it came, by the full
        name of its message. Raises AuthRefused when the token was made for another one."""
        made_for = self.made_for
        if made_for is not None and made_for != (payload_type, hashlib.sha256(payload).hexdigest()):
            raise AuthRefused("the token was made for another payload")
        return self._principal


class TokenVerifier:
    """Remembers tokens that were verified (a signature costs about 100 us): at most `entries_max`, under a hash of
    their bytes, for one key set, and for no moment outside their validity."""

    def __init__(self, entries_max: int = 10_000) -> None:
        self._entries_max = entries_max
        self._verified: OrderedDict[bytes, Verified] = OrderedDict()
        self._version: int | None = None

    def verify(self, token: bytes, keys: KeySet, at: int) -> Verified:
        """What a token is worth at a moment (microseconds). Raises AuthRefused."""
        if keys.version != self._version:
            self._verified.clear()
            self._version = keys.version
        name = hashlib.sha256(token).digest()
        known = self._verified.get(name)
        if known is not None and known.from_at <= at < known.until_at:
            self._verified.move_to_end(name)
            return known
        verified = verify(token, keys, at)
        if verified.made_for is None:  # what counts once is not asked for again
            self._verified[name] = verified
            if len(self._verified) > self._entries_max:
                self._verified.popitem(last=False)
        return verified


def bearer(header: bytes | None) -> bytes:
    """The token of an `authorization` header. Raises AuthRefused."""
    if header is None:
        raise AuthRefused("no authorization header")
    scheme, _, token = header.partition(b" ")
    if scheme.lower() != b"bearer" or not token or b" " in token:
        raise AuthRefused("the authorization header is not 'Bearer <token>'")
    return token


def verify(token: bytes, keys: KeySet, at: int) -> Verified:
    """What a token is worth at a moment, without a cache. Raises AuthRefused."""
    if len(token) > TOKEN_BYTES_MAX:
        raise AuthRefused(f"longer than {TOKEN_BYTES_MAX} bytes")
    header = _header(token)
    issuer = _issuer(token, keys)
    if header.get("alg") != issuer.algorithm or issuer.algorithm not in ALGORITHMS:
        raise AuthRefused(f"algorithm is not the pinned {issuer.algorithm}")
    typ = header.get("typ")
    if not isinstance(typ, str) or typ.lower() not in issuer.types:
        raise AuthRefused("typ is not that of an access token")
    kid = header.get("kid")
    key = issuer.keys.get(kid) if isinstance(kid, str) else None
    if key is None:
        raise UnknownKey("kid names no key of the issuer")
    try:
        payload = _jws.decode(token, key, algorithms=[issuer.algorithm])
        claims = _json_object(payload)
    except _BROKEN as error:
        raise AuthRefused(f"signature: {type(error).__name__}") from error
    from_at, until_at = _validity(claims, issuer, at)
    if issuer.granted is not None:
        return Verified(_subject(claims, issuer, issuer.granted), from_at, until_at, _payload(claims))
    return Verified(principal_of(claims, issuer), from_at, until_at)


def read_jwks(document: Mapping[str, Any], algorithm: str) -> dict[str, Any]:
    """The public keys of a JWK set by `kid`, those of one algorithm only. Raises ValueError if none is usable."""
    keys: dict[str, Any] = {}
    for entry in document.get("keys", ()):
        if entry.get("alg", algorithm) != algorithm or entry.get("use", "sig") != "sig" or "d" in entry:
            continue
        try:
            key = jwt.PyJWK(entry, algorithm).key
        except jwt.PyJWTError:
            continue
        if isinstance(kid := entry.get("kid"), str):
            keys[kid] = key
    if not keys:
        raise ValueError(f"the key set has no usable {algorithm} key")
    return keys


def _header(token: bytes) -> dict[str, Any]:
    try:
        header: dict[str, Any] = _jws.get_unverified_header(token)
    except _BROKEN as error:
        raise AuthRefused(f"header: {type(error).__name__}") from error
    if present := _KEY_HEADERS & header.keys():
        raise AuthRefused(f"header parameters not allowed: {sorted(present)}")
    return header


def _issuer(token: bytes, keys: KeySet) -> Issuer:
    """The pin for the issuer that the token claims. Unverified: it only says which key must have signed."""
    try:
        claims = _json_object(_jws.decode_complete(token, options={"verify_signature": False})["payload"])
    except _BROKEN as error:
        raise AuthRefused(f"payload: {type(error).__name__}") from error
    name = claims.get("iss")
    issuer = keys.issuers.get(name) if isinstance(name, str) else None
    if issuer is None:
        kind = UnknownKey if isinstance(name, str) and name.startswith("did:") else AuthRefused
        raise kind("issuer is not known")
    return issuer


def _json_object(payload: bytes) -> dict[str, Any]:
    claims: dict[str, Any] = msgspec.json.decode(payload, type=dict[str, Any])
    return claims


def _validity(claims: Mapping[str, Any], issuer: Issuer, at: int) -> tuple[int, int]:
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if issuer.audience not in [a for a in audiences if isinstance(a, str)]:
        raise AuthRefused("audience is not us")
    issued, expires = _second(claims, "iat"), _second(claims, "exp")
    starts = _second(claims, "nbf") if "nbf" in claims else issued
    leeway = issuer.leeway_s
    if not 0 < expires - issued <= issuer.lifetime_max_s:
        raise AuthRefused(f"lifetime is not within {issuer.lifetime_max_s} s")
    from_at, until_at = (max(issued, starts) - leeway) * SECOND, (expires + leeway) * SECOND
    if at < from_at:
        raise AuthRefused("not yet valid")
    if at >= until_at:
        raise AuthRefused("expired")
    return from_at, until_at


def _second(claims: Mapping[str, Any], name: str) -> int:
    value = claims.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 2**40:
        raise AuthRefused(f"{name} is missing or no moment")
    return value


def principal_of(claims: Mapping[str, Any], issuer: Issuer) -> Principal:
    """Who the claims say speaks, as far as the issuer may say so. Raises AuthRefused."""
    tenant = _name(claims.get(issuer.tenant_claim), issuer.tenant_claim)
    if "/" in tenant or ":" in tenant:  # both separate names elsewhere
        raise AuthRefused("tenant has a character that is not allowed")
    if issuer.tenants is not None and tenant not in issuer.tenants:
        raise AuthRefused("the issuer may not speak for this tenant")
    kind = claims.get("kind", ActorKind.MACHINE)  # the least trusted: may ask, may not consent
    if kind not in issuer.kinds:
        raise AuthRefused("kind is not one the issuer may assert")
    roles = _names(claims, "roles")
    if issuer.roles is not None:
        roles = tuple(role for role in roles if role in issuer.roles)
    elif issuer.tenants is not None:
        roles = tuple(role for role in roles if role != PLATFORM)
    subject = _name(claims.get("sub"), "sub")
    return Principal(tenant, subject, ActorKind(kind), _names(claims, "accounts"), roles)


def _subject(claims: Mapping[str, Any], issuer: Issuer, granted: Principal) -> Principal:
    """A DID names itself and the tenant that it was granted. Raises AuthRefused."""
    if (claims.get("sub"), claims.get(issuer.tenant_claim)) != (granted.subject, granted.tenant):
        raise AuthRefused("sub is not the DID, or the tenant not the one that it was granted")
    return granted


def _payload(claims: Mapping[str, Any]) -> tuple[str, str]:
    said = claims.get("payload_type"), claims.get("payload_sha256")
    if not isinstance(said[0], str) or not isinstance(said[1], str):
        raise AuthRefused("a DID says which payload its token was made for: payload_type and payload_sha256")
    return said[0], said[1]


def _names(claims: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """A list of names; no claim = none, a malformed one denies."""
    values = claims.get(name, [])
    if not isinstance(values, list) or len(values) > NAMES_MAX:
        raise AuthRefused(f"{name} is no list of at most {NAMES_MAX} names")
    return tuple(_name(value, name) for value in values)


def _name(value: Any, claim: str) -> str:
    if not isinstance(value, str) or not value or value != value.strip() or not value.isprintable():
        raise AuthRefused(f"{claim} is missing or no name")
    if len(value.encode()) > NAME_BYTES_MAX:
        raise AuthRefused(f"{claim} is longer than {NAME_BYTES_MAX} bytes")
    return value
