from collections.abc import AsyncIterator

import grpc.aio

from libs.contracts.proto.deedbook.approval.v1 import approval_pb2 as pb

class ApprovalServiceStub:
    def __init__(self, channel: grpc.aio.Channel) -> None: ...
    Vote: grpc.aio.UnaryUnaryMultiCallable[pb.VoteRequest, pb.VoteResponse]
    Withdraw: grpc.aio.UnaryUnaryMultiCallable[pb.WithdrawRequest, pb.WithdrawResponse]

class ApprovalServiceServicer:
    async def Vote(self, request: pb.VoteRequest, context: grpc.aio.ServicerContext[pb.VoteRequest, pb.VoteResponse]) -> pb.VoteResponse: ...
    async def Withdraw(self, request: pb.WithdrawRequest, context: grpc.aio.ServicerContext[pb.WithdrawRequest, pb.WithdrawResponse]) -> pb.WithdrawResponse: ...

def add_ApprovalServiceServicer_to_server(servicer: ApprovalServiceServicer, server: grpc.aio.Server) -> None: ...
