"""Command lines come from the operator's file and from nowhere else; a wrong file stops the start (T13, T15)."""

from __future__ import annotations

from pathlib import Path

import pytest

from libs.contracts import events
from libs.runtime.settings import SettingsError
from services.execution.adapters.process import Profile
from services.execution.adapters.profiles import ServersFile, load_profiles

GOOD = """
[servers.git]
argv = ["/opt/bin/mcp-server-git", "--repository", "/srv/repo; rm -rf /"]
cwd = "/srv/repo"
env = { GIT_CONFIG_NOSYSTEM = "1" }
env_from = ["PATH", "NOT_SET_ANYWHERE"]

[servers.time]
argv = ["/opt/bin/mcp-server-time"]
"""


def written(folder: Path, text: str, mode: int = 0o600) -> str:
    file = folder / "servers.toml"
    file.write_text(text)
    file.chmod(mode)
    return str(file)


@pytest.mark.requirement("T13")
def test_a_profile_is_a_list_of_arguments_and_an_environment_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/bin")
    monkeypatch.setenv("DEED_EFFECT_KEY_SECRET", "must not be seen")
    profiles = load_profiles(written(tmp_path, GOOD))
    assert set(profiles) == {"git", "time"}
    git, time = profiles["git"], profiles["time"]
    assert isinstance(git, Profile)
    assert isinstance(time, Profile)
    assert git.argv == ("/opt/bin/mcp-server-git", "--repository", "/srv/repo; rm -rf /")
    assert git.environment() == {"GIT_CONFIG_NOSYSTEM": "1", "PATH": "/bin"}
    assert time.environment() == {}


def test_no_file_means_no_servers() -> None:
    assert load_profiles("") == {}


@pytest.mark.requirement("T13")
@pytest.mark.requirement("T15")
@pytest.mark.parametrize(
    "text",
    [
        "[servers.git]",
        "[servers.git]\nargv = []",
        '[servers.git]\nargv = "/bin/sh -c x"',
        '[servers.git]\nargv = ["sh", "-c", "x"]',
        '[servers.git]\nargv = ["/bin/sh", 5]',
        '[servers.git]\nargv = ["/bin/sh", "a\\u0000b"]',
        '[servers.git]\nargv = ["/bin/sh"]\ncwd = "here"',
        '[servers.git]\nargv = ["/bin/sh"]\nenv = { A = 1 }',
        '[servers.git]\nargv = ["/bin/sh"]\nenv = { "A=B" = "1" }',
        '[servers.git]\nargv = ["/bin/sh"]\nenv_from = "PATH"',
        '[servers.git]\nargv = ["/bin/sh"]\nshell = true',
        '[servers."Git Server"]\nargv = ["/bin/sh"]',
        '[server.git]\nargv = ["/bin/sh"]',
        "servers = 5",
        "[servers.git",
    ],
)
def test_a_wrong_file_stops_the_start(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError, match="DEED_SERVERS_FILE is wrong"):
        load_profiles(written(tmp_path, text))


def test_a_file_that_everybody_may_write_is_no_operators_file(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="everybody may write"):
        load_profiles(written(tmp_path, GOOD, 0o666))


def test_a_missing_file_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        load_profiles(str(tmp_path / "none.toml"))


@pytest.mark.requirement("T13")
def test_no_event_of_the_registry_can_carry_a_command() -> None:
    for kind in (events.ServerRegistered, events.ToolEntry, events.ToolRegistered, events.RegisterServer):
        assert not {"argv", "command", "cmd", "args", "cwd", "env", "url"} & set(kind.__struct_fields__)


def test_the_file_is_read_again_when_it_has_changed(tmp_path: Path) -> None:
    file = ServersFile(written(tmp_path, ""))
    assert not file
    written(tmp_path, GOOD)
    assert set(file) == {"git", "time"}
    before = file["git"]
    written(tmp_path, GOOD.replace("mcp-server-git", "mcp-server-other"))
    assert file["git"] != before


def test_a_file_that_becomes_wrong_changes_nothing(tmp_path: Path) -> None:
    file = ServersFile(written(tmp_path, GOOD))
    before = dict(file)
    written(tmp_path, "[servers.git]\nargv = 'half a'")
    assert dict(file) == before
    Path(written(tmp_path, GOOD)).unlink()
    assert dict(file) == before


def test_a_file_that_is_wrong_from_the_beginning_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsError):
        ServersFile(written(tmp_path, "[servers"))
