"""Each way in which a record can be wrong, and the code it is refused with."""

from __future__ import annotations

import time
from hashlib import sha256

import msgspec
import pytest

from libs.contracts import events
from libs.contracts.avro import ITEMS_MAX, write_long, write_string
from libs.contracts.table import TYPES
from libs.ledger.codec import (
    RECORD_BYTES_MAX,
    Catalogue,
    CodecError,
    allowed,
    allowed_types,
    decode_event,
    decode_message,
    encode_event,
    encode_message,
    event_hash,
    frame,
)
from tests.unit.contracts.given import CANCEL, DIGEST, ENVELOPE, FAILED, ID, NOW, PRINCIPAL, VOTE

EVENT = encode_event(ENVELOPE, FAILED)
COMMAND = encode_message(VOTE)
IDS = {row.name: row.id for row in TYPES}


def code_of(value: bytes, topic: str) -> str:
    read = decode_event if topic.startswith("ledger.") else decode_message
    with pytest.raises(CodecError) as caught:
        read(value, topic)
    return caught.value.code


def test_an_event_comes_back_with_its_topic_and_hash() -> None:
    fact = decode_event(EVENT, "ledger.execution")
    assert (fact.topic, fact.envelope, fact.body) == ("ledger.execution", ENVELOPE, FAILED)
    assert fact.hash == event_hash(EVENT) == sha256(EVENT).digest()


def test_a_message_comes_back() -> None:
    assert decode_message(COMMAND, "commands") == VOTE


def test_the_frame_of_an_event_is_read_without_the_rest() -> None:
    expected = IDS["deedbook.execution.ExecutionFailed"], 300, DIGEST
    assert frame(EVENT) == frame(EVENT[:39]) == expected


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (b"", "WRONG_MAGIC"),
        (b"\x01\0\0\0\0", "WRONG_MAGIC"),
        (b"\0\0\0", "TRUNCATED"),
        (b"\0\0\0\0\1", "TRUNCATED"),
        (b"\0\0\0\0\1\x80", "TRUNCATED"),
        (EVENT[:38], "TRUNCATED"),
        (b"\0\0\0\0\1" + b"\xff" * 30, "BAD_VALUE"),
    ],
)
def test_a_bad_frame_is_refused(value: bytes, code: str) -> None:
    with pytest.raises(CodecError) as caught:
        frame(value)
    assert caught.value.code == code


def test_every_shorter_record_is_refused() -> None:
    assert {code_of(EVENT[:size], "ledger.execution") for size in range(1, len(EVENT))} == {"TRUNCATED"}
    codes = {size: code_of(COMMAND[:size], "commands") for size in range(1, len(COMMAND))}
    cut_off_arrays = {size for size, code in codes.items() if code == "BAD_VALUE"}  # fewer bytes than items announced
    assert set(codes.values()) == {"TRUNCATED", "BAD_VALUE"}
    assert cut_off_arrays == {COMMAND.index(ACCOUNTS) + 1, COMMAND.index(ACCOUNTS) + len(ACCOUNTS) + 1}


def test_a_byte_after_the_end_is_refused() -> None:
    assert code_of(EVENT + b"\0", "ledger.execution") == "TRAILING_BYTES"
    assert code_of(COMMAND + b"\0", "commands") == "TRAILING_BYTES"


def test_a_wrong_magic_byte_is_refused() -> None:
    assert code_of(b"\x01" + EVENT[1:], "ledger.execution") == "WRONG_MAGIC"
    assert code_of(b"", "commands") == "WRONG_MAGIC"


def test_an_id_that_is_not_pinned_is_refused() -> None:
    assert code_of(b"\0\xff\xff\xff\xff" + EVENT[5:], "ledger.execution") == "UNKNOWN_SCHEMA"


