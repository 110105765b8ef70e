"""What is not written: bodies, envelopes and topics that are not what their types say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from libs.ledger.codec import CodecError, encode_event, encode_message
from tests.unit.contracts.given import ENVELOPE, FAILED, PRINCIPAL, VOTE


@dataclass
class Lookalike:
    attempt: int = 1


@pytest.mark.parametrize(
    "change",
    [
        {"attempt": 2**31},
        {"attempt": 1.5},
        {"attempt": None},
        {"duration_ms": 2**63},
        {"duration_ms": "12"},
        {"reason": b"bytes"},
        {"reason": None},
        {"reason": "\ud800"},
        {"category": "NO_SUCH"},
        {"category": ["TRANSIENT"]},
    ],
    ids=str,
)
def test_a_body_that_is_not_what_its_type_says_is_not_written(change: dict[str, Any]) -> None:
    with pytest.raises(CodecError) as caught:
        encode_event(ENVELOPE, msgspec.structs.replace(FAILED, **change))
    assert caught.value.code == "BAD_VALUE"


@pytest.mark.parametrize(
    "change",
    [
        {"event_id": b"short"},
        {"event_id": "0123456789abcdef"},
        {"prev_hash": bytes(33)},
        {"cause": None},
        {"actor": Lookalike()},
    ],
    ids=str,
)
def test_an_envelope_that_is_not_what_its_type_says_is_not_written(change: dict[str, Any]) -> None:
    with pytest.raises(CodecError) as caught:
        encode_event(msgspec.structs.replace(ENVELOPE, **change), FAILED)
    assert caught.value.code == "BAD_VALUE"


def test_lists_and_texts_do_not_pass_for_arrays() -> None:
    for accounts in (["main"], "main", None):
        principal = msgspec.structs.replace(PRINCIPAL, accounts=accounts)
        with pytest.raises(CodecError) as caught:
            encode_message(msgspec.structs.replace(VOTE, principal=principal))
        assert caught.value.code == "BAD_VALUE"
