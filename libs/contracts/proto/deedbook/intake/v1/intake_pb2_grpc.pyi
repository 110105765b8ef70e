from collections.abc import AsyncIterator

import grpc.aio

from libs.contracts.proto.deedbook.intake.v1 import intake_pb2 as pb

class IntakeServiceStub:
    def __init__(self, channel: grpc.aio.Channel) -> None: ...
    Submit: grpc.aio.UnaryUnaryMultiCallable[pb.SubmitRequest, pb.SubmitResponse]

class IntakeServiceServicer:
    async def Submit(self, request: pb.SubmitRequest, context: grpc.aio.ServicerContext[pb.SubmitRequest, pb.SubmitResponse]) -> pb.SubmitResponse: ...

def add_IntakeServiceServicer_to_server(servicer: IntakeServiceServicer, server: grpc.aio.Server) -> None: ...
