"""A DID is believed by its own key, for the one payload that it signed, and may do what an operator granted it (A3)."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from hypothesis import given
from hypothesis import strategies as st

from libs.contracts.events import ActorKind, Principal
from libs.governance.dids import DidRefused, Grant, document_url, issuer_of, keys_in, keys_of
from libs.governance.tokens import PLATFORM, SECOND, AuthRefused, Issuer, KeySet, TokenVerifier, UnknownKey, verify

pytestmark = [pytest.mark.requirement("A3"), pytest.mark.requirement("T25")]

AT = 1_700_000_000
PRIVATE = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))
DID = "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp"  # that key, as the did:key specification has it
KID = f"{DID}#{DID.removeprefix('did:key:')}"
P256 = "did:key:zDnaerDaTF5BXEavCrfRZEk316dpbLsfPDZ3WJ5hRTPFU2169"  # from there, too
WEB = "did:web:agents.acme.test"
GRANT = Grant("acme", ("main",), ("agent",))
PAYLOAD = b"an intent as it was sent"
OTHER = ed25519.Ed25519PrivateKey.from_private_bytes(b"x" * 32)
CLAIMS: dict[str, Any] = {
    "iss": DID,
    "sub": DID,
    "aud": "deedbook",
    "tenant": "acme",
    "iat": AT,
    "exp": AT + 60,
    "payload_type": "intents",
    "payload_sha256": sha256(PAYLOAD).hexdigest(),
}


def keys(issuer: Issuer | None = None) -> KeySet:
    one = issuer or issuer_of(DID, GRANT, "deedbook", 3600)
    return KeySet(1, {one.issuer: one})


def signed(key: Any = PRIVATE, algorithm: str = "EdDSA", kid: str = KID, **claims: Any) -> bytes:
    content = {name: value for name, value in (CLAIMS | claims).items() if value is not ...}
    return jwt.encode(content, key, algorithm, headers={"kid": kid, "typ": "JWT"}).encode()


def sender(token: bytes, known: KeySet | None = None, to: str = "intents", payload: bytes = PAYLOAD) -> Principal:
    return verify(token, known or keys(), AT * SECOND).speaks_for(to, payload)


def test_a_did_speaks_with_what_it_was_granted_whatever_its_token_claims() -> None:
    right = Principal("acme", DID, ActorKind.MACHINE, ("main",), ("agent",))
    assert sender(signed()) == right
    assert sender(signed(accounts=["other"], roles=[PLATFORM], kind="HUMAN")) == right


MUTANTS: dict[str, Callable[[], bytes]] = {
    "another's key": lambda: signed(OTHER),
    "another's name": lambda: signed(sub=P256),
    "no name": lambda: signed(sub=...),
    "another tenant": lambda: signed(tenant="other"),
    "no tenant": lambda: signed(tenant=...),
    "another payload": lambda: signed(payload_sha256=sha256(b"").hexdigest()),
    "no payload": lambda: signed(payload_sha256=...),
    "no payload, but null": lambda: signed(payload_sha256=None, payload_type=None),
    "in large letters": lambda: signed(payload_sha256=sha256(PAYLOAD).hexdigest().upper()),
    "another type": lambda: signed(payload_type="deedbook.intake.v1.SubmitRequest"),
    "no type": lambda: signed(payload_type=...),
    "another audience": lambda: signed(aud="other"),
    "expired": lambda: signed(iat=AT - 600, exp=AT - 500),
    "for too long": lambda: signed(exp=AT + 7200),
    "another algorithm": lambda: signed(ec.derive_private_key(7, ec.SECP256R1()), "ES256"),
    "a DID that nobody granted anything": lambda: signed(iss=P256, sub=P256),
    "a key that is not its own": lambda: signed(kid=f"{P256}#{P256.removeprefix('did:key:')}"),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_what_is_wrong_in_any_part_is_refused(name: str) -> None:
    with pytest.raises(AuthRefused):
        sender(MUTANTS[name]())


def test_a_token_counts_for_its_payload_on_its_way_and_is_not_remembered() -> None:
    verifier = TokenVerifier()
    for to, payload in (("intents", PAYLOAD + b" "), ("deedbook.commands.v1.CancelRequest", PAYLOAD)):
        with pytest.raises(AuthRefused):
            verifier.verify(signed(), keys(), AT * SECOND).speaks_for(to, payload)
    assert verifier.verify(signed(), keys(), AT * SECOND).speaks_for("intents", PAYLOAD)
    revoked = KeySet(1, {})  # the same version: what is in force counts each time
    with pytest.raises(AuthRefused):
        verifier.verify(signed(), revoked, AT * SECOND)


def test_keys_are_read_from_the_name() -> None:
    algorithm, found = keys_of(DID)
    assert (algorithm, [*found]) == ("EdDSA", [KID])
    assert found[KID].public_bytes_raw() == PRIVATE.public_key().public_bytes_raw()
    assert keys_of(P256)[0] == "ES256"


@pytest.mark.parametrize(
    "did",
    [
        *("did:key:", "did:key:z", "did:key:z0OIl", f"{DID}a", DID[:-1], DID.replace("z6Mk", "m6Mk"), f"{P256}1"),
        "did:key:z6LSbysY2xFMRpGMhb7tFTLMpeuPRaqaWM1yECx2AtzE3KCc",  # X25519: for encryption only
        f"did:key:z{'1' * 500}",
    ],
)
def test_a_name_that_holds_no_key_is_refused(did: str) -> None:
    with pytest.raises(DidRefused):
        issuer_of(did, GRANT, "deedbook", 60)


@given(st.text(max_size=60))
def test_any_name_is_read_or_refused(text: str) -> None:
    for did in (text, f"did:key:{text}", f"did:key:z{text}", f"did:web:{text}"):
        try:
            issuer_of(did, GRANT, "deedbook", 60)
        except DidRefused:
            continue
        assert did.startswith(("did:key:z", "did:web:"))


@pytest.mark.parametrize(
    ("did", "url"),
    [
        ("did:web:w3c-ccg.github.io", "https://w3c-ccg.github.io/.well-known/did.json"),
        ("did:web:w3c-ccg.github.io:user:alice", "https://w3c-ccg.github.io/user/alice/did.json"),
        ("did:web:example.com%3A3000:user:alice", "https://example.com:3000/user/alice/did.json"),
        ("did:web:localhost%3A8080", "http://localhost:8080/.well-known/did.json"),
    ],
)
def test_a_document_is_where_the_name_says(did: str, url: str) -> None:
    assert document_url(did) == url


@pytest.mark.parametrize(
    "rest",
    [
        *("", ":", "127.0.0.1", "%5B::1%5D", "0x7f.1", "127.1", "example.com:..", "example.com:.:a", "example.com:a:"),
        *("user@example.com", "example.com/x", "example.com%2Fx", "example.com?x", "example.com%3A", "example.com%3Ax"),
        *("example.com:a%2Fb", "EXAMPLE.com", "example..com", "example.com#key", "example.com%3A0"),
    ],
)
def test_a_name_that_points_elsewhere_is_refused(rest: str) -> None:
    with pytest.raises(DidRefused):
        document_url(f"did:web:{rest}")


def jwk(key: Any = PRIVATE, **more: Any) -> dict[str, Any]:
    made: dict[str, Any] = jwt.algorithms.OKPAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return made | more


def document(**more: Any) -> dict[str, Any]:
    method = {"id": f"{WEB}#k1", "type": "JsonWebKey", "controller": WEB, "publicKeyJwk": jwk()}
    return {"id": WEB, "verificationMethod": [method], "authentication": ["#k1"]} | more


def test_a_document_says_which_keys_may_authenticate() -> None:
    multikey = {"id": "#k2", "type": "Multikey", "controller": WEB, "publicKeyMultibase": DID.removeprefix("did:key:")}
    assert [*keys_in(document(), WEB, "EdDSA")] == [f"{WEB}#k1"]
    assert [*keys_in(document(authentication=[multikey]), WEB, "EdDSA")] == [f"{WEB}#k2"]
    issuer = issuer_of(WEB, GRANT, "deedbook", 3600, document())
    token = signed(kid=f"{WEB}#k1", iss=WEB, sub=WEB)
    assert sender(token, keys(issuer)).subject == WEB
    with pytest.raises(UnknownKey):  # worth another look
        sender(token, keys(issuer_of(WEB, GRANT, "deedbook", 3600)))


METHOD = document()["verificationMethod"][0]
BAD_DOCUMENTS: dict[str, Any] = {
    "no object": [],
    "another's": document(id="did:web:other.test"),
    "nobody may authenticate": document(authentication=[]),
    "for other purposes": {k: v for k, v in document().items() if k != "authentication"} | {"assertionMethod": ["#k1"]},
    "another's key by reference": document(authentication=["did:web:other.test#k1"]),
    "another's method": document(verificationMethod=[METHOD | {"controller": "did:web:other.test"}]),
    "another's name of a key": document(authentication=[METHOD | {"id": "did:web:other.test#k1"}]),
    "a private key": document(verificationMethod=[METHOD | {"publicKeyJwk": jwk(d="AAAA")}]),
    "of another algorithm": document(verificationMethod=[METHOD | {"publicKeyJwk": jwk(alg="RS256")}]),
    "no key": document(verificationMethod=[{k: v for k, v in METHOD.items() if k != "publicKeyJwk"}]),
    "nonsense": document(verificationMethod=[METHOD | {"publicKeyJwk": {"kty": ["OKP"]}}, 7, None]),
    "too many before": document(verificationMethod=[*[{}] * 64, METHOD]),
}


@pytest.mark.parametrize("name", BAD_DOCUMENTS)
def test_a_document_that_does_not_say_so_gives_no_key(name: str) -> None:
    with pytest.raises(DidRefused):
        keys_in(BAD_DOCUMENTS[name], WEB, "EdDSA")


@pytest.mark.parametrize(
    "grant",
    [Grant(""), Grant("a/b"), Grant("acme", ("",)), Grant("acme", (), (" x",)), Grant("acme", algorithm="none")],
)
def test_a_grant_that_no_token_could_say_is_refused(grant: Grant) -> None:
    with pytest.raises(DidRefused):
        issuer_of(WEB, grant, "deedbook", 60)


def test_a_name_that_is_too_long_for_the_ledger_is_refused() -> None:
    with pytest.raises(DidRefused):
        issuer_of(f"did:web:{'a' * 60}.{'b' * 60}.test", GRANT, "deedbook", 60)