def test_an_id_of_another_topic_is_refused() -> None:
    assert code_of(EVENT, "ledger.approval") == "UNKNOWN_SCHEMA"
    assert code_of(EVENT, "commands") == "UNKNOWN_SCHEMA"
    assert code_of(COMMAND, "ledger.approval") == "UNKNOWN_SCHEMA"
    assert code_of(COMMAND, "intents") == "UNKNOWN_SCHEMA"
    assert code_of(EVENT, "somewhere else") == "UNKNOWN_SCHEMA"


def test_a_record_of_the_same_shape_but_another_id_is_not_taken_for_it() -> None:
    cancel = encode_message(CANCEL)
    withdraw = cancel[:1] + IDS["deedbook.commands.WithdrawApproval"].to_bytes(4) + cancel[5:]
    assert type(decode_message(withdraw, "commands")) is events.WithdrawApproval
    assert type(decode_message(cancel, "commands")) is events.Cancel


def test_records_over_the_limit_are_refused_on_both_sides() -> None:
    long = msgspec.structs.replace(FAILED, reason="x" * RECORD_BYTES_MAX)
    with pytest.raises(CodecError) as caught:
        encode_event(ENVELOPE, long)
    assert caught.value.code == "OVERSIZE"
    assert code_of(EVENT + b"x" * RECORD_BYTES_MAX, "ledger.execution") == "OVERSIZE"
    value = Catalogue(size_max=2 * RECORD_BYTES_MAX).encode_event(ENVELOPE, long)
    assert code_of(value, "ledger.execution") == "OVERSIZE"


def replaced(value: bytes, old: bytes, new: bytes) -> bytes:
    assert value.count(old) == 1
    return value.replace(old, new)


ACCOUNTS = b"\x02" + write_string("main") + b"\x00"  # one block of one account, and the end
REASON = write_string("looks right")


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(COMMAND[:-33] + b"\x04" + COMMAND[-32:], id="enum index beyond the symbols"),
        pytest.param(COMMAND[:-33] + b"\x01" + COMMAND[-32:], id="negative enum index"),
        pytest.param(COMMAND[:-33] + b"\x80\x00" + COMMAND[-32:], id="padded enum index"),
        pytest.param(replaced(COMMAND, REASON, b"\x04\xc3\x28"), id="not UTF-8"),
        pytest.param(replaced(COMMAND, REASON, b"\x06\xed\xa0\x80"), id="half a surrogate pair"),
        pytest.param(replaced(COMMAND, REASON, b"\x01"), id="negative length"),
        pytest.param(replaced(COMMAND, REASON, b"\x96\x00" + REASON[1:]), id="padded length"),
        pytest.param(replaced(COMMAND, REASON, b"\xff" * 10 + b"\x01"), id="length of more than 64 bits"),
        pytest.param(replaced(COMMAND, REASON, b"\xff" * 9 + b"\x7f"), id="length of 70 bits"),
        pytest.param(replaced(COMMAND, ACCOUNTS, write_long(2**40)), id="more items than bytes"),
        pytest.param(replaced(COMMAND, ACCOUNTS, write_long(-(2**40)) + b"\x00"), id="more items than bytes, sized"),
        pytest.param(replaced(COMMAND, ACCOUNTS, b"\x01\x08" + ACCOUNTS[1:]), id="block smaller than it says"),
        pytest.param(replaced(COMMAND, ACCOUNTS, b"\x01\x0c" + ACCOUNTS[1:]), id="block larger than it says"),
        pytest.param(replaced(COMMAND, ACCOUNTS, b"\x01\x01" + ACCOUNTS[1:]), id="block of negative size"),
    ],
)
def test_a_value_outside_of_its_type_is_refused(value: bytes) -> None:
    assert code_of(value, "commands") == "BAD_VALUE"


@pytest.mark.parametrize(
    "blocks",
    [
        pytest.param(b"\x01\x0a" + ACCOUNTS[1:], id="with its size"),
        pytest.param(b"\x02\x08main\x02\x04eu\x00", id="two blocks"),
        pytest.param(b"\x04\x08main\x04eu\x00", id="one block"),
    ],
)
def test_blocks_as_other_libraries_write_them_are_read(blocks: bytes) -> None:
    vote = decode_message(replaced(COMMAND, ACCOUNTS, blocks), "commands")
    assert vote.principal.accounts in (("main",), ("main", "eu"))


