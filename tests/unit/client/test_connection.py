"""Where a client calls, and with whose token."""

from __future__ import annotations

import os
from pathlib import Path

import jwt
import pytest

from libs.client.connection import connect
from libs.client.settings import ClientSettings
from libs.contracts.proto.deedbook.status.v1 import status_pb2 as pb
from libs.runtime import devkeys
from libs.runtime.settings import SettingsError, load
from libs.stack import processes
from libs.stack.folders import Folder
from libs.stack.report import Line, Report, save
from libs.stack.stack import OWNER


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    monkeypatch.setenv("DEED_HOME", str(tmp_path))
    found = Folder(tmp_path)
    found.create()
    return found


def test_what_is_set_goes_over_the_local_system(folder: Folder) -> None:
    settings = load(ClientSettings, gateway="127.0.0.1:1", status="127.0.0.1:2", token="a-token-of-mine")
    found = connect(settings)
    assert (found.gateway, found.status) == ("127.0.0.1:1", "127.0.0.1:2")
    assert found.metadata(pb.GetRequest()) == (("authorization", "Bearer a-token-of-mine"),)


def test_a_token_file_is_read_for_each_call(folder: Folder) -> None:
    file = folder.root / "token"
    found = connect(load(ClientSettings, gateway="127.0.0.1:1", status="127.0.0.1:2", token_file=str(file)))
    file.write_text("first\n")
    assert found.token_for("intents", b"") == "first"
    file.write_text("second\n")
    assert found.token_for("intents", b"") == "second"


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({}, "DEED_GATEWAY"),
        ({"gateway": "127.0.0.1:1"}, "DEED_STATUS"),
        ({"gateway": "127.0.0.1:1", "status": "127.0.0.1:2"}, "DEED_TOKEN"),
        ({"gateway": "deeds.example.org:443", "status": "127.0.0.1:2", "token_file": "x"}, "DEED_CA_FILE"),
        ({"gateway": "127.0.0.1:1", "status": "[fd00::1]:443", "token_file": "x"}, "DEED_CA_FILE"),
        ({"gateway": "127.0.0.1:1", "status": "127.0.0.1:2", "ca_file": "/nowhere"}, "DEED_CA_FILE"),
        ({"gateway": "localhost", "status": "127.0.0.1:2", "token_file": "x"}, "DEED_GATEWAY is wrong.* host:port"),
        ({"gateway": "127.0.0.1:1", "status": "http://127.0.0.1:2", "token_file": "x"}, "DEED_STATUS is wrong"),
    ],
)
def test_what_is_missing_names_its_variable(folder: Folder, given: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        connect(load(ClientSettings, **given))


def test_at_a_local_system_nothing_needs_to_be_said(folder: Folder) -> None:
    devkeys.ensure(folder.keys)
    lines = tuple(Line(name, "running", ports={"grpc": port}) for name, port in (("gateway", 11), ("status", 12)))
    processes.write(folder.root, processes.myself(OWNER))
    save(folder, Report("ready", os.getpid(), lines=lines))
    found = connect(load(ClientSettings), who="ann")
    assert (found.gateway, found.status) == ("127.0.0.1:11", "127.0.0.1:12")
    claims = jwt.decode(found.token_for("intents", b""), options={"verify_signature": False})
    assert (claims["sub"], claims["tenant"], claims["kind"]) == ("ann", "acme", "HUMAN")
    assert "approver" in claims["roles"]


@pytest.mark.parametrize("token", [b"", b"two words", b"two\nlines", b"\xff\xfe", "t\u00f6ken".encode()])
def test_a_token_that_cannot_be_one_names_its_variable(folder: Folder, token: bytes) -> None:
    file = folder.root / "token"
    file.write_bytes(token)
    found = connect(load(ClientSettings, gateway="127.0.0.1:1", status="127.0.0.1:2", token_file=str(file)))
    with pytest.raises(SettingsError, match="DEED_TOKEN_FILE"):
        found.metadata(pb.GetRequest())


def test_a_line_end_behind_a_token_does_no_harm(folder: Folder) -> None:
    found = connect(load(ClientSettings, gateway="127.0.0.1:1", status="127.0.0.1:2", token="mine-and-mine-alone\n"))
    assert found.metadata(pb.GetRequest()) == (("authorization", "Bearer mine-and-mine-alone"),)
