"""MCP over streamable HTTP is as certain as over stdio, whatever a server does (F2, F3, F5, T11, T12, T16, X7)."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from libs.contracts.events import (
    AnswerStatus,
    EffectClass,
    ErrorMeaning,
    FailureCategory,
    KeyPlacement,
    SuccessRule,
)
from libs.testkit.tool_bench import Told, effect, eventually, tool_settings
from services.execution.adapters.mcp import McpAdapter
from services.execution.adapters.warm import WarmServer
from services.execution.ports import NotReady
from tests.integration.mcp.hostile_http import SESSION, Hostile, hostile
from tests.integration.mcp.over_http import LIMIT, offered, profile, registered, run

pytestmark = [pytest.mark.asyncio, pytest.mark.requirement("F2")]
S, C = AnswerStatus, FailureCategory


@pytest.mark.requirement("F7")
@pytest.mark.requirement("T12")
@pytest.mark.requirement("T16")
@pytest.mark.requirement("X7")
@pytest.mark.parametrize(
    ("mode", "code", "category"),
    [
        ("redirect", "REDIRECTED", C.PERMANENT),
        ("busy", "SERVER_UNAVAILABLE", C.TRANSIENT),
        ("forbidden", "CREDENTIAL_REFUSED", C.PERMANENT),
        ("broken", "HTTP_ERROR", C.PERMANENT),
        ("accepted", "HTTP_ERROR", C.PERMANENT),
        ("refused", "TOOL_REFUSED", C.PERMANENT),
        ("packed", "ANSWER_MALFORMED", C.PERMANENT),
        ("malformed", "ANSWER_MALFORMED", C.PERMANENT),
        ("huge", "ANSWER_TOO_LARGE", C.PERMANENT),
        ("huge_event", "ANSWER_TOO_LARGE", C.PERMANENT),
        ("endless", "ANSWER_TOO_LARGE", C.PERMANENT),
        ("no_http", "CONNECTION_LOST", C.TRANSIENT),
        ("huge_head", "CONNECTION_LOST", C.TRANSIENT),
        ("cut", "CONNECTION_LOST", C.TRANSIENT),
        ("silent", "CONNECTION_LOST", C.TRANSIENT),
        ("other_event", "CONNECTION_LOST", C.TRANSIENT),
        ("other", "ANSWER_MALFORMED", C.PERMANENT),
        ("hang", "TIMEOUT", C.TRANSIENT),
    ],
)
async def test_without_a_usable_answer_a_write_is_in_doubt_and_not_sent_again(
    calling: McpAdapter, bad: Hostile, mode: str, code: str, category: FailureCategory
) -> None:
    definition = (await offered(profile(bad.port)))["act"]
    timeout_ms = 1_000 if mode == "hang" else 30_000
    answer = await run(calling, registered(definition, "act"), effect("there/act", timeout_ms, mode=mode))
    assert (answer.status, answer.code, answer.category) == (S.AMBIGUOUS, code, category)
    reading = registered(definition, "act", effect_class=EffectClass.READ_ONLY, success_rule=SuccessRule.ANSWER)
    answer = await run(calling, reading, effect("there/act", timeout_ms, mode=mode))
    assert (answer.status, answer.code, answer.category) == (S.FAILED, code, category)
    assert answer.retry_after_ms == (7_000 if mode == "busy" else None)
    assert len(bad.calls) == 2
    assert bad.methods.count("GET") == 0


async def test_an_operator_may_say_that_a_refusal_is_one(calling: McpAdapter, bad: Hostile) -> None:
    definition = (await offered(profile(bad.port)))["act"]
    sure = registered(definition, "act", is_error_means=ErrorMeaning.FAILED)
    assert (await run(calling, sure, effect("there/act", mode="refused"))).status is S.FAILED
    assert (await run(calling, sure, effect("there/act", mode="broken"))).status is S.AMBIGUOUS


@pytest.mark.requirement("T11")
async def test_what_goes_along_is_the_operators_and_the_keys_place_is_the_registrys(
    calling: McpAdapter, bad: Hostile
) -> None:
    keyed = {"effect_class": EffectClass.KEYED, "key_placement": KeyPlacement.HEADER, "key_name": "Idempotency-Key"}
    tool = registered((await offered(profile(bad.port)))["act"], "act", **keyed)
    for _ in range(2):
        assert (await run(calling, tool, effect("there/act"))).status is S.SUCCEEDED
    heads = [head for head, method in zip(bad.heads, bad.methods, strict=True) if method == "tools/call"]
    assert [head["authorization"] for head in heads] == ["Bearer of-the-operator"] * 2
    assert len({head["idempotency-key"] for head in heads}) == 2
    assert {(head["mcp-session-id"], head["mcp-protocol-version"]) for head in heads} == {(SESSION, "2025-11-25")}
    await calling.close()
    assert bad.methods[-1] == "DELETE"


@pytest.mark.requirement("T9")
async def test_a_notice_in_the_stream_of_an_answer_makes_us_look_again(calling: McpAdapter, bad: Hostile) -> None:
    tool = registered((await offered(profile(bad.port)))["act"], "act")
    told = Told()
    calling.watch(told)
    assert (await run(calling, tool, effect("there/act", mode="event"))).status is S.SUCCEEDED
    await eventually(lambda: len({hashes["act"] for _, hashes, _ in told.heard}) == 2)
    with pytest.raises(NotReady, match="TOOL_CHANGED"):
        await calling.ready(effect("there/act"), tool)


async def test_a_session_that_the_server_forgot_is_opened_anew(bad: Hostile, tmp_path: Path) -> None:
    adapter = McpAdapter({"there": profile(bad.port)}, tool_settings(tmp_path, definitions_max_age_ms=0))
    tool = registered((await offered(profile(bad.port)))["act"], "act")
    assert (await run(adapter, tool, effect("there/act"))).status is S.SUCCEEDED
    bad.lost_session = True
    with pytest.raises(NotReady, match="SERVER_LIST_FAILED"):
        await adapter.ready(effect("there/act"), tool)
    for _ in range(400):
        try:
            answer = await run(adapter, tool, effect("there/act"))
            break
        except NotReady:
            await asyncio.sleep(0.01)
    assert answer.status is S.SUCCEEDED
    assert bad.methods.count("initialize") >= 2
    await adapter.close()


@pytest.mark.requirement("T12")
@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"private": False}, "private"),
        ({"host": "169.254.169.254"}, "link-local"),
        ({"host": "8.8.8.8"}, "without TLS"),
    ],
)
async def test_a_server_that_may_not_be_called_is_not(bad: Hostile, given: dict[str, Any], why: str) -> None:
    with pytest.raises(NotReady, match=why):
        await WarmServer(profile(bad.port, **given), LIMIT, 5_000).connected()
    assert bad.heads == []


@pytest.mark.requirement("F5")
async def test_a_header_of_the_operator_does_not_take_the_place_of_the_key(bad: Hostile, tmp_path: Path) -> None:
    headers = {"Idempotency-Key": "always the same"}
    adapter = McpAdapter({"there": profile(bad.port, headers=headers)}, tool_settings(tmp_path))
    keyed = {"effect_class": EffectClass.KEYED, "key_placement": KeyPlacement.HEADER, "key_name": "idempotency-key"}
    tool = registered((await offered(profile(bad.port)))["act"], "act", **keyed)
    with pytest.raises(NotReady, match="KEY_NOT_PLACEABLE"):
        await adapter.ready(effect("there/act"), tool)
    await adapter.close()


@pytest.mark.requirement("T24")
async def test_a_header_that_cannot_be_sent_is_not_told(bad: Hostile) -> None:
    broken = profile(bad.port, headers={"Authorization": "Bearer s3cr3t-of-the-crm "})
    with pytest.raises(NotReady, match="headers cannot be sent") as caught:
        await WarmServer(broken, LIMIT, 5_000).connected()
    assert "s3cr3t" not in str(caught.value)


# -- TLS


def certificate(folder: Path) -> tuple[str, ssl.SSLContext]:
    """A certificate for localhost that only its own file vouches for, and a server's side of TLS with it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.2"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file, secret = folder / "cert.pem", folder / "key.pem"
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = serialization.PrivateFormat.PKCS8
    secret.write_bytes(key.private_bytes(serialization.Encoding.PEM, private, serialization.NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, secret)
    return str(file), context


async def test_over_tls_the_certificate_must_be_the_servers(tmp_path: Path) -> None:
    ca, context = certificate(tmp_path)
    async with hostile(context) as one:
        assert await offered(profile(one.port, host="localhost", tls=True, ca=ca))
        seen = len(one.heads)
        for wrong in ({"host": "localhost"}, {"host": "127.0.0.1", "ca": ca}):
            with pytest.raises(NotReady, match="certificate"):
                await WarmServer(profile(one.port, tls=True, **wrong), LIMIT, 5_000).connected()
        assert len(one.heads) == seen


@pytest.mark.requirement("X20")
@pytest.mark.parametrize("content", [None, "no certificate"])
async def test_a_file_of_certificates_that_is_none_makes_its_own_server_unusable_only(
    bad: Hostile, tmp_path: Path, content: str | None
) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    for _ in range(2):
        with pytest.raises(NotReady, match=r"SERVER_NOT_STARTED.*`ca`|SERVER_DOWN"):
            await WarmServer(profile(bad.port, tls=True, ca=str(file)), LIMIT, 5_000).connected()