def test_more_items_than_allowed_are_refused_on_both_sides() -> None:
    many = msgspec.structs.replace(VOTE, principal=msgspec.structs.replace(PRINCIPAL, accounts=("",) * (ITEMS_MAX + 1)))
    with pytest.raises(CodecError) as caught:
        encode_message(many)
    assert caught.value.code == "OVERSIZE"
    one_block = write_long(ITEMS_MAX + 1) + bytes(ITEMS_MAX + 1) + b"\x00"
    two_blocks = (write_long(ITEMS_MAX // 2 + 1) + bytes(ITEMS_MAX // 2 + 1)) * 2 + b"\x00"
    for blocks in (one_block, two_blocks):
        assert code_of(replaced(COMMAND, ACCOUNTS, blocks), "commands") == "BAD_VALUE"


def test_a_nullable_field_has_two_branches() -> None:
    resolve = events.Resolve(
        command_id=ID, intent_id=ID, principal=PRINCIPAL, reason="", issued_at=NOW, applied=True, evidence="seen"
    )
    value = encode_message(resolve)
    assert value.endswith(b"\x01\x00\x08seen")
    assert code_of(value[:-6] + b"\x04\x08seen", "commands") == "BAD_VALUE"
    assert code_of(value[:-7] + b"\x02\x00\x08seen", "commands") == "BAD_VALUE"
    assert decode_message(value[:-6] + b"\x02\x06\x08seen", "commands").cost_micros == 3


def test_an_int_of_more_than_32_bits_is_refused() -> None:
    at = EVENT.index(write_string("TOOL_ERROR")) - 1
    assert EVENT[at : at + 1] == write_long(1)
    assert code_of(EVENT[:at] + write_long(2**31) + EVENT[at + 1 :], "ledger.execution") == "BAD_VALUE"
    lowest = EVENT[:at] + write_long(-(2**31)) + EVENT[at + 1 :]
    assert decode_event(lowest, "ledger.execution").body.attempt == -(2**31)


def test_a_header_that_comes_twice_is_refused() -> None:
    letter = events.DeadLetter(
        service="intake",
        code="",
        reason="",
        topic="intents",
        partition=0,
        offset=0,
        timestamp_at=NOW,
        value=b"",
        headers={"a": b"1"},
    )
    value = encode_message(letter)
    assert decode_message(value, "dead.intake") == letter
    twice = value[:-6] + b"\x04" + value[-5:-1] * 2 + b"\x00"
    assert code_of(twice, "dead.intake") == "BAD_VALUE"


def test_events_and_messages_are_not_mixed_up() -> None:
    with pytest.raises(CodecError) as caught:
        encode_event(ENVELOPE, VOTE)
    assert caught.value.code == "UNKNOWN_SCHEMA"
    for no_message in (FAILED, ENVELOPE, None):
        with pytest.raises(CodecError) as caught:
            encode_message(no_message)
        assert caught.value.code == "UNKNOWN_SCHEMA"


def test_a_topic_carries_its_own_types_and_parking_events() -> None:
    names = {kind.__name__ for kind in allowed_types("ledger.outcome")}
    assert names == {"OutcomeRecorded", "OutcomeAmended", "CommandRejected", "KeyParked", "KeyUnparked"}
    assert len(allowed("ledger.outcome")) == 5
    assert allowed("intents") == {IDS["deedbook.intents.Intent"]}
    assert allowed("somewhere else") == frozenset()


def test_the_largest_hostile_record_is_read_in_bounded_time() -> None:
    head = COMMAND[: COMMAND.index(ACCOUNTS)]
    items = write_long(ITEMS_MAX) + write_string("x" * 100) * ITEMS_MAX
    began = time.perf_counter()
    assert code_of(head + items, "commands") == "TRUNCATED"
    assert time.perf_counter() - began < 1
