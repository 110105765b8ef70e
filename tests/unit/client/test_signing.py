"""A client with a DID signs each payload with its own key, and services that know the grant believe it (A3)."""

from __future__ import annotations

import stat
import time
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448
from typer.testing import CliRunner

from libs.client.cli import build
from libs.client.connection import connect
from libs.client.settings import ClientSettings
from libs.client.signing import DidSigner, make_key, read_key
from libs.contracts.proto.deedbook.status.v1 import status_pb2 as pb
from libs.governance.dids import Grant, did_of, issuer_of
from libs.governance.tokens import SECOND, AuthRefused, KeySet, verify
from libs.runtime.settings import SettingsError, load

pytestmark = pytest.mark.requirement("A3")
GRANT = Grant("acme", ("main",))


def pem(key: ec.EllipticCurvePrivateKey | ed448.Ed448PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "keys" / "agent.pem"
    make_key(made)
    return made


def settings(file: Path, **more: str) -> ClientSettings:
    given = {"gateway": "127.0.0.1:1", "status": "127.0.0.1:2", "did_key_file": str(file), "did_tenant": "acme"} | more
    return load(ClientSettings, **given)


def test_each_call_is_signed_for_what_it_asks(file: Path) -> None:
    request = pb.GetRequest(intent_id="x")
    (name, value), *_ = connect(settings(file)).metadata(request)
    signer = DidSigner(settings(file))
    keys = KeySet(1, {signer.did: issuer_of(signer.did, GRANT, "deedbook", 3600)})
    verified = verify(value.removeprefix("Bearer ").encode(), keys, int(time.time()) * SECOND)
    assert name == "authorization"
    principal = verified.speaks_for("deedbook.status.v1.GetRequest", request.SerializeToString())
    assert (principal.subject, principal.tenant) == (signer.did, "acme")
    with pytest.raises(AuthRefused):
        verified.speaks_for("deedbook.status.v1.GetRequest", pb.GetRequest(intent_id="y").SerializeToString())


def test_a_p256_key_signs_too(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    (tmp_path / "key.pem").write_bytes(pem(key))
    signer = DidSigner(settings(tmp_path / "key.pem"))
    assert signer.did == did_of(key.public_key())
    keys = KeySet(1, {signer.did: issuer_of(signer.did, GRANT, "deedbook", 3600)})
    verified = verify(signer("intents", b"x").encode(), keys, int(time.time()) * SECOND)
    assert verified.speaks_for("intents", b"x").subject == signer.did


def test_a_web_did_names_its_key(file: Path) -> None:
    signer = DidSigner(settings(file, did="did:web:agents.acme.test#k1", did_audience="other"))
    assert jwt.get_unverified_header(signer("intents", b""))["kid"] == "did:web:agents.acme.test#k1"
    claims = jwt.decode(signer("intents", b""), options={"verify_signature": False})
    assert (claims["iss"], claims["sub"], claims["aud"]) == (*["did:web:agents.acme.test"] * 2, "other")


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"did_tenant": ""}, "DEED_DID_TENANT"),
        ({"did": "did:web:agents.acme.test"}, "DEED_DID is wrong"),
        ({"did_key_file": "/nowhere"}, "DEED_DID_KEY_FILE is wrong: /nowhere"),
    ],
)
def test_what_is_wrong_names_its_variable(file: Path, more: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        connect(settings(file, **more))


@pytest.mark.parametrize("content", [b"", b"no key", pem(ed448.Ed448PrivateKey.generate())])
def test_a_file_without_such_a_key_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "key.pem").write_bytes(content)
    with pytest.raises(SettingsError, match="DEED_DID_KEY_FILE is wrong"):
        read_key(tmp_path / "key.pem")


def test_a_key_is_made_once_for_its_owner_alone_with_lines_that_operators_add(tmp_path: Path) -> None:
    file, words = tmp_path / "agent.pem", ["did", str(tmp_path / "agent.pem"), "--tenant", 'a"b', "--account", "main"]
    made, again = (CliRunner().invoke(build(), words) for _ in range(2))
    assert (made.exit_code, again.exit_code) == (0, 0)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert made.stdout == again.stdout
    assert f'["{did_of(read_key(file).public_key())}"]\ntenant = "a\\"b"\naccounts = ["main"]\n' in made.stdout
    assert made.stderr.startswith("Made the key")
    assert again.stderr.startswith("Read the key")
