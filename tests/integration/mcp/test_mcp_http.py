"""MCP over streamable HTTP is as certain as over stdio (F2, F3, F5, T11, T12, T16, T18, X6, X7)."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from examples.servers import SQLITE_LOCK, ensure
from libs.contracts.events import (
    AnswerStatus,
    EffectClass,
    ErrorMeaning,
    FailureCategory,
    KeyPlacement,
    SuccessRule,
    Transport,
)
from libs.stack.ports import Ports
from libs.testkit.tool_bench import Registered, effect, entry_of, eventually, tool_settings
from libs.testkit.tool_double import effects
from services.execution.adapters.definition import ToolDefinition
from services.execution.adapters.exchange import HttpProfile
from services.execution.adapters.mcp import McpAdapter
from services.execution.adapters.warm import WarmServer, discover
from services.execution.ports import Health, NotReady
from tests.integration.mcp.hostile_http import SESSION, Hostile, hostile

pytestmark = [pytest.mark.asyncio, pytest.mark.requirement("F2")]
LIMIT = 1 << 20
S, C = AnswerStatus, FailureCategory


def profile(port: int, **given: Any) -> HttpProfile:
    usual: dict[str, Any] = {"host": "127.0.0.1", "path": "/mcp", "tls": False, "private": True}
    return HttpProfile(name="there", port=port, **(usual | given))


def registered(definition: ToolDefinition, name: str, **given: Any) -> Registered:
    return Registered(f"there/{name}", entry_of("there", definition, **given), Transport.HTTP, "there")


async def offered(where: HttpProfile) -> dict[str, ToolDefinition]:
    return {definition.name: definition for definition in await discover(where, LIMIT, 10_000)}


# -- a real server, of the official SDK


class Double:
    """The tool double over HTTP, in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.journal = folder / "effects"
        self.port = Ports(folder / "ports.json").get("double")
        self.popen = self.start()

    def start(self) -> subprocess.Popen[bytes]:
        words = ["-m", "libs.testkit.tool_double", "--journal", str(self.journal), "--http", str(self.port)]
        return subprocess.Popen([sys.executable, *words])

    async def up(self) -> None:
        await eventually(lambda: listens(self.port), 60.0)

    def kill(self) -> None:
        self.popen.send_signal(signal.SIGKILL)
        self.popen.wait(10)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def double(tmp_path: Path) -> Iterator[Double]:
    one = Double(tmp_path)
    yield one
    one.kill()


@pytest_asyncio.fixture
async def adapter(double: Double, tmp_path: Path) -> AsyncIterator[McpAdapter]:
    await double.up()
    one = McpAdapter({"there": profile(double.port)}, tool_settings(tmp_path))
    yield one
    await one.close()


async def run(adapter: McpAdapter, tool: Registered, wanted: Any, allowed: bool = True) -> Any:
    await adapter.ready(wanted, tool)
    return await adapter.call(wanted, tool, lambda: allowed)


@pytest.mark.requirement("F3")
@pytest.mark.requirement("T18")
async def test_a_real_server_is_called_once_and_under_the_guard(adapter: McpAdapter, double: Double) -> None:
    tool = registered((await offered(profile(double.port)))["apply"], "apply", answer_cost_path="cost_micros")
    assert adapter.health()["there"]() is Health.PENDING
    first, refused = effect("there/apply"), effect("there/apply")
    answer = await run(adapter, tool, first)
    assert (answer.status, answer.cost_micros, answer.object_refs[0].type) == (S.SUCCEEDED, 7, "effect")
    held = await run(adapter, tool, refused, allowed=False)
    assert (held.status, held.code) == (S.NOT_SENT, "NOT_OWNER")
    many = [effect("there/apply", delay_ms=50) for _ in range(20)]
    assert {one.status for one in await asyncio.gather(*(run(adapter, tool, one) for one in many))} == {S.SUCCEEDED}
    assert sorted(effects(double.journal)) == sorted(one.key.hex() for one in (first, *many))
    assert adapter.health()["there"]() is Health.ACTIVE


