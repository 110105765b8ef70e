"""Who is asking? A token is right in every part, or refused without saying which part was wrong (threat T25)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.contracts.events import ActorKind, Principal
from libs.governance.tokens import (
    ALGORITHMS,
    PLATFORM,
    SECOND,
    AuthRefused,
    Issuer,
    KeySet,
    TokenVerifier,
    bearer,
    read_jwks,
    verify,
)

AT = 1_700_000_000
PRIVATE: dict[str, Any] = {
    "EdDSA": ed25519.Ed25519PrivateKey.from_private_bytes(b"k" * 32),
    "ES256": ec.derive_private_key(7, ec.SECP256R1()),
    "RS256": rsa.generate_private_key(65537, 2048),
}
OTHER = ed25519.Ed25519PrivateKey.from_private_bytes(b"x" * 32)
CLAIMS: dict[str, Any] = {
    "iss": "https://id.acme.test",
    "aud": "deedbook",
    "sub": "agent-1",
    "tenant": "acme",
    "iat": AT - 10,
    "exp": AT + 300,
    "accounts": ["main"],
    "roles": ["agent"],
}


def issuer(algorithm: str = "EdDSA", **more: Any) -> Issuer:
    fields = {"issuer": CLAIMS["iss"], "audience": "deedbook", "algorithm": algorithm}
    return Issuer(**fields | {"keys": {"k1": PRIVATE[algorithm].public_key()}} | more)


def key_set(*issuers: Issuer, version: int = 1) -> KeySet:
    return KeySet(version, {one.issuer: one for one in issuers or (issuer(),)})


def token(key: Any = None, algorithm: str = "EdDSA", headers: dict[str, Any] | None = None, **claims: Any) -> bytes:
    """A signed token; claims set to ... are left out."""
    content = {name: value for name, value in (CLAIMS | claims).items() if value is not ...}
    head = {"kid": "k1", "typ": "JWT"} | (headers or {})
    return jwt.encode(content, key or PRIVATE[algorithm], algorithm, headers=head).encode()


def segment(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed_over(header: dict[str, Any], payload: Any = CLAIMS) -> bytes:
    """A rightly signed token with any header and payload."""
    signing = f"{segment(header)}.{segment(payload)}"
    return f"{signing}.{segment(PRIVATE['EdDSA'].sign(signing.encode()))}".encode()


def principal(raw: bytes, keys: KeySet) -> Principal:
    return verify(raw, keys, AT * SECOND).speaks_for("any", b"")


HEADER = {"alg": "EdDSA", "kid": "k1", "typ": "JWT"}
PEM = (
    PRIVATE["RS256"]
    .public_key()
    .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
)


def unsigned(algorithm: str) -> bytes:
    return f"{segment(HEADER | {'alg': algorithm})}.{segment(CLAIMS)}.".encode()


def hmac_with_public_key() -> bytes:
    signing = f"{segment(HEADER | {'alg': 'HS256'})}.{segment(CLAIMS)}"
    return f"{signing}.{segment(hmac.new(PEM, signing.encode(), hashlib.sha256).digest())}".encode()


MUTANTS: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "no dots": lambda: b"abc",
    "not base64": lambda: b"%%.%%.%%",
    "not utf-8": lambda: b"\xff\xfe.a.b",
    "alg none": lambda: unsigned("none"),
    "alg None": lambda: unsigned("None"),
    "alg missing": lambda: signed_over({"kid": "k1", "typ": "JWT"}),
    "alg a list": lambda: signed_over(HEADER | {"alg": ["EdDSA"]}),
    "hs256 with the public key": hmac_with_public_key,
    "another algorithm's key": lambda: token(algorithm="ES256"),
    "rs256 not pinned": lambda: token(algorithm="RS256"),
    "another key": lambda: token(OTHER),
    "signature cut": lambda: token()[:-4],
    "signature missing": lambda: token().rsplit(b".", 1)[0] + b".",
    "payload swapped": lambda: b".".join(
        [token().split(b".")[0], token(tenant="evil").split(b".")[1], token().split(b".")[2]]
    ),
    "header swapped": lambda: b".".join([token(headers={"typ": "at+jwt"}).split(b".")[0], *token().split(b".")[1:]]),
    "five parts": lambda: token() + b".a.b",
    "kid missing": lambda: signed_over({"alg": "EdDSA", "typ": "JWT"}),
    "kid unknown": lambda: token(headers={"kid": "k2"}),
    "kid a path": lambda: token(headers={"kid": "../../k1"}),
    "kid a number": lambda: signed_over(HEADER | {"kid": 1}),
    "kid a list": lambda: signed_over(HEADER | {"kid": ["k1"]}),
    "typ missing": lambda: signed_over({"alg": "EdDSA", "kid": "k1"}),
    "typ of an id token": lambda: token(headers={"typ": "id+jwt"}),
    "typ a number": lambda: signed_over(HEADER | {"typ": 1}),
    "jku": lambda: token(headers={"jku": "https://evil.test/keys"}),
    "jwk": lambda: signed_over(HEADER | {"jwk": {"kty": "OKP"}}),
    "x5u": lambda: token(headers={"x5u": "https://evil.test/cert"}),
    "x5c": lambda: signed_over(HEADER | {"x5c": ["MIIB"]}),
    "crit": lambda: signed_over(HEADER | {"crit": ["exp"]}),
    "b64 false": lambda: signed_over(HEADER | {"b64": False, "crit": ["b64"]}),
    "zip": lambda: signed_over(HEADER | {"zip": "DEF"}),
    "header a list": lambda: signed_over([HEADER]),  # type: ignore[arg-type]
    "payload a list": lambda: signed_over(HEADER, [CLAIMS]),
    "payload no json": lambda: signed_over(HEADER, b"{"),
    "payload deep": lambda: signed_over(HEADER, b"[" * 3_000 + b"]" * 3_000),
    "payload with NaN": lambda: signed_over(HEADER, b'{"iss": NaN}'),
    "too large": lambda: token(padding="x" * 9_000),
    "iss missing": lambda: token(iss=...),
    "iss another": lambda: token(iss="https://evil.test"),
    "iss with a slash more": lambda: token(iss=CLAIMS["iss"] + "/"),
    "iss a list": lambda: signed_over(HEADER, CLAIMS | {"iss": [CLAIMS["iss"]]}),
    "aud missing": lambda: token(aud=...),
    "aud another": lambda: token(aud="other"),
    "aud a list of others": lambda: token(aud=["a", "b"]),
    "aud empty": lambda: token(aud=[]),
    "aud an object": lambda: signed_over(HEADER, CLAIMS | {"aud": {"deedbook": 1}}),
    "exp missing": lambda: token(exp=...),
    "exp over": lambda: token(exp=AT - 31),
    "exp text": lambda: signed_over(HEADER, CLAIMS | {"exp": str(AT + 300)}),
    "exp a float": lambda: signed_over(HEADER, CLAIMS | {"exp": AT + 300.5}),
    "exp true": lambda: signed_over(HEADER, CLAIMS | {"exp": True}),
    "exp negative": lambda: signed_over(HEADER, CLAIMS | {"exp": -1}),
    "exp in a hundred years": lambda: token(exp=AT + 100 * 365 * 86_400),
    "exp huge": lambda: signed_over(HEADER, CLAIMS | {"exp": 2**70}),
    "iat missing": lambda: token(iat=...),
    "iat in the future": lambda: token(iat=AT + 31),
    "iat text": lambda: signed_over(HEADER, CLAIMS | {"iat": "0"}),
    "iat after exp": lambda: token(iat=AT + 20, exp=AT + 10),
    "nbf in the future": lambda: token(nbf=AT + 31),
    "nbf text": lambda: signed_over(HEADER, CLAIMS | {"nbf": "1"}),
    "nbf null": lambda: signed_over(HEADER, CLAIMS | {"nbf": None}),
    "sub missing": lambda: token(sub=...),
    "sub empty": lambda: token(sub=""),
    "sub a number": lambda: signed_over(HEADER, CLAIMS | {"sub": 7}),
    "sub padded": lambda: token(sub=" agent-1"),
    "sub with a control character": lambda: token(sub="agent\n1"),
    "tenant missing": lambda: token(tenant=...),
    "tenant empty": lambda: token(tenant=""),
    "tenant a list": lambda: token(tenant=["acme"]),
    "tenant with a slash": lambda: token(tenant="acme/main"),
    "tenant with a colon": lambda: token(tenant="acme:main"),
    "tenant long": lambda: token(tenant="a" * 129),
    "accounts a text": lambda: token(accounts="main"),
    "accounts with a number": lambda: token(accounts=["main", 7]),
    "accounts with an empty name": lambda: token(accounts=[""]),
    "accounts null": lambda: token(accounts=None),
    "accounts without end": lambda: token(accounts=[str(n) for n in range(300)]),
    "roles an object": lambda: token(roles={"admin": True}),
    "roles with a list": lambda: token(roles=[["admin"]]),
    "kind system": lambda: token(kind="SYSTEM"),
    "kind unknown": lambda: token(kind="ROBOT"),
    "kind a list": lambda: token(kind=["HUMAN"]),
}


def test_there_are_enough_mutants() -> None:
    assert len(MUTANTS) >= 60


@pytest.mark.parametrize("name", MUTANTS)
def test_a_token_with_anything_wrong_is_refused_alike(name: str) -> None:
    with pytest.raises(AuthRefused) as refused:
        verify(MUTANTS[name](), key_set(), AT * SECOND)
    assert refused.value.code == "AUTH_INVALID"
    assert refused.value.reason


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_right_token_names_a_principal(algorithm: str) -> None:
    found = principal(token(algorithm=algorithm), key_set(issuer(algorithm)))
    assert found == Principal("acme", "agent-1", ActorKind.MACHINE, ("main",), ("agent",))


def test_without_claims_there_are_no_accounts_and_no_roles() -> None:
    found = principal(token(accounts=..., roles=..., kind="HUMAN", aud=["x", "deedbook"]), key_set())
    assert (found.accounts, found.roles, found.kind) == ((), (), ActorKind.HUMAN)


def test_an_issuer_speaks_for_its_tenants_and_roles_only() -> None:
    pinned = issuer(tenants=("acme",), roles=("agent",))
    assert principal(token(roles=["admin", "agent"]), key_set(pinned)).roles == ("agent",)
    with pytest.raises(AuthRefused):
        verify(token(tenant="other"), key_set(pinned), AT * SECOND)


def test_an_issuer_of_some_tenants_makes_nobody_rule_the_platform_unless_it_is_said() -> None:
    asks = token(roles=["operator", PLATFORM])
    assert principal(asks, key_set(issuer(tenants=("acme",)))).roles == ("operator",)
    for of_all in (issuer(), issuer(tenants=("acme",), roles=("operator", PLATFORM))):
        assert principal(asks, key_set(of_all)).roles == ("operator", PLATFORM)


def test_leeway_is_bounded_on_both_sides() -> None:
    right = token(iat=AT, exp=AT + 60)
    for at in (AT - 30, AT, AT + 89):
        assert verify(right, key_set(), at * SECOND)
    for at in (AT - 31, AT + 90):
        with pytest.raises(AuthRefused):
            verify(right, key_set(), at * SECOND)


def test_a_remembered_token_is_valid_only_within_its_time_and_key_set() -> None:
    verifier, right = TokenVerifier(), token()
    assert verifier.verify(right, key_set(), AT * SECOND) is verifier.verify(right, key_set(), (AT + 1) * SECOND)
    with pytest.raises(AuthRefused):
        verifier.verify(right, key_set(), (AT + 400) * SECOND)
    without = KeySet(2, {CLAIMS["iss"]: issuer(keys={})})
    with pytest.raises(AuthRefused):
        verifier.verify(right, without, AT * SECOND)


def test_what_is_remembered_is_bounded() -> None:
    verifier = TokenVerifier(entries_max=2)
    for number in range(5):
        verifier.verify(token(sub=f"agent-{number}"), key_set(), AT * SECOND)
    assert len(verifier._verified) == 2


@given(st.binary(max_size=60))
@settings(max_examples=60)
def test_any_bytes_are_refused(raw: bytes) -> None:
    with pytest.raises(AuthRefused):
        verify(raw, key_set(), AT * SECOND)


@given(st.integers(0, 400), st.integers(1, 255))
@settings(max_examples=100)
def test_a_token_with_one_byte_changed_is_refused_or_says_the_same(place: int, flip: int) -> None:
    raw = bytearray(token())
    raw[place % len(raw)] ^= flip
    try:
        found = verify(bytes(raw), key_set(), AT * SECOND)
    except AuthRefused:
        return
    assert found == verify(token(), key_set(), AT * SECOND)  # unused bits at the end of a base64 segment


@pytest.mark.parametrize("header", [None, b"", b"Bearer", b"Bearer ", b"Basic abc", b"Bearer a b", b"abc"])
def test_only_a_bearer_header_holds_a_token(header: bytes | None) -> None:
    with pytest.raises(AuthRefused):
        bearer(header)


def test_a_bearer_header_holds_its_token() -> None:
    assert bearer(b"Bearer abc") == bearer(b"bearer abc") == b"abc"


def test_a_key_set_is_read_for_one_algorithm() -> None:
    jwk = jwt.algorithms.OKPAlgorithm.to_jwk(PRIVATE["EdDSA"].public_key(), as_dict=True)
    rsa_jwk = jwt.algorithms.RSAAlgorithm.to_jwk(PRIVATE["RS256"].public_key(), as_dict=True)
    symmetric = {"kty": "oct", "k": "c2VjcmV0", "kid": "sym"}
    keys = read_jwks({"keys": [jwk | {"kid": "k1"}, rsa_jwk | {"kid": "r1"}, symmetric]}, "EdDSA")
    assert list(keys) == ["k1"]
    assert verify(token(), key_set(issuer(keys=keys)), AT * SECOND)
    with pytest.raises(ValueError, match="no usable"):
        read_jwks({"keys": [symmetric]}, "RS256")
