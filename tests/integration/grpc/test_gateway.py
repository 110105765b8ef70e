"""The gateway as a process of its own, on a real Kafka: what it answers for is on the log (A1, A3, K7)."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from aiokafka import TopicPartition
from google.protobuf.timestamp_pb2 import Timestamp

from libs.contracts import events
from libs.contracts.proto.deedbook.commands.v1 import commands_pb2, commands_pb2_grpc
from libs.contracts.proto.deedbook.control.v1 import control_pb2, control_pb2_grpc
from libs.contracts.proto.deedbook.intake.v1 import intake_pb2, intake_pb2_grpc
from libs.governance.identity import intent_id
from libs.ledger.codec import decode_message
from libs.ledger.partition import lane_of
from libs.runtime import devkeys, kafka
from libs.runtime.requests import read_id
from libs.runtime.settings import KafkaSettings, load
from libs.stack.stack import Stack

pytestmark = [
    pytest.mark.integration,
    pytest.mark.requirement("A1"),
    pytest.mark.requirement("A3"),
    pytest.mark.requirement("K7"),
]
WAIT_S = 30.0
AGENT = devkeys.Who("agent-1", "acme", "MACHINE", ("a1",))
OPERATOR = devkeys.Who("olga", "acme", "HUMAN", (), ("platform",))


class Gateway:
    """A gateway process and a channel to it."""

    def __init__(self, process: asyncio.subprocess.Process, ports: dict[str, int], issuer: Path) -> None:
        self.process, self.ports, self.issuer = process, ports, issuer
        self.channel = grpc.aio.insecure_channel(f"127.0.0.1:{ports['grpc_port']}")

    def bearer(self, who: devkeys.Who) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {devkeys.mint(self.issuer, who)}"),)

    async def submit(self, key: str, who: devkeys.Who = AGENT, **given: Any) -> intake_pb2.SubmitResponse:
        stub = intake_pb2_grpc.IntakeServiceStub(self.channel)
        expire_time = Timestamp(seconds=int(time.time()) + 600)
        usual: dict[str, Any] = {
            "idempotency_key": key,
            "tool": "git/git_log",
            "arguments": "{}",
            "expire_time": expire_time,
        }
        request = intake_pb2.SubmitRequest(intent=intake_pb2.Intent(**(usual | given)))
        answer: intake_pb2.SubmitResponse = await stub.Submit(request, metadata=self.bearer(who), timeout=WAIT_S)
        return answer

    async def ready(self) -> str:
        """What /ready says."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.ports["http_port"])
        writer.write(b"GET /ready HTTP/1.1\r\nHost: localhost\r\n\r\n")
        said = (await reader.read()).decode()
        writer.close()
        return said.rpartition("\r\n\r\n")[2].strip()

    async def until_ready(self) -> None:
        async with asyncio.timeout(WAIT_S):
            while await self.ready() != "ok":  # noqa: ASYNC110 - it is another process
                await asyncio.sleep(0.05)


async def ports_of(process: asyncio.subprocess.Process) -> dict[str, int]:
    """Read the log until the gateway says where it serves."""
    assert process.stderr is not None
    found: dict[str, int] = {}
    async with asyncio.timeout(WAIT_S):
        while "grpc_port" not in found:
            line = await process.stderr.readline()
            assert line, "the gateway ended"
            said = json.loads(line)
            found |= {name: said[name] for name in ("http_port", "grpc_port") if name in said}
    return found


@pytest.fixture
async def gateway(log: Stack, issuer: Path) -> AsyncIterator[Gateway]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DEED_")}
    given = {
        **kept,
        **devkeys.variables(issuer),
        "DEED_KAFKA_BOOTSTRAP": log.kafka.bootstrap,
        "DEED_SEND_TIMEOUT_MS": "2000",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.gateway", env=given, stderr=asyncio.subprocess.PIPE
    )
    made = Gateway(process, await ports_of(process), issuer)
    drained = asyncio.create_task(process.stderr.read())  # type: ignore[union-attr]
    await made.until_ready()
    yield made
    await made.channel.close(None)
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), WAIT_S) == 0
    await drained


async def record_at(log: Stack, topic: str, partition: int, offset: int | None = None) -> Any:
    """One record; the last one if no offset is given."""
    settings = load(KafkaSettings, kafka_bootstrap=log.kafka.bootstrap)
    consumer = kafka.consumer(settings, "test")
    place = TopicPartition(topic, partition)
    await kafka.start(consumer, settings)
    try:
        consumer.assign([place])
        if offset is None:
            offset = (await consumer.end_offsets([place]))[place] - 1
        consumer.seek(place, offset)
        return await asyncio.wait_for(consumer.getone(place), WAIT_S)
    finally:
        await kafka.stop(consumer)


async def test_a_submission_is_on_the_log_when_it_is_answered(log: Stack, gateway: Gateway) -> None:
    answer = await gateway.submit("k1", account="a1")
    key = intent_id("acme", "k1")
    assert read_id(answer.intent_id, "id") == key
    assert answer.partition == lane_of(key, 8)
    record = await record_at(log, answer.topic, answer.partition, answer.offset)
    home = decode_message(record.value, "intake.home")
    assert record.key == key
    assert home.principal == events.Principal("acme", "agent-1", events.ActorKind.MACHINE, ("a1",), ())
    assert b"Bearer" not in record.value
    assert record.headers == ()


