"""Where a tool server may be (T12): a table of addresses, and names that lead to them."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from pathlib import Path
from typing import Any

import pytest

from libs.runtime.settings import SettingsError
from services.execution.adapters.addresses import AddressRefused, dialled, refusal
from services.execution.adapters.events import EventReader, TooLarge
from services.execution.adapters.exchange import HttpProfile
from services.execution.adapters.profiles import load_profiles

pytestmark = pytest.mark.requirement("T12")

PUBLIC = ["8.8.8.8", "93.184.216.34", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"]
PRIVATE = [
    "127.0.0.1", "127.1.2.3", "::1", "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.254", "192.168.0.1",
    "192.168.255.255", "100.64.0.1", "100.100.100.200", "192.0.2.1", "198.18.0.1", "198.51.100.7", "203.0.113.9",
    "240.0.0.1", "255.255.255.255", "fc00::1", "fd12:3456::1", "2001:db8::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
    "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1", "2002:7f00:1::1", "2002:a00:1::",
]  # fmt: skip
NEVER = [
    "169.254.169.254", "169.254.0.1", "fe80::1", "fd00:ec2::254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::", "0.0.0.0", "::", "224.0.0.1", "ff02::1", "::ffff:0.0.0.0",
]  # fmt: skip


@pytest.mark.parametrize("private", [False, True])
def test_each_address_is_allowed_as_far_as_its_entry_says(private: bool) -> None:
    def allowed(text: str) -> bool:
        return not refusal(ipaddress.ip_address(text), private)

    assert [text for text in PUBLIC if not allowed(text)] == []
    assert [text for text in PRIVATE if allowed(text) is not private] == []
    assert [text for text in NEVER if allowed(text)] == []
    assert len(PUBLIC) + len(PRIVATE) + len(NEVER) >= 40


@pytest.mark.parametrize("host", ["localhost", "127.1", "0177.0.0.1", "0x7f.0.0.1", "2130706433", "::1"])
def test_other_ways_to_write_an_address_lead_to_the_same(host: str) -> None:
    with pytest.raises(AddressRefused, match="private"):
        asyncio.run(dialled(host, 80, private=False))
    assert asyncio.run(dialled(host, 80, private=True)).is_loopback


def resolving(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """A resolver that says something else each time; gives what it was asked."""
    asked: list[str] = []

    def look(host: str, port: int, *more: Any, **given: Any) -> list[Any]:
        asked.append(host)
        found = answers[min(len(asked), len(answers)) - 1]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (text, port)) for text in found]

    monkeypatch.setattr(socket, "getaddrinfo", look)
    return asked


def test_what_was_looked_at_is_what_is_dialled(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first answer is allowed, a second one would not be: there is no second question."""
    asked = resolving(monkeypatch, ["8.8.8.8"], ["169.254.169.254"])
    assert str(asyncio.run(dialled("rebind.example", 443, private=True))) == "8.8.8.8"
    assert asked == ["rebind.example"]


@pytest.mark.parametrize("found", [["8.8.8.8", "10.0.0.1"], ["10.0.0.1", "8.8.8.8"], ["169.254.169.254"], []])
def test_a_name_that_also_leads_elsewhere_is_refused(monkeypatch: pytest.MonkeyPatch, found: list[str]) -> None:
    resolving(monkeypatch, found)
    with pytest.raises(AddressRefused):
        asyncio.run(dialled("two.example", 443, private=False))


# -- the operator's entry


def loaded(folder: Path, text: str) -> HttpProfile:
    file = folder / "servers.toml"
    file.write_text(text)
    file.chmod(0o600)
    profile = load_profiles(str(file))["crm"]
    assert isinstance(profile, HttpProfile)
    return profile


def test_an_entry_says_where_and_with_what(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRM_HEADER", "Bearer s3cr3t-of-the-crm")
    (tmp_path / "ca.pem").touch()
    text = f"""[servers.crm]
url = "https://crm.example.com:8443/mcp"
headers_from = {{ Authorization = "CRM_HEADER" }}
ca = "{tmp_path}/ca.pem"
private = true
"""
    found = loaded(tmp_path, text)
    assert (found.host, found.port, found.path, found.tls) == ("crm.example.com", 8443, "/mcp", True)
    assert (found.headers, found.private) == ({"Authorization": "Bearer s3cr3t-of-the-crm"}, True)
    assert "s3cr3t" not in repr(found)
    plain = loaded(tmp_path, '[servers.crm]\nurl = "http://localhost"\n')
    assert (plain.port, plain.path, plain.tls, plain.private) == (80, "/", False, False)


@pytest.mark.requirement("T11")
@pytest.mark.parametrize(
    "line",
    [
        'url = "ftp://crm.example.com"',
        'url = "https://"',
        'url = "https://user:password@crm.example.com"',
        'url = "https://crm.example.com/?token=x"',
        'url = "https://crm.example.com/#x"',
        'url = "https://crm.example.com:99999"',
        'url = "https://cr\u043c.example.com"',
        'url = "https://crm.example.com/\\r\\nx: y"',
        'url = "https://x"\nargv = ["/bin/sh"]',
        'url = "https://x"\nca = "/nowhere.pem"',
        'url = "https://x"\nprivate = "yes"',
        'url = "https://x"\nheaders = { Authorization = "Bearer x" }',
        'url = "https://x"\nheaders_from = { Authorization = "NOT_SET_ANYWHERE" }',
        'url = "https://x"\nheaders_from = { Host = "HEADER" }',
        'url = "https://x"\nheaders_from = { Mcp-Session-Id = "HEADER" }',
        'url = "https://x"\nheaders_from = { X = "BROKEN_HEADER" }',
        'url = "https://x"\nheaders_from = { X = "PADDED_HEADER" }',
    ],
)
def test_a_wrong_entry_stops_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    monkeypatch.setenv("HEADER", "x")
    monkeypatch.setenv("BROKEN_HEADER", "x\r\ny: z")
    monkeypatch.setenv("PADDED_HEADER", "Bearer x ")
    with pytest.raises(SettingsError, match="DEED_SERVERS_FILE is wrong"):
        loaded(tmp_path, f"[servers.crm]\n{line}\n")


# -- events of a stream


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_events_are_found_however_they_are_cut(size: int) -> None:
    text = b": hello\r\nevent: message\r\ndata: one\r\n\r\ndata:two\ndata: 2\n\nid: 3\ndata:\n\ndata: never ends"
    reader = EventReader(100)
    found = [data for at in range(0, len(text), size) for data in reader.feed(text[at : at + size])]
    assert found == [b"one", b"two\n2", b""]


@pytest.mark.parametrize("text", [b"data: " + b"x" * 200, b"data: 1234567890\n" * 20])
def test_an_event_beyond_the_limit_is_refused(text: bytes) -> None:
    with pytest.raises(TooLarge):
        list(EventReader(100).feed(text))
