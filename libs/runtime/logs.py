"""Logs: one JSON object a line on standard error, with the trace id on each line and secrets taken out, for our own
lines and for those of the libraries (which go through the standard `logging`)."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from itertools import pairwise
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
_DEPTH_MAX = 6
_LONGEST = 8192

Line = MutableMapping[str, Any]


def configure(process: str, level: str = "INFO", stream: TextIO | None = None) -> None:
    """Once per process, before anything logs."""
    first: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _process_name(process),
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
    """Every line inside carries the trace id of this W3C `traceparent`, and what else is given."""
    with structlog.contextvars.bound_contextvars(trace_id=trace_id(trace_parent), **bound):
        yield


def trace_id(trace_parent: str) -> str:
    """The 32 hex digits of the trace, or '' when the text is no traceparent."""
    parts = trace_parent.split("-")
    if len(parts) != 4 or len(parts[1]) != 32 or not set(parts[1]) <= set("0123456789abcdef"):
        return ""
    return parts[1]


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


def _process_name(process: str) -> structlog.types.Processor:
    def add(_: Any, __: str, line: Line) -> Line:
        line["process"] = process
        line.setdefault("trace_id", "")
        return line

    return add


def _text(value: Any) -> str:
    return _clean_text(str(value))