@pytest.mark.requirement("X6")
async def test_a_server_that_dies_in_mid_call_leaves_it_in_doubt_and_is_found_again(
    adapter: McpAdapter, double: Double
) -> None:
    tool = registered((await offered(profile(double.port)))["apply"], "apply")
    wanted = effect("there/apply", delay_ms=30_000)
    await adapter.ready(wanted, tool)
    call = asyncio.create_task(adapter.call(wanted, tool, lambda: True))
    await eventually(lambda: effects(double.journal) == [wanted.key.hex()])
    double.kill()
    answer = await call
    assert (answer.status, answer.code) == (S.AMBIGUOUS, "CONNECTION_LOST")
    gone = await adapter.call(effect("there/apply"), tool, lambda: True)
    assert gone.status is S.NOT_SENT

    codes = set()
    for _ in range(200):
        try:
            await adapter.ready(effect("there/apply"), tool)
        except NotReady as error:
            codes.add(error.code)
        if adapter.health()["there"]() is Health.OFFLINE:
            break
        await asyncio.sleep(0.05)
    assert "SERVER_DOWN" in codes  # it is not asked at every turn
    assert adapter.health()["there"]() is Health.OFFLINE
    double.popen = double.start()
    await double.up()
    again = effect("there/apply")

    async def ready() -> bool:
        try:
            await adapter.ready(again, tool)
        except NotReady:
            return False
        return True

    for _ in range(400):
        if await ready():
            break
        await asyncio.sleep(0.05)
    assert (await adapter.call(again, tool, lambda: True)).status is S.SUCCEEDED
    assert adapter.health()["there"]() is Health.ACTIVE
    assert effects(double.journal).count(wanted.key.hex()) == 1


@pytest.fixture
def old(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """A server on the official SDK before its version 2, in an environment of its own: its port and its log."""
    port, log = Ports(tmp_path / "ports.json").get("old"), tmp_path / "old.log"
    words = [f"{ensure(SQLITE_LOCK)}/python", str(Path(__file__).with_name("old_http_server.py")), str(port)]
    with log.open("wb") as file:
        popen = subprocess.Popen(words, stderr=file)
    yield port, log
    popen.kill()
    popen.wait(10)


async def test_an_older_server_has_a_session_that_ends_with_us(old: tuple[int, Path], tmp_path: Path) -> None:
    port, log = old
    await eventually(lambda: listens(port), 60.0)
    one = McpAdapter({"there": profile(port)}, tool_settings(tmp_path))
    reading = {"effect_class": EffectClass.READ_ONLY, "success_rule": SuccessRule.ANSWER}
    tool = registered((await offered(profile(port)))["add"], "add", **reading)
    answer = await run(one, tool, effect("there/add", a=1, b=2))
    assert (answer.status, answer.summary) == (S.SUCCEEDED, "3")
    assert (await run(one, tool, effect("there/add", a="x", b=2))).code == "TOOL_ERROR"
    await one.close()
    assert b"Terminating session" in log.read_bytes()


# -- one that misbehaves


@pytest_asyncio.fixture
async def bad() -> AsyncIterator[Hostile]:
    async with hostile() as one:
        yield one


@pytest_asyncio.fixture
async def calling(bad: Hostile, tmp_path: Path) -> AsyncIterator[McpAdapter]:
    headers = {"Authorization": "Bearer of-the-operator"}
    one = McpAdapter(
        {"there": profile(bad.port, headers=headers)}, tool_settings(tmp_path, definitions_max_age_ms=60_000)
    )
    yield one
    await one.close()


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
    told: list[bytes] = []
    calling.watch(lambda profile, hashes: told.append(hashes["act"]))
    assert (await run(calling, tool, effect("there/act", mode="event"))).status is S.SUCCEEDED
    await eventually(lambda: len(set(told)) == 2)
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