async def test_many_submissions_at_once_spread_over_all_lanes(log: Stack, gateway: Gateway) -> None:
    answers = await asyncio.gather(*(gateway.submit(f"many-{n}") for n in range(200)))
    assert {answer.partition for answer in answers} == set(range(8))
    assert len({(answer.partition, answer.offset) for answer in answers}) == 200


async def test_commands_and_changes_are_on_the_log(log: Stack, gateway: Gateway) -> None:
    cancel = commands_pb2.CancelRequest(intent_id="6f1f5c3e-9d0b-5a4f-8c27-d1e0b4a3962d", reason="late")
    stub = commands_pb2_grpc.CommandsServiceStub(gateway.channel)
    answer = await stub.Cancel(cancel, metadata=gateway.bearer(AGENT), timeout=WAIT_S)
    lane = lane_of(read_id(cancel.intent_id, "id"), 8)
    command = decode_message((await record_at(log, "commands", lane)).value, "commands")
    assert command.command_id == read_id(answer.command_id, "id")
    assert command.principal.subject == "agent-1"
    flip = control_pb2.FlipSwitchRequest(
        switch=control_pb2.Switch(kind=control_pb2.SWITCH_KIND_GLOBAL, stopped=True), reason="drill"
    )
    control = control_pb2_grpc.ControlServiceStub(gateway.channel)
    flipped = await control.FlipSwitch(flip, metadata=gateway.bearer(OPERATOR), timeout=WAIT_S)
    command = decode_message((await record_at(log, "control.commands", 0)).value, "control.commands")
    assert command.command_id == read_id(flipped.command_id, "id")
    shown = await control.GetConfig(control_pb2.GetConfigRequest(), metadata=gateway.bearer(AGENT), timeout=WAIT_S)
    assert shown.fresh
    assert shown.control_seq == 0


@pytest.mark.parametrize("service", ["Intake", "Commands", "Control"])
async def test_nobody_passes_without_a_token(gateway: Gateway, service: str) -> None:
    calls = {
        "Intake": (intake_pb2_grpc.IntakeServiceStub(gateway.channel).Submit, intake_pb2.SubmitRequest()),
        "Commands": (commands_pb2_grpc.CommandsServiceStub(gateway.channel).Unpark, commands_pb2.UnparkRequest()),
        "Control": (control_pb2_grpc.ControlServiceStub(gateway.channel).GetConfig, control_pb2.GetConfigRequest()),
    }
    method, request = calls[service]
    call: Any = method(request, timeout=WAIT_S)  # type: ignore[operator]
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call
    assert error.value.code() == grpc.StatusCode.UNAUTHENTICATED


async def test_a_log_that_is_away_is_said_in_time_and_found_again(log: Stack, gateway: Gateway) -> None:
    await gateway.submit("before")
    await asyncio.to_thread(log.kafka.kill)
    began = time.monotonic()
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await gateway.submit("during")
    assert error.value.code() == grpc.StatusCode.UNAVAILABLE
    assert time.monotonic() - began < 5
    assert await gateway.ready() != "ok"
    await asyncio.to_thread(log.kafka.start)
    await gateway.until_ready()
    again = await gateway.submit("during")
    assert read_id(again.intent_id, "id") == intent_id("acme", "during")


async def refused_start(given: dict[str, str]) -> tuple[int | None, str]:
    """Exit code and words of a gateway that does not start."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DEED_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.gateway", env={**kept, **given}, stderr=asyncio.subprocess.PIPE
    )
    _, said = await asyncio.wait_for(process.communicate(), WAIT_S)
    return process.returncode, said.decode()


async def test_it_does_not_start_with_another_number_of_lanes(log: Stack, issuer: Path) -> None:
    given = {**devkeys.variables(issuer), "DEED_KAFKA_BOOTSTRAP": log.kafka.bootstrap, "DEED_LANES": "16"}
    code, said = await refused_start(given)
    assert code == os.EX_UNAVAILABLE
    assert "gateway does not start: The topic intake.home has 8 partitions and 16 are needed (DEED_LANES)." in said


async def test_it_does_not_start_without_what_it_needs(issuer: Path) -> None:
    given = {**devkeys.variables(issuer), "DEED_KAFKA_BOOTSTRAP": "127.0.0.1:9", "DEED_KAFKA_TIMEOUT_MS": "500"}
    code, said = await refused_start(given)
    assert code == os.EX_UNAVAILABLE
    assert "gateway does not start: Kafka at DEED_KAFKA_BOOTSTRAP" in said
    for missing in ("DEED_JWKS", "DEED_JWT_ISSUER", "DEED_JWT_AUDIENCE", "DEED_KAFKA_BOOTSTRAP"):
        code, said = await refused_start({name: value for name, value in given.items() if name != missing})
        assert code == os.EX_CONFIG
        assert f"gateway does not start: {missing} is not set" in said
