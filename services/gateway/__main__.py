"""The one door for people and agents over gRPC: intents, votes, commands, changes of what is in force. It decides
nothing and keeps nothing: it knows who calls, and puts what they say on the log."""

from __future__ import annotations

from libs.contracts.proto.deedbook.approval.v1 import approval_pb2_grpc
from libs.contracts.proto.deedbook.commands.v1 import commands_pb2_grpc
from libs.contracts.proto.deedbook.control.v1 import control_pb2_grpc
from libs.contracts.proto.deedbook.intake.v1 import intake_pb2_grpc
from libs.governance.limits import IntentLimits
from libs.runtime.authentication import Authenticator
from libs.runtime.control_tail import ControlTail
from libs.runtime.grpc_server import GrpcServer
from libs.runtime.keyset import KeySource
from libs.runtime.logs import logger
from libs.runtime.outbound import CommandLog, KafkaOutbound
from libs.runtime.process import Process, run
from libs.runtime.settings import AuthSettings, ControlSettings, GrpcSettings, KafkaSettings, load
from services.approval import handler as approval
from services.control import handler as control
from services.execution import handler as execution
from services.gateway.settings import GatewaySettings
from services.intake import handler as intake


async def main(process: Process) -> None:
    kafka, grpc, auth = load(KafkaSettings), load(GrpcSettings), load(AuthSettings)
    keys = KeySource(auth)
    tail = ControlTail(kafka, load(ControlSettings), process.metrics, f"{process.name}/control-tail")
    outbound = KafkaOutbound(kafka, f"{process.name}/front", load(GatewaySettings).send_timeout_ms)
    commands = CommandLog(outbound, kafka.lanes)
    server = GrpcServer(grpc, Authenticator(keys), process.metrics)
    server.add(
        intake.NAME,
        intake_pb2_grpc.add_IntakeServiceServicer_to_server,
        intake.IntakeHandler(outbound, kafka.lanes, tail, IntentLimits()),
    )
    server.add(
        approval.NAME, approval_pb2_grpc.add_ApprovalServiceServicer_to_server, approval.ApprovalHandler(commands)
    )
    server.add(
        execution.NAME, commands_pb2_grpc.add_CommandsServiceServicer_to_server, execution.CommandsHandler(commands)
    )
    server.add(
        control.NAME, control_pb2_grpc.add_ControlServiceServicer_to_server, control.ControlHandler(commands, tail)
    )
    parts = (keys, outbound, tail, server)
    process.ready = lambda: keys.readiness() or outbound.readiness() or tail.readiness()
    try:
        for part in parts:
            await part.start()
        logger(__name__).info("serving", grpc_port=server.port)
        await process.until_stopped()
    finally:
        for part in reversed(parts):
            await part.stop()


if __name__ == "__main__":
    run("gateway", main)
