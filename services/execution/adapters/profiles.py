"""The operator's file of tool servers: the only source of command lines. Wrong in any part means that nothing starts.

[servers.git]
argv = ["/opt/tools/bin/mcp-server-git", "--repository", "/srv/repo"]
cwd = "/srv/repo"
env = { GIT_CONFIG_NOSYSTEM = "1" }
env_from = ["PATH"]
"""

from __future__ import annotations

import re
import stat
import tomllib
from pathlib import Path
from typing import Any

from libs.runtime.settings import SettingsError
from services.execution.adapters.process import Profile

NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
FIELDS = frozenset({"argv", "cwd", "env", "env_from"})
SERVERS_MAX = 256


def load_profiles(file: str) -> dict[str, Profile]:
    """All profiles by name; none when no file is named. Raises SettingsError with one sentence."""
    if not file:
        return {}
    path = Path(file)
    try:
        if path.stat().st_mode & stat.S_IWOTH:
            raise SettingsError(f"DEED_SERVERS_FILE is wrong: everybody may write to {file}.")
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"DEED_SERVERS_FILE is wrong: {file} cannot be read ({error}).") from None
    servers = document.pop("servers", {})
    if document or not isinstance(servers, dict) or len(servers) > SERVERS_MAX:
        raise SettingsError(f"DEED_SERVERS_FILE is wrong: {file} holds [servers.<name>] tables only, at most 256.")
    return {name: _profile(file, name, table) for name, table in servers.items()}


def _profile(file: str, name: str, table: Any) -> Profile:
    problem = _problem(name, table)
    if problem:
        raise SettingsError(f"DEED_SERVERS_FILE is wrong: [servers.{name}] in {file} {problem}.")
    return Profile(
        name=name,
        argv=tuple(table["argv"]),
        cwd=table.get("cwd", ""),
        env=dict(table.get("env", {})),
        env_from=tuple(table.get("env_from", ())),
    )


def _problem(name: str, table: Any) -> str:
    if not NAME.fullmatch(name):
        return "has a name with other characters than a-z, 0-9, '_', '.', '-'"
    if not isinstance(table, dict) or not table.keys() <= FIELDS:
        return f"has other fields than {', '.join(sorted(FIELDS))}"
    argv, env = table.get("argv"), table.get("env", {})
    if not _texts(argv) or not argv or not Path(argv[0]).is_absolute():
        return "needs argv, a list of texts that starts with the absolute path of a program"
    cwd = table.get("cwd", "")
    if not isinstance(cwd, str) or (cwd and not Path(cwd).is_absolute()):
        return "needs an absolute path as cwd"
    if not isinstance(env, dict) or not _texts(list(env.values())) or not all(map(VARIABLE.fullmatch, env)):
        return "needs a table of texts as env"
    names = table.get("env_from", [])
    if not _texts(names) or not all(map(VARIABLE.fullmatch, names)):
        return "needs a list of names of variables as env_from"
    return ""


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) and "\0" not in item for item in value)
