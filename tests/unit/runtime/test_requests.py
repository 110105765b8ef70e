"""What is not exactly right in a request is refused, and the field is named."""

from __future__ import annotations

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from libs.contracts.events import CostClass, EffectClass, Vote
from libs.contracts.proto.deedbook.approval.v1 import approval_pb2
from libs.contracts.proto.deedbook.control.v1 import control_pb2, registry_pb2
from libs.contracts.proto.deedbook.intake.v1 import intake_pb2
from libs.runtime import requests
from libs.runtime.rpc import BadRequest

ID = "6f1f5c3e-9d0b-5a4f-8c27-d1e0b4a3962d"


@given(st.binary(min_size=16, max_size=16))
def test_ids_come_back_as_they_went(raw: bytes) -> None:
    assert requests.read_id(requests.show_id(raw), "id") == raw


@pytest.mark.parametrize(
    "wrong", ["", "x", ID[:-1], ID + "0", ID.replace("-", ""), "{" + ID + "}", ID.replace("6", "g")]
)
def test_what_is_no_uuid_is_refused(wrong: str) -> None:
    with pytest.raises(BadRequest, match="intent_id"):
        requests.read_id(wrong, "intent_id")


@pytest.mark.parametrize("wrong", ["", "ab", "g" * 64, "A" * 64, "0" * 65])
def test_what_is_no_digest_is_refused(wrong: str) -> None:
    with pytest.raises(BadRequest, match="action_digest"):
        requests.read_digest(wrong, "action_digest")


@given(st.integers(0, 253_402_300_799_999_999))
def test_moments_come_back_as_they_went(micros: int) -> None:
    assert requests.read_micros(requests.show_micros(micros), "at") == micros


@pytest.mark.parametrize(("seconds", "nanos"), [(-1, 0), (253_402_300_800, 0), (0, -1), (0, 1_000_000_000)])
def test_impossible_moments_are_refused(seconds: int, nanos: int) -> None:
    with pytest.raises(BadRequest, match="expire_time"):
        requests.read_micros(Timestamp(seconds=seconds, nanos=nanos), "expire_time")


@pytest.mark.parametrize("wrong", ["", "  ", "x" * 1001, "red\x1b[31m", "nul\x00", "del\x7f"])
def test_a_reason_is_readable_text(wrong: str) -> None:
    with pytest.raises(BadRequest, match="reason"):
        requests.read_reason(wrong)
    assert requests.read_reason("because\nof this") == "because\nof this"


def test_enums_are_read_by_name_and_zero_takes_the_default() -> None:
    assert requests.read_enum(approval_pb2.DECISION_DENY, approval_pb2.Decision, Vote, "decision") is Vote.DENY
    read = requests.read_enum(0, registry_pb2.EffectClass, EffectClass, "effect_class", EffectClass.OPAQUE)
    assert read is EffectClass.OPAQUE


@pytest.mark.parametrize("number", [0, 99, -1])
def test_an_unknown_number_is_refused(number: int) -> None:
    with pytest.raises(BadRequest, match="decision"):
        requests.read_enum(number, approval_pb2.Decision, Vote, "decision")


@pytest.mark.parametrize("member", list(CostClass))
def test_enums_are_shown_by_name(member: CostClass) -> None:
    name = requests.show_enum(member, intake_pb2.CostClass)
    assert requests.read_enum(intake_pb2.CostClass.Value(name), intake_pb2.CostClass, CostClass, "x") is member
    assert requests.show_enum(None, control_pb2.SwitchKind) == "SWITCH_KIND_UNSPECIFIED"


@pytest.mark.parametrize(("given", "size"), [(None, 50), (1, 1), (100, 100)])
def test_a_page_has_1_to_100_items(given: int | None, size: int) -> None:
    assert requests.read_page_size(given) == size


@pytest.mark.parametrize("wrong", [0, -1, 101])
def test_another_page_size_is_refused(wrong: int) -> None:
    with pytest.raises(BadRequest, match="page_size"):
        requests.read_page_size(wrong)
