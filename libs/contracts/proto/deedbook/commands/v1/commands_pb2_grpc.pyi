from collections.abc import AsyncIterator

import grpc.aio

from libs.contracts.proto.deedbook.commands.v1 import commands_pb2 as pb

class CommandsServiceStub:
    def __init__(self, channel: grpc.aio.Channel) -> None: ...
    Cancel: grpc.aio.UnaryUnaryMultiCallable[pb.CancelRequest, pb.CancelResponse]
    Resolve: grpc.aio.UnaryUnaryMultiCallable[pb.ResolveRequest, pb.ResolveResponse]
    Unpark: grpc.aio.UnaryUnaryMultiCallable[pb.UnparkRequest, pb.UnparkResponse]

class CommandsServiceServicer:
    async def Cancel(self, request: pb.CancelRequest, context: grpc.aio.ServicerContext[pb.CancelRequest, pb.CancelResponse]) -> pb.CancelResponse: ...
    async def Resolve(self, request: pb.ResolveRequest, context: grpc.aio.ServicerContext[pb.ResolveRequest, pb.ResolveResponse]) -> pb.ResolveResponse: ...
    async def Unpark(self, request: pb.UnparkRequest, context: grpc.aio.ServicerContext[pb.UnparkRequest, pb.UnparkResponse]) -> pb.UnparkResponse: ...

def add_CommandsServiceServicer_to_server(servicer: CommandsServiceServicer, server: grpc.aio.Server) -> None: ...
