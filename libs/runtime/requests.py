"""Reading requests: what is not exactly right is refused with a BadRequest that names the field. Ids and digests are
text outside (UUID, hex digits) and raw bytes inside; moments are `Timestamp` outside and microseconds inside."""

from __future__ import annotations

import base64
import re
import uuid
from enum import StrEnum
from typing import TypeVar

from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from google.protobuf.timestamp_pb2 import Timestamp

from libs.runtime.rpc import BadRequest

REASON_MAX = 1000
NAME_MAX = 200
PAGE_DEFAULT = 50
PAGE_MAX = 100
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_SECONDS_MAX = 253_402_300_799  # end of the year 9999

E = TypeVar("E", bound=StrEnum)


def read_id(value: str, field: str) -> bytes:
    """16 raw bytes of a UUID in its usual form."""
    if not _UUID.fullmatch(value):
        raise BadRequest(f"{field} is no UUID")
    return uuid.UUID(value).bytes


def show_id(raw: bytes) -> str:
    """A UUID in its usual form."""
    return str(uuid.UUID(bytes=raw))


def read_digest(value: str, field: str) -> bytes:
    """32 raw bytes of 64 lower-case hex digits."""
    if not _DIGEST.fullmatch(value):
        raise BadRequest(f"{field} is no digest of 64 hex digits")
    return bytes.fromhex(value)


def read_text(value: str, field: str, most: int = NAME_MAX, required: bool = True) -> str:
    """Text of bounded length without control characters (they could forge lines where people read)."""
    if required and not value.strip():
        raise BadRequest(f"{field} is missing")
    if len(value) > most:
        raise BadRequest(f"{field} is longer than {most} characters")
    if any((ord(character) < 32 and character not in "\n\t") or ord(character) == 127 for character in value):
        raise BadRequest(f"{field} has control characters")
    return value


def read_reason(value: str, field: str = "reason", required: bool = True) -> str:
    """Why somebody wants something."""
    return read_text(value, field, REASON_MAX, required)


def read_micros(value: Timestamp, field: str) -> int:
    """Microseconds since 1970 of a moment before the year 10000."""
    if not 0 <= value.seconds <= _SECONDS_MAX or not 0 <= value.nanos < 1_000_000_000:
        raise BadRequest(f"{field} is no moment between 1970 and 9999")
    return value.seconds * 1_000_000 + value.nanos // 1000


def show_micros(micros: int) -> Timestamp:
    """The moment as the wire has it."""
    return Timestamp(seconds=micros // 1_000_000, nanos=micros % 1_000_000 * 1000)


def read_enum(value: int, wire: EnumTypeWrapper, kind: type[E], field: str, default: E | None = None) -> E:
    """The member of `kind` that a number of the wire's enum stands for; 0 stands for the default, if there is one."""
    if value == 0 and default is not None:
        return default
    try:
        return kind(wire.Name(value).removeprefix(_prefix(wire)))
    except ValueError:
        raise BadRequest(f"{field} is missing or unknown") from None


def show_enum(member: StrEnum | None, wire: EnumTypeWrapper) -> str:
    """The name of a member on the wire; that of 'unspecified' for none and for one that the wire does not know."""
    name = _prefix(wire) + ("UNSPECIFIED" if member is None else member.value)
    return name if name in wire.keys() else _prefix(wire) + "UNSPECIFIED"  # noqa: SIM118 - no mapping


def read_page_size(given: int | None) -> int:
    """1 to 100, 50 if not given."""
    size = PAGE_DEFAULT if given is None else given
    if not 1 <= size <= PAGE_MAX:
        raise BadRequest(f"page_size must be 1 to {PAGE_MAX}")
    return size


def show_place(last: str) -> str:
    """A page token: where a page ended. It says nothing that the caller does not know, and gives no right."""
    return base64.urlsafe_b64encode(last.encode()).decode()


def read_place(token: str) -> str:
    """What `show_place` was given; '' for no token."""
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except ValueError:
        raise BadRequest("page_token is none that was given out") from None


def _prefix(wire: EnumTypeWrapper) -> str:
    """What all names of a wire enum begin with: its first name is <PREFIX>UNSPECIFIED."""
    return wire.keys()[0].removesuffix("UNSPECIFIED")
