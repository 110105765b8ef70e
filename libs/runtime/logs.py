"""Logs: one JSON object a line on standard error, with the trace id on each line that is about a call or an intent, and
secrets taken out, for our own lines and for those of the libraries (which go through the standard `logging`)."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import pairwise
from secrets import token_hex
from typing import Any, TextIO

import structlog

REDACTED = "[redacted]"
SECRET_WORDS = frozenset(
    {"apikey", "auth", "authorization", "bearer", "cookie", "cookies", "credential", "credentials", "dsn", "jwt"}
    | {"passphrase", "passwd", "password", "secret", "secrets", "signature", "token", "tokens"}
)
SECRET_PAIRS = frozenset(
    {("api", "key"), ("private", "key"), ("access", "key"), ("signing", "key"), ("database", "url")}
)
_WORD = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")
_BEARER = re.compile(r"(?i)\bbearer\s+[\w.~+/=-]{8,}|\beyJ[\w-]{4,}\.[\w-]+\.[\w-]*")
_URL_PASSWORD = re.compile(r"(://[^/\s:@]*:)[^/\s@]+(@)")
_TRACE_PARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_DEPTH_MAX = 6
_LONGEST = 8192

Line = MutableMapping[str, Any]
_AROUND: ContextVar[tuple[str, Mapping[str, Any]]] = ContextVar("around")  # a traceparent, and what else is bound


def configure(process: str, level: str = "INFO", stream: TextIO | None = None) -> None:
    """Once per process, before anything logs."""
    first: list[structlog.types.Processor] = [
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _what_is_around(process),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        redact,
    ]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *first, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processor=structlog.processors.JSONRenderer(default=_text, ensure_ascii=False), foreign_pre_chain=first
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for noisy in ("aiokafka", "asyncio", "grpc"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))


def logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger; name it after the module."""
    bound: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return bound


@contextmanager
def traced(trace_parent: str, **bound: Any) -> Iterator[None]:
    """Every line inside carries the trace id of this W3C `traceparent`, if it is one, and what else is given. It is
    looked at only when a line is written."""
    before = _AROUND.get(None)
    _AROUND.set((trace_parent, {**before[1], **bound} if before else bound))
    try:
        yield
    finally:  # no token: a stream that is given up is closed by another task
        _AROUND.set(before or ("", {}))


def trace_id(trace_parent: str) -> str:
    """The 32 hex digits of the trace, or '' when the text is no W3C traceparent."""
    found = _TRACE_PARENT.fullmatch(trace_parent)
    return found[1] if found else ""


def traceable(trace_parent: str) -> str:
    """The same text if it is a W3C traceparent, else that of a new trace."""
    return trace_parent if trace_id(trace_parent) else f"00-{token_hex(16)}-{token_hex(8)}-01"


def redact(_: Any, __: str, line: Line) -> Line:
    """Take secrets out by the names of their keys, and tokens and passwords in URLs by their look."""
    for name, value in line.items():
        line[name] = REDACTED if is_secret_name(name) else _clean(value, 0)
    return line


def is_secret_name(name: str) -> bool:
    """Do the words of this key say that its value is secret? `intent_key` and `author` do not."""
    words = [word.lower() for word in _WORD.findall(name)]
    return not SECRET_WORDS.isdisjoint(words) or any(pair in SECRET_PAIRS for pair in pairwise(words))


def _clean(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return _clean_text(value)
    if isinstance(value, bytes):
        return value.hex() if len(value) <= 32 else f"{len(value)} bytes"
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if depth >= _DEPTH_MAX:
        return "..."
    if isinstance(value, Mapping):
        return {
            str(name): REDACTED if is_secret_name(str(name)) else _clean(inner, depth + 1)
            for name, inner in value.items()
        }
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_clean(inner, depth + 1) for inner in value]
    return _clean_text(str(value))


def _clean_text(value: str) -> str:
    text = value if len(value) <= _LONGEST else f"{value[:_LONGEST]}... ({len(value)} characters)"
    return _URL_PASSWORD.sub(rf"\1{REDACTED}\2", _BEARER.sub(REDACTED, text))


def _what_is_around(process: str) -> structlog.types.Processor:
    """Adds the process, and what `traced` has put around the line. A line of no trace has no trace id."""

    def add(_: Any, __: str, line: Line) -> Line:
        trace_parent, bound = _AROUND.get(("", {}))
        for name, value in bound.items():
            line.setdefault(name, value)
        if found := trace_id(trace_parent):
            line["trace_id"] = found
        line["process"] = process
        return line

    return add


def _text(value: Any) -> str:
    return _clean_text(str(value))
