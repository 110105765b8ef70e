"""The DIDs of the operator's file are read with the key set; a host that is away, or lies, takes nobody along (A3)."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from libs.governance.tokens import Issuer
from libs.runtime import devkeys, keyset
from libs.runtime.keyset import KeySource
from libs.runtime.settings import AuthSettings, StartRefused

pytestmark = pytest.mark.requirement("A3")

KEY = "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp"
STALE_S = 100


class Clock:
    """Milliseconds that the test moves."""

    def __init__(self) -> None:
        self.ms = 1_000_000

    def __call__(self) -> int:
        return self.ms


class Host(ThreadingHTTPServer):
    """Serves one document, or what else it is told to."""

    answer: tuple[int, bytes] = (404, b"")

    @property
    def did(self) -> str:
        return f"did:web:localhost%3A{self.server_address[1]}"

    def say(self, document: Any, status: int = 200) -> None:
        self.answer = (status, json.dumps(document).encode())


class Handler(BaseHTTPRequestHandler):
    server: Host

    def do_GET(self) -> None:
        status, body = self.server.answer if self.path == "/.well-known/did.json" else (404, b"")
        self.send_response(status)
        self.send_header("Location", f"http://localhost:{self.server.server_address[1]}/.well-known/did.json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def host() -> Iterator[Host]:
    with Host(("127.0.0.1", 0), Handler) as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.01,))
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def source(tmp_path: Path, clock: Clock, host: Host) -> KeySource:
    devkeys.ensure(tmp_path)
    given = {name.removeprefix("DEED_").lower(): value for name, value in devkeys.variables(tmp_path).items()}
    grant(tmp_path, KEY)
    settings = AuthSettings(**given, jwks_stale_max_s=STALE_S, dids_file=str(tmp_path / "dids.toml"))  # type: ignore[arg-type]
    return KeySource(settings, clock)


def grant(folder: Path, *dids: str, text: str = 'tenant = "acme"') -> None:
    (folder / "dids.toml").write_text("".join(f'["{did}"]\n{text}\n' for did in dids))


def document(did: str, seed: bytes = b"k", **more: Any) -> dict[str, Any]:
    public = ed25519.Ed25519PrivateKey.from_private_bytes(seed * 32).public_key()
    jwk = jwt.algorithms.OKPAlgorithm.to_jwk(public, as_dict=True)
    name = f"{did}#{seed.decode()}"
    method = {"id": name, "type": "JsonWebKey", "controller": did, "publicKeyJwk": jwk}
    return {"id": did, "verificationMethod": [method], "authentication": [name]} | more


def issuer(source: KeySource, did: str) -> Issuer:
    return source.current().issuers[did]


async def test_a_did_in_the_file_is_believed_beside_the_issuer(source: KeySource) -> None:
    assert await source.reload()
    assert issuer(source, KEY).granted
    assert issuer(source, devkeys.ISSUER).granted is None


async def test_the_file_is_read_again_and_what_is_gone_is_not_believed(source: KeySource, tmp_path: Path) -> None:
    await source.reload()
    grant(tmp_path)
    assert await source.reload()
    assert [*source.current().issuers] == [devkeys.ISSUER]


async def test_a_change_of_the_file_is_seen_by_itself(
    source: KeySource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyset, "LOOK_S", 0.01)
    await source.start()
    try:
        grant(tmp_path)
        async with asyncio.timeout(10):
            while KEY in source.current().issuers:  # noqa: ASYNC110 - the reader has no event for this
                await asyncio.sleep(0.01)
    finally:
        await source.stop()


async def test_a_grant_that_is_new_counts_at_the_first_look(source: KeySource, tmp_path: Path) -> None:
    await source.reload()
    assert not await source.look_again()  # it has just been read
    grant(tmp_path, KEY, "did:key:zDnaerDaTF5BXEavCrfRZEk316dpbLsfPDZ3WJ5hRTPFU2169")
    assert await source.look_again()
    assert len(source.current().issuers) == 3


@pytest.mark.parametrize(
    "text",
    [
        "tenant =",
        'tenant = ""',
        "",
        'tenant = "acme"\nrole = ["x"]',
        'tenant = "acme"\nkind = "GOD"',
        'tenant = "acme"\nkind = "SYSTEM"',
        "tenant = 7",
    ],
)
async def test_a_broken_file_refuses_to_start_and_later_changes_nothing(
    source: KeySource, tmp_path: Path, text: str
) -> None:
    assert await source.reload()
    grant(tmp_path, KEY, text=text)
    assert not await source.reload()
    assert issuer(source, KEY).granted
    fresh = KeySource(source._settings)
    with pytest.raises(StartRefused, match=r"DEED_DIDS_FILE is wrong: .*dids\.toml"):
        await fresh.start()


async def test_a_grant_that_was_taken_back_is_gone_though_the_issuer_is_away(source: KeySource, tmp_path: Path) -> None:
    await source.reload()
    (tmp_path / devkeys.JWKS_FILE).unlink()
    grant(tmp_path)
    assert not await source.reload()
    assert [*source.current().issuers] == [devkeys.ISSUER]  # whose last keys are believed for a while


async def test_an_error_among_the_grants_keeps_no_new_key_of_the_issuer_out(source: KeySource, tmp_path: Path) -> None:
    await source.reload()
    before = issuer(source, devkeys.ISSUER).keys.keys()
    (tmp_path / devkeys.KEY_FILE).unlink()
    devkeys.ensure(tmp_path)
    grant(tmp_path, KEY, text="tenant =")
    assert await source.look_again()
    assert issuer(source, devkeys.ISSUER).keys.keys() != before
    assert issuer(source, KEY).granted


@pytest.mark.parametrize("did", ["did:plc:abc", "did:key:zzz", "did:web:127.0.0.1", "agent-1", devkeys.ISSUER])
async def test_a_file_with_no_did_refuses_to_start(source: KeySource, tmp_path: Path, did: str) -> None:
    grant(tmp_path, did)
    with pytest.raises(StartRefused, match=r"DEED_DIDS_FILE is wrong: .*dids\.toml"):
        await source.start()


async def test_a_file_that_everybody_may_write_to_refuses_to_start(source: KeySource, tmp_path: Path) -> None:
    (tmp_path / "dids.toml").chmod(0o646)
    with pytest.raises(StartRefused, match=r"DEED_DIDS_FILE is wrong: everybody may write to"):
        await source.start()


async def test_a_missing_file_refuses_to_start(source: KeySource, tmp_path: Path) -> None:
    (tmp_path / "dids.toml").unlink()
    with pytest.raises(StartRefused, match=r"DEED_DIDS_FILE is wrong: .*dids\.toml: No such file"):
        await source.start()


async def test_keys_of_a_web_did_come_from_its_host_and_rotate(source: KeySource, host: Host, tmp_path: Path) -> None:
    grant(tmp_path, KEY, host.did)
    host.say(document(host.did))
    await source.reload()
    assert [*issuer(source, host.did).keys] == [f"{host.did}#k"]
    host.say(document(host.did, b"n"))
    await source.reload()
    assert [*issuer(source, host.did).keys] == [f"{host.did}#n"]


@pytest.mark.parametrize("bad", ["away", "another's", "no json", "a redirect", "too large", "too deep"])
async def test_a_host_that_says_nonsense_keeps_its_last_keys_for_a_bounded_time(
    source: KeySource, host: Host, tmp_path: Path, clock: Clock, bad: str
) -> None:
    grant(tmp_path, KEY, host.did)
    right = document(host.did)
    host.say(right)
    await source.reload()
    match bad:
        case "away":
            host.say({}, 500)
        case "another's":
            host.say(document("did:web:other.test"))
        case "no json":
            host.answer = (200, b"<html>")
        case "a redirect":
            host.say(right, 302)
        case "too large":
            host.say(right | {"more": "x" * 300_000})
        case "too deep":
            host.answer = (200, b"[" * 100_000)
    for passed_s, believed in ((0, 1), (STALE_S, 1), (STALE_S + 1, 0)):
        now_ms, clock.ms = clock.ms, clock.ms + passed_s * 1000
        assert await source.reload()
        assert len(issuer(source, host.did).keys) == believed
        assert issuer(source, KEY).keys
        clock.ms = now_ms


async def test_a_host_that_is_away_at_the_start_does_not_keep_anybody(
    source: KeySource, host: Host, tmp_path: Path
) -> None:
    grant(tmp_path, host.did, KEY)
    await source.start()
    await source.stop()
    assert (len(issuer(source, host.did).keys), len(issuer(source, KEY).keys)) == (0, 1)
