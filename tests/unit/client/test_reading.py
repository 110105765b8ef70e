"""Every field of an answer reaches the caller: changing any of them changes the deed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor as Field

from libs.client.errors import Category, NotSucceeded
from libs.client.reading import read_deed
from libs.client.results import State
from libs.contracts.proto.deedbook.status.v1 import status_pb2 as pb
from libs.governance.remedies import REMEDIES

NOW_S = 1_800_000_000


def fill(message: Any, number: int) -> None:
    """Give every field, at every depth, a value that depends on the number."""
    for field in message.DESCRIPTOR.fields:
        if field.message_type and field.message_type.full_name == "google.protobuf.Timestamp":
            getattr(message, field.name).FromMicroseconds(NOW_S * 1_000_000 + number)
        elif field.message_type:
            found = getattr(message, field.name)
            fill(found.add() if field.is_repeated else found, number)
        elif field.is_repeated:
            getattr(message, field.name).append(value(field, number))
        else:
            setattr(message, field.name, value(field, number))


def value(field: Any, number: int) -> Any:
    if field.type == Field.TYPE_STRING:
        return f"{field.name}-{number}"
    if field.type == Field.TYPE_BOOL:
        return number % 2 == 0
    return 1 + number % 2 if field.type == Field.TYPE_ENUM else number


def leaves(message: Any) -> Iterator[tuple[str, Any, Any]]:
    """(path, message, field) of each field that is no message."""
    for field in message.DESCRIPTOR.fields:
        if field.message_type is None or field.message_type.full_name == "google.protobuf.Timestamp":
            yield f"{message.DESCRIPTOR.name}.{field.name}", message, field
        else:
            found = getattr(message, field.name)
            yield from leaves(found[0] if field.is_repeated else found)


def filled(number: int = 1) -> pb.Intent:
    wire = pb.Intent()
    fill(wire, number)
    return wire


@pytest.mark.parametrize("path", [path for path, _, _ in leaves(filled())])
def test_no_field_is_lost(path: str) -> None:
    wire = filled()
    before = read_deed(wire)
    found, field = next((message, field) for at, message, field in leaves(wire) if at == path)
    if field.message_type:
        getattr(found, field.name).FromMicroseconds(5)
    elif field.is_repeated:
        getattr(found, field.name).append(value(field, 2))
    else:
        setattr(found, field.name, value(field, 2))
    assert read_deed(wire) != before


def test_moments_are_aware_and_what_is_unset_is_none() -> None:
    deed = read_deed(filled(7))
    assert deed.created_at == datetime(2027, 1, 15, 8, 0, 0, 7, tzinfo=UTC)
    empty = read_deed(pb.Intent(state=pb.STATE_RUNNING))
    assert (empty.created_at, empty.waiting, empty.money, empty.doubt, empty.category) == (None,) * 5
    assert not empty.ended and not empty.waits_for_human
    doubt = read_deed(pb.Intent(doubt=pb.Doubt(attempt=1))).doubt
    assert doubt and doubt.applied is None


def test_what_a_newer_server_says_can_be_read() -> None:
    deed = read_deed(pb.Intent(state=99, error_category=99))  # type: ignore[arg-type]
    assert (deed.state, deed.category) == (State.PENDING, None)


def test_an_end_that_is_no_success_is_raised_when_asked_for() -> None:
    wire = pb.Intent(state=pb.STATE_BLOCKED, code="FRESHNESS_STALE", reason="2 h old")
    wire.error_category = pb.ERROR_CATEGORY_POLICY
    wire.end_time.FromSeconds(NOW_S)
    with pytest.raises(NotSucceeded) as raised:
        read_deed(wire).succeeded_or_raise()
    error = raised.value
    assert (error.code, error.reason, error.category) == ("FRESHNESS_STALE", "2 h old", Category.POLICY)
    assert error.remedy.startswith("Read the source again")


@pytest.mark.parametrize("code", ["CONNECTION_LOST", "TOOL_ERROR", "CANCELLED", "EXPIRED", "APPROVAL_WITHDRAWN"])
def test_what_may_have_happened_is_never_advised_to_be_done_again(code: str) -> None:
    """A tool that was lost in mid-call, say: the same code may end a deed that was provably not sent."""
    doubt = read_deed(pb.Intent(state=pb.STATE_IN_DOUBT, code=code))
    assert doubt.remedy == REMEDIES["IN_DOUBT"]
    waiting = read_deed(pb.Intent(state=pb.STATE_RUNNING, code=code))  # for its next attempt
    assert (waiting.remedy, NotSucceeded(waiting).remedy) == ("", "Wait for its end: it may still happen.")
    ended = pb.Intent(state=pb.STATE_FAILED, code=code)
    ended.end_time.FromSeconds(NOW_S)
    assert read_deed(ended).remedy == REMEDIES[code]
    with pytest.raises(NotSucceeded) as raised:
        doubt.succeeded_or_raise()
    assert raised.value.remedy == REMEDIES["IN_DOUBT"]


def test_a_read_that_failed_for_good_is_nothing_to_resolve() -> None:
    ended = pb.Intent(state=pb.STATE_FAILED, code="TIMEOUT")
    ended.end_time.FromSeconds(NOW_S)
    assert read_deed(ended).remedy.startswith("No answer came in time. Submit again under a new idempotency key")
