"""What `sqlite_agent.py` does, without the SDK: the contracts in `proto/`, and what gRPC generates from them for any
language. What the SDK adds is what is written out here: waiting, going on after a lost connection, reading answers."""

import ast
import asyncio
import os
import sys
import time
import uuid
from pathlib import Path

import grpc
import grpc.aio
from google.protobuf.timestamp_pb2 import Timestamp

from libs.contracts.proto.deedbook.intake.v1 import intake_pb2 as intake
from libs.contracts.proto.deedbook.intake.v1.intake_pb2_grpc import IntakeServiceStub
from libs.contracts.proto.deedbook.status.v1 import status_pb2 as status
from libs.contracts.proto.deedbook.status.v1.status_pb2_grpc import StatusServiceStub

LOW = "SELECT id, item FROM stock WHERE in_stock < 10"
ORDER = "INSERT INTO orders (stock_id, amount) VALUES ({:d}, 100)"
CALL_S, WAIT_S, PAUSE_S = 10.0, 60.0, 0.05
AGAIN = (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.UNAVAILABLE)  # not decided yet; away for a moment


class Agent:
    """Two stubs, and a token that each call carries."""

    def __init__(self, gateway: grpc.aio.Channel, questions: grpc.aio.Channel) -> None:
        self.intake, self.status = IntakeServiceStub(gateway), StatusServiceStub(questions)

    async def propose(self, intent: intake.Intent) -> status.Intent:
        """The intent when it has ended. Raises ValueError when it was rejected, TimeoutError after a minute."""
        async with asyncio.timeout(WAIT_S):
            sent = await self.intake.Submit(
                intake.SubmitRequest(intent=intent), metadata=metadata(), timeout=CALL_S, wait_for_ready=True
            )
            await self._until_accepted(sent)
            return await self._until_ended(sent.intent_id)

    async def _until_accepted(self, sent: intake.SubmitResponse) -> None:
        """A rejection touches no intent, so the submission itself is asked about."""
        request = status.GetSubmissionRequest(
            submission_id=sent.submission_id, intent_id=sent.intent_id, content_digest=sent.content_digest
        )
        while True:
            try:
                found = (await self.status.GetSubmission(request, metadata=metadata(), timeout=CALL_S)).submission
                if found.state == status.SUBMISSION_STATE_REJECTED:
                    raise ValueError(f"{found.code}: {found.reason}. {found.remedy}")
                if found.state != status.SUBMISSION_STATE_PENDING:
                    return
            except grpc.aio.AioRpcError as error:
                if error.code() not in AGAIN:
                    raise
            await asyncio.sleep(PAUSE_S)

    async def _until_ended(self, intent_id: str) -> status.Intent:
        """A stream ends when the intent has ended. One that is cut is followed by another, from the last version."""
        last = status.Intent()
        while not last.HasField("end_time"):
            request = status.WatchRequest(intent_id=intent_id, after_version=last.version)
            try:
                async for answer in self.status.Watch(request, metadata=metadata()):
                    last = answer.intent
            except grpc.aio.AioRpcError as error:
                if error.code() not in AGAIN:
                    raise
                await asyncio.sleep(PAUSE_S)
        return last


async def main() -> None:
    async with (
        grpc.aio.insecure_channel(os.environ["DEED_GATEWAY"]) as gateway,
        grpc.aio.insecure_channel(os.environ["DEED_STATUS"]) as questions,
    ):
        agent, began = Agent(gateway, questions), moment(0)
        seen = await agent.propose(intent("read_query", "stock.read", LOW, str(uuid.uuid4())))
        if seen.state != status.STATE_SUCCEEDED:
            sys.exit(f"{seen.code}: {seen.reason}")
        for row in ast.literal_eval(seen.tries[-1].reason):
            order = intent("write_query", "stock.order", ORDER.format(row["id"]), f"order-{row['id']}-week-48")
            event_id = seen.timeline[-1].event_id
            order.evidence.add(kind=intake.EVIDENCE_KIND_LEDGER_EVENT, type=seen.intent_id, id=event_id)
            order.data_sources.add(name="stock", as_of_time=began)
            done = await agent.propose(order)
            state = status.State.Name(done.state).removeprefix("STATE_")
            said = done.tries[-1].reason if done.tries else f"{done.code} {done.reason}"
            sys.stdout.write(f"{row['item']}: {state}, {said}, cost {done.cost_micros / 1e6:.2f}\n")


def metadata() -> tuple[tuple[str, str], ...]:
    """Who calls. The file is read for each call, since tokens end."""
    return (("authorization", f"Bearer {Path(os.environ['DEED_TOKEN_FILE']).read_text().strip()}"),)


def intent(tool: str, capability: str, query: str, key: str) -> intake.Intent:
    """One action on the shop's database."""
    return intake.Intent(
        idempotency_key=key,
        tool=f"shop/{tool}",
        capability=capability,
        account="shop",
        arguments=f'{{"query": "{query}"}}',
        expire_time=moment(3600),
    )


def moment(seconds_from_now: int) -> Timestamp:
    return Timestamp(seconds=int(time.time()) + seconds_from_now)


if __name__ == "__main__":
    asyncio.run(main())
