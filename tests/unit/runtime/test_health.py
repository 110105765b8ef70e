"""The health port answers three pages to callers that address it by a name that is ours (K7, T14)."""

from __future__ import annotations

import pytest

from libs.runtime.health import Answer, Pages, answer

pytestmark = [pytest.mark.requirement("K7"), pytest.mark.requirement("T14")]

LOCAL = "127.0.0.1"


def pages(ready: str = "", live: str = "", token: str | None = None, names: tuple[str, ...] = ()) -> Pages:
    return Pages(live=lambda: live, ready=lambda: ready, metrics=lambda: b"deeds_total 1\n", token=token, names=names)


def get(path: str, host: str = "localhost:9100", more: str = "", of: Pages | None = None, local: str = LOCAL) -> Answer:
    return answer(of or pages(), f"GET {path} HTTP/1.1\r\nHost: {host}{more}".encode(), local)


def test_ready_and_live_say_yes_or_why_not() -> None:
    assert get("/ready").status == get("/live").status == 200
    said = get("/ready", of=pages(ready="lane 3 makes no progress"))
    assert (said.status, said.body) == (503, b"lane 3 makes no progress\n")
    assert get("/live", of=pages(live="the loop hangs")).status == 503


def test_the_answer_is_asked_for_at_the_moment_of_the_request() -> None:
    reasons = iter(["starting", ""])
    of = Pages(live=lambda: "", ready=lambda: next(reasons), metrics=lambda: b"")
    assert [get("/ready", of=of).status for _ in range(2)] == [503, 200]


def test_metrics_are_shown_and_other_pages_do_not_exist() -> None:
    assert get("/metrics").body == b"deeds_total 1\n"
    assert get("/metrics?x=1").status == 200
    assert get("/").status == get("/../etc/passwd").status == 404


@pytest.mark.parametrize(
    ("header", "status"),
    [("", 401), ("\r\nAuthorization: Bearer no", 401), ("\r\nauthorization: Bearer 5b3c7d0a9e8f4412", 200)],
)
def test_metrics_ask_for_the_token_if_there_is_one(header: str, status: int) -> None:
    of = pages(token="5b3c7d0a9e8f4412")
    assert get("/metrics", more=header, of=of).status == status
    assert get("/ready", of=of).status == 200


@pytest.mark.parametrize("host", ["localhost", "localhost:1", "LOCALHOST:9", "127.0.0.1", "127.0.0.1:9100", "pod-7:80"])
def test_own_names_are_served(host: str) -> None:
    assert get("/live", host=host, of=pages(names=("pod-7",))).status == 200


@pytest.mark.parametrize(
    ("host", "local"),
    [("10.1.2.3:9100", "10.1.2.3"), ("[::1]:9100", "::1"), ("[::1]", "::1"), ("[0:0:0:0:0:0:0:1]", "::1")],
)
def test_the_dialled_address_is_served(host: str, local: str) -> None:
    assert get("/live", host=host, local=local).status == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:9100",
        "localhost.evil.example",
        "127.0.0.2",
        "10.0.0.1",
        "",
        "localhost@evil",
        "[::1]",
    ],
)
def test_another_host_is_refused(host: str) -> None:
    assert get("/metrics", host=host).status == 421


@pytest.mark.parametrize(
    "head",
    [
        b"GET /live HTTP/1.1",
        b"GET /live HTTP/1.1\r\nHost: localhost\r\nHost: evil.example",
        b"GET /live\r\nHost: localhost",
        b"GET  /live HTTP/1.1\r\nHost: localhost",
        b"GET /live HTTP/2\r\nHost: localhost",
        b"",
        b"\xff\xfe /live HTTP/1.1\r\nHost: localhost",
    ],
)
def test_an_improper_request_is_refused(head: bytes) -> None:
    assert answer(pages(), head, LOCAL).status == 400


def test_browsers_and_other_methods_are_refused() -> None:
    assert get("/metrics", more="\r\nOrigin: http://localhost").status == 403
    assert answer(pages(), b"POST /live HTTP/1.1\r\nHost: localhost", LOCAL).status == 405
