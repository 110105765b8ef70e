from collections.abc import AsyncIterator

import grpc.aio

from libs.contracts.proto.deedbook.status.v1 import status_pb2 as pb

class StatusServiceStub:
    def __init__(self, channel: grpc.aio.Channel) -> None: ...
    Get: grpc.aio.UnaryUnaryMultiCallable[pb.GetRequest, pb.GetResponse]
    List: grpc.aio.UnaryUnaryMultiCallable[pb.ListRequest, pb.ListResponse]
    Watch: grpc.aio.UnaryStreamMultiCallable[pb.WatchRequest, pb.WatchResponse]
    GetSubmission: grpc.aio.UnaryUnaryMultiCallable[pb.GetSubmissionRequest, pb.GetSubmissionResponse]

class StatusServiceServicer:
    async def Get(self, request: pb.GetRequest, context: grpc.aio.ServicerContext[pb.GetRequest, pb.GetResponse]) -> pb.GetResponse: ...
    async def List(self, request: pb.ListRequest, context: grpc.aio.ServicerContext[pb.ListRequest, pb.ListResponse]) -> pb.ListResponse: ...
    def Watch(self, request: pb.WatchRequest, context: grpc.aio.ServicerContext[pb.WatchRequest, pb.WatchResponse]) -> AsyncIterator[pb.WatchResponse]: ...
    async def GetSubmission(self, request: pb.GetSubmissionRequest, context: grpc.aio.ServicerContext[pb.GetSubmissionRequest, pb.GetSubmissionResponse]) -> pb.GetSubmissionResponse: ...

def add_StatusServiceServicer_to_server(servicer: StatusServiceServicer, server: grpc.aio.Server) -> None: ...
