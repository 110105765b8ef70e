"""Logs are JSON lines with the trace id, and secrets are taken out of them (K3)."""

from __future__ import annotations

import io
import json
import logging
from typing import Any

import pytest

from libs.runtime.logs import REDACTED, configure, is_secret_name, logger, redact, trace_id, traceable, traced

pytestmark = [pytest.mark.requirement("K3"), pytest.mark.requirement("T24")]

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
JWT = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl"


@pytest.fixture
def stream() -> Any:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    made = io.StringIO()
    configure("intake", "INFO", made)
    yield made
    root.handlers[:] = before
    root.setLevel(level)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_json_with_process_level_and_trace_id(stream: io.StringIO) -> None:
    with traced(TRACE, intent_id="i1"):
        logger("a.b").info("taken", lane=3)
    (line,) = lines(stream)
    assert (line["event"], line["process"], line["level"], line["lane"]) == ("taken", "intake", "info", 3)
    assert line["trace_id"] == "0af7651916cd43dd8448eb211c80319c"
    assert line["intent_id"] == "i1"


def test_each_line_about_a_trace_has_its_id_and_no_other_line_has_one(stream: io.StringIO) -> None:
    for given in (TRACE, "no traceparent"):
        with traced(given):
            logger("a").info("x", method="own")
            with traced(TRACE, method="inner"):
                logging.getLogger("some.library").warning("older %s", "style")
            logger("a").info("x")
    logger("a").info("x")
    found = [(line["event"], line.get("trace_id"), line.get("method")) for line in lines(stream)]
    own, older = "0af7651916cd43dd8448eb211c80319c", ("older style", "0af7651916cd43dd8448eb211c80319c", "inner")
    assert found[:3] == [("x", own, "own"), older, ("x", own, None)]
    assert found[3:] == [("x", None, "own"), older, ("x", None, None), ("x", None, None)]


def test_exceptions_stay_on_one_line_and_lose_their_secrets(stream: io.StringIO) -> None:
    try:
        raise RuntimeError(f"refused Bearer {JWT} by postgresql://u:p4ss@h/db")
    except RuntimeError:
        logger("a").exception("failed")
    (line,) = lines(stream)
    assert "RuntimeError" in line["exception"]
    assert JWT not in stream.getvalue()
    assert "p4ss" not in stream.getvalue()


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "db_password",
        "apiKey",
        "api_key",
        "Authorization",
        "accessToken",
        "token",
        "secrets",
        "x-auth",
        "dsn",
    ],
)
def test_values_of_secret_names_are_redacted_at_any_depth(name: str) -> None:
    line = redact(None, "", {name: "canary", "outer": {"list": [{name: {"deep": "canary"}}]}})
    assert line[name] == REDACTED
    assert "canary" not in json.dumps(line)


@pytest.mark.parametrize("name", ["intent_key", "author", "key", "idempotency_key", "tokenizer", "lane", "keyset"])
def test_other_names_are_left_alone(name: str) -> None:
    assert not is_secret_name(name)
    assert redact(None, "", {name: "kept"})[name] == "kept"


def test_tokens_are_found_by_their_look() -> None:
    line = redact(None, "", {"note": f"got {JWT}", "header": "bearer abcdefgh12345", "url": "amqp://u:p4ss@h:1/x"})
    assert JWT not in line["note"]
    assert "abcdefgh" not in line["header"]
    assert line["url"] == f"amqp://u:{REDACTED}@h:1/x"


def test_ids_are_hexadecimal_and_long_values_are_cut() -> None:
    line = redact(None, "", {"id": bytes(16), "blob": bytes(100), "text": "x" * 20_000})
    assert (line["id"], line["blob"]) == ("00" * 16, "100 bytes")
    assert len(line["text"]) < 9000


def test_a_value_that_contains_itself_ends() -> None:
    loop: dict[str, Any] = {}
    loop["self"] = loop
    assert "..." in json.dumps(redact(None, "", {"loop": loop}))


@pytest.mark.parametrize(
    "wrong",
    ["", "x", "00-xyz-1-1", "00-" + "G" * 32 + "-1-1", TRACE + "0", TRACE.upper(), f"00-{'0' * 32}-{'1' * 16}-01"],
)
def test_what_is_no_traceparent_has_no_id_and_gets_a_new_one_that_has(wrong: str) -> None:
    assert trace_id(wrong) == ""
    new = {trace_id(traceable(wrong)) for _ in range(10)}
    assert len(new) == 10 and "" not in new
    assert traceable(TRACE) == TRACE
