"""What can be wrong with the bytes of a record. Each reason has a class and a stable code.

CodecError
    WrongMagic      WRONG_MAGIC     not in Confluent's wire format
    UnknownSchema   UNKNOWN_SCHEMA  an id that is not pinned, or not allowed on this topic
    Oversize        OVERSIZE        larger than the limit
    Truncated       TRUNCATED       ends too early
    TrailingBytes   TRAILING_BYTES  goes on after its end
    BadValue        BAD_VALUE       a value outside of its type: enum index, UTF-8, length, number of items, range
"""

from __future__ import annotations


class CodecError(Exception):
    """A record that is not exactly one allowed thing. PERMANENT: the same bytes never become right."""

    code = "CODEC"


class WrongMagic(CodecError):
    code = "WRONG_MAGIC"


class UnknownSchema(CodecError):
    code = "UNKNOWN_SCHEMA"


class Oversize(CodecError):
    code = "OVERSIZE"


class Truncated(CodecError):
    code = "TRUNCATED"


class TrailingBytes(CodecError):
    code = "TRAILING_BYTES"


class BadValue(CodecError):
    code = "BAD_VALUE"
