"""An intent as a person writes it: a JSON document with the names of `deedbook.Intent`, or options of a command.

{"tool": "git/git_commit", "arguments": {"message": "Pay invoice 4711"}, "key": "invoice-4711-paid",
 "account": "main", "capability": "git.write", "expires_at": "2026-12-01T12:00:00Z",
 "evidence": [{"type": "ticket", "id": "OPS-17"}], "data_sources": [{"name": "crm", "as_of": "2026-11-21T21:00:00Z"}]}
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from libs.client.ending import Exit, Failed
from libs.client.intents import Intent
from libs.governance.digests import JsonRefused, read_object

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_NO_NUMBERS = ("NaN", "Infinity")  # words of no JSON, which somebody may well mean as text
_NAMES = frozenset(field.name for field in fields(Intent))


def read_document(text: str) -> dict[str, Any]:
    """The fields of a document. Raises Failed for what is no strict JSON object, or has a field that is none."""
    try:
        document: dict[str, Any] = read_object(text).value
    except JsonRefused as error:
        raise _wrong(error.code, f"the document is no strict JSON object: {error}") from None
    if unknown := sorted(document.keys() - _NAMES):
        raise _wrong("FIELD_INVALID", f"{', '.join(unknown)}: an intent has {', '.join(sorted(_NAMES))}")
    return document


def make(given: Mapping[str, Any]) -> Intent:
    """The intent of these fields. Raises Failed."""
    if not given.get("tool"):
        raise _wrong("FIELD_INVALID", "no tool is named")
    try:
        return msgspec.convert(dict(given), Intent)
    except msgspec.ValidationError as error:
        raise _wrong("FIELD_INVALID", str(error)) from None


def argument(text: str) -> tuple[str, Any]:
    """NAME=VALUE, a value that is JSON as such, else as text. Raises Failed, also for a number that JSON cannot hold
    exactly: as text it would be another value than was meant."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise _wrong("FIELD_INVALID", f"{text!r} is not NAME=VALUE")
    try:
        read = read_object(f'{{"values":[{value}]}}').value
    except JsonRefused as error:
        if error.code == "JSON_NUMBER" and value.strip("-") not in _NO_NUMBERS:
            reason = f"{name}: {error}; as text it stands in quotes of JSON, and of the shell: {name}='\"...\"'"
            raise _wrong(error.code, reason) from None
        return name, value
    return name, read["values"][0] if read.keys() == {"values"} and len(read["values"]) == 1 else value


def evidence(text: str) -> dict[str, str]:
    """TYPE:ID of a source, or event:INTENT/ID of an event of the ledger. Raises Failed."""
    kind, colon, name = text.partition(":")
    if not kind or not colon or not name:
        raise _wrong("FIELD_INVALID", f"{text!r} is not TYPE:ID")
    if kind != "event":
        return {"type": kind, "id": name}
    intent_id, slash, event_id = name.partition("/")
    if not intent_id or not slash or not event_id:
        raise _wrong("GROUNDING_SHAPE", f"{text!r} is not event:INTENT/ID")
    return {"type": intent_id, "id": event_id, "kind": "LEDGER_EVENT"}


def source(text: str, now: datetime) -> dict[str, Any]:
    """NAME for data that was read just now, NAME=TIME (with its time zone) for older. Raises Failed."""
    name, equals, at = text.partition("=")
    return {"name": name, "as_of": at if equals else now.isoformat()}


def expiry(text: str, now: datetime) -> str:
    """A moment with its time zone, or a time from now such as 90s, 30m, 2h, 7d. Raises Failed."""
    try:
        if found := re.fullmatch(r"(\d{1,9})([smhd])", text):
            return (now + timedelta(seconds=int(found[1]) * _UNITS[found[2]])).isoformat()
        moment = datetime.fromisoformat(text)
        utc = moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise _wrong("FIELD_INVALID", f"{text!r} is no time such as 30m, nor a moment such as {now:%FT%TZ}") from None
    if moment.utcoffset() is None:
        raise _wrong("FIELD_INVALID", f"{text} does not say its time zone: {text}Z is UTC")
    return utc.isoformat()


def together(document: Mapping[str, Any], options: Mapping[str, Any], arguments: Sequence[str]) -> dict[str, Any]:
    """A document with what the options say on top of it."""
    fields_given = {name: value for name, value in options.items() if value not in ("", None, [])}
    merged = {**document, **fields_given}
    if arguments:
        before, more = document.get("arguments", {}), [argument(one) for one in arguments]
        if not isinstance(before, dict):
            raise _wrong("FIELD_INVALID", "the document's arguments are no object")
        if len(dict(more)) < len(more):
            raise _wrong("FIELD_INVALID", "an argument is given twice")
        merged["arguments"] = {**before, **dict(more)}
    return merged


def document(intent: Intent) -> str:
    """The document of an intent, on one line of ASCII: submitted again it is the same intent."""
    said: dict[str, Any] = msgspec.to_builtins(intent)
    return json.dumps({name: value for name, value in said.items() if value not in ("", None, [], {})})


def _wrong(code: str, reason: str) -> Failed:
    return Failed(code, reason, "`deed submit --help` has examples.", Exit.WRONG_USE)
