"""Votes and commands reach the home lane of their intent, with the verified principal (A3; flow.md decision 16)."""

from __future__ import annotations

from typing import Any

import pytest

from libs.contracts import events
from libs.contracts.proto.deedbook.approval.v1 import approval_pb2
from libs.contracts.proto.deedbook.commands.v1 import commands_pb2
from libs.ledger.codec import decode_message
from libs.ledger.partition import lane_of
from libs.runtime.outbound import CommandLog
from libs.runtime.requests import read_id
from libs.runtime.rpc import Away, BadRequest, enter
from services.approval.handler import ApprovalHandler
from services.execution.handler import CommandsHandler
from tests.unit.gateway.fakes import AGENT, FakeLog

pytestmark = [pytest.mark.requirement("A3"), pytest.mark.requirement("E3")]

LANES = 8
ID = "6f1f5c3e-9d0b-5a4f-8c27-d1e0b4a3962d"
DIGEST = "ab" * 32


async def said(log: FakeLog, call: Any) -> tuple[Any, str]:
    """The one command that a call puts on the log, and the id that it answers."""
    enter(AGENT)
    answer = await call
    (record,) = log.sent
    assert record.topic == "commands"
    assert record.key == read_id(ID, "id")
    assert record.partition == lane_of(record.key, LANES)
    command = decode_message(record.value, "commands")
    assert command.principal == AGENT
    assert command.intent_id == record.key
    assert command.issued_at > 0
    assert read_id(answer.command_id, "command_id") == command.command_id
    return command, answer.command_id


@pytest.mark.parametrize(
    ("decision", "vote"),
    [(approval_pb2.DECISION_APPROVE, events.Vote.APPROVE), (approval_pb2.DECISION_DENY, events.Vote.DENY)],
)
async def test_a_vote_names_what_was_seen(decision: approval_pb2.Decision, vote: events.Vote) -> None:
    log = FakeLog()
    handler = ApprovalHandler(CommandLog(log, LANES))
    request = approval_pb2.VoteRequest(intent_id=ID, decision=decision, action_digest=DIGEST, reason="looks right")
    command, _ = await said(log, handler.Vote(request, None))
    assert isinstance(command, events.ApprovalVote)
    assert (command.vote, command.action_digest, command.reason) == (vote, bytes.fromhex(DIGEST), "looks right")


async def test_each_command_has_an_id_of_its_own() -> None:
    log = FakeLog()
    handler = CommandsHandler(CommandLog(log, LANES))
    enter(AGENT)
    answers = [await handler.Cancel(commands_pb2.CancelRequest(intent_id=ID), None) for _ in range(3)]
    assert len({answer.command_id for answer in answers}) == 3


async def test_withdraw_cancel_resolve_and_unpark_are_written() -> None:
    log = FakeLog()
    approval, commands = ApprovalHandler(CommandLog(log, LANES)), CommandsHandler(CommandLog(log, LANES))
    resolve = commands_pb2.ResolveRequest(
        intent_id=ID, applied=True, cost_micros=0, evidence="receipt 7", reason="asked the bank"
    )
    for call, kind in (
        (approval.Withdraw(approval_pb2.WithdrawRequest(intent_id=ID), None), events.WithdrawApproval),
        (commands.Cancel(commands_pb2.CancelRequest(intent_id=ID, reason="late"), None), events.Cancel),
        (commands.Resolve(resolve, None), events.Resolve),
        (
            commands.Unpark(commands_pb2.UnparkRequest(intent_id=ID, service="budget", reason="mended"), None),
            events.Unpark,
        ),
    ):
        log.sent.clear()
        command, _ = await said(log, call)
        assert isinstance(command, kind)
        if isinstance(command, events.Resolve):
            assert (command.applied, command.cost_micros, command.evidence) == (True, 0, "receipt 7")


async def test_an_unset_cost_stays_unset() -> None:
    log = FakeLog()
    request = commands_pb2.ResolveRequest(intent_id=ID, evidence="log of the tool", reason="asked")
    command, _ = await said(log, CommandsHandler(CommandLog(log, LANES)).Resolve(request, None))
    assert (command.applied, command.cost_micros) == (False, None)


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        ("Vote", approval_pb2.VoteRequest(intent_id="no", decision=approval_pb2.DECISION_DENY, action_digest=DIGEST)),
        ("Vote", approval_pb2.VoteRequest(intent_id=ID, action_digest=DIGEST)),
        ("Vote", approval_pb2.VoteRequest(intent_id=ID, decision=approval_pb2.DECISION_DENY, action_digest="")),
        (
            "Vote",
            approval_pb2.VoteRequest(
                intent_id=ID, decision=approval_pb2.DECISION_DENY, action_digest=DIGEST, reason="\x1b"
            ),
        ),
        ("Withdraw", approval_pb2.WithdrawRequest()),
        ("Cancel", commands_pb2.CancelRequest(intent_id=ID, reason="x" * 1001)),
        ("Resolve", commands_pb2.ResolveRequest(intent_id=ID, reason="r")),
        ("Resolve", commands_pb2.ResolveRequest(intent_id=ID, evidence="e")),
        ("Resolve", commands_pb2.ResolveRequest(intent_id=ID, evidence="e", reason="r", cost_micros=-1)),
        ("Unpark", commands_pb2.UnparkRequest(intent_id=ID, service="status", reason="r")),
        ("Unpark", commands_pb2.UnparkRequest(intent_id=ID, service="budget")),
    ],
)
async def test_a_malformed_command_is_refused_and_nothing_written(method: str, request_: Any) -> None:
    log = FakeLog()
    commands = CommandLog(log, LANES)
    handler: Any = ApprovalHandler(commands) if method in ("Vote", "Withdraw") else CommandsHandler(commands)
    enter(AGENT)
    with pytest.raises(BadRequest):
        await getattr(handler, method)(request_, None)
    assert log.sent == []


async def test_without_a_caller_nothing_is_done() -> None:
    log = FakeLog()
    with pytest.raises(LookupError):
        await CommandsHandler(CommandLog(log, LANES)).Cancel(commands_pb2.CancelRequest(intent_id=ID), None)
    assert log.sent == []


async def test_a_log_that_is_away_is_not_hidden() -> None:
    log = FakeLog(refusal=Away())
    enter(AGENT)
    with pytest.raises(Away):
        await CommandsHandler(CommandLog(log, LANES)).Cancel(commands_pb2.CancelRequest(intent_id=ID), None)
