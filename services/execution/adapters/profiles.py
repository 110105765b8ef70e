"""The operator's file of tool servers: the only source of command lines and addresses. Wrong in any part means that
nothing starts; when it becomes wrong later, what it said before stays in force.

[servers.git]
argv = ["/opt/tools/bin/mcp-server-git", "--repository", "/srv/repo"]
cwd = "/srv/repo"
env = { GIT_CONFIG_NOSYSTEM = "1" }
env_from = ["PATH"]

[servers.crm]
url = "https://crm.example.com/mcp"              # https, but for this very machine
headers_from = { Authorization = "CRM_HEADER" }  # the value stands in a variable of ours, never here
ca = "/etc/ssl/crm.pem"                          # instead of the system's
private = true                                   # its address may be one of a private network
"""

from __future__ import annotations

import os
import re
import stat
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from libs.runtime.logs import logger
from libs.runtime.settings import SettingsError
from services.execution.adapters.exchange import HEADER, HttpProfile
from services.execution.adapters.process import Profile

NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
FIELDS = frozenset({"argv", "cwd", "env", "env_from"})
HTTP_FIELDS = frozenset({"url", "headers_from", "ca", "private"})
AnyProfile = Profile | HttpProfile
SERVERS_MAX = 256
log = logger(__name__)


class ServersFile(Mapping[str, AnyProfile]):
    """The profiles of the file as it is now: looked at again whenever it has changed, so that nobody has to be started
    anew for a new tool. Raises SettingsError when it is wrong from the beginning."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._seen = _stamp(file)
        self._profiles = load_profiles(file)

    def __getitem__(self, name: str) -> AnyProfile:
        return self._now()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._now())

    def __len__(self) -> int:
        return len(self._now())

    def _now(self) -> Mapping[str, AnyProfile]:
        stamp = _stamp(self._file)
        if stamp != self._seen:
            self._seen = stamp
            try:
                self._profiles = load_profiles(self._file)
                log.info("the file of tool servers was read again", servers=sorted(self._profiles))
            except SettingsError as error:
                log.error("the file of tool servers is wrong, what it said before stays in force", reason=str(error))
        return self._profiles


def _stamp(file: str) -> tuple[int, ...]:
    """What changes with the file; () = it cannot be looked at."""
    try:
        found = Path(file).stat() if file else None
    except OSError:
        return ()
    return (found.st_ino, found.st_size, found.st_mtime_ns, found.st_mode) if found else ()


def load_profiles(file: str) -> dict[str, AnyProfile]:
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


def _profile(file: str, name: str, table: Any) -> AnyProfile:
    over_http = isinstance(table, dict) and "url" in table
    problem = _http_problem(name, table) if over_http else _problem(name, table)
    if problem:
        raise SettingsError(f"DEED_SERVERS_FILE is wrong: [servers.{name}] in {file} {problem}.")
    if over_http:
        return _http(name, table)
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


def _http_problem(name: str, table: dict[str, Any]) -> str:
    if not NAME.fullmatch(name):
        return "has a name with other characters than a-z, 0-9, '_', '.', '-'"
    if not table.keys() <= HTTP_FIELDS:
        return f"has other fields than {', '.join(sorted(HTTP_FIELDS))}"
    if not _is_address(table["url"]):
        return "needs a url such as https://host/path, of ASCII, without user, password, query and fragment"
    ca = table.get("ca", "")
    if not isinstance(ca, str) or (ca and not Path(ca).is_file()):
        return "needs a file as ca"
    if not isinstance(table.get("private", False), bool):
        return "needs true or false as private"
    headers = table.get("headers_from", {})
    if not isinstance(headers, dict) or not _texts(list(headers.values())) or not all(map(HEADER.fullmatch, headers)):
        return "needs a table of names of variables as headers_from, by header; those of HTTP and MCP are not yours"
    for variable in headers.values():
        value = os.environ.get(variable, "")
        if not value or not value.isascii() or not value.isprintable() or value != value.strip():
            return f"needs the variable {variable}, with printable ASCII characters and no space before or after them"
    return ""


def _is_address(url: Any) -> bool:
    if not isinstance(url, str) or not url.isascii() or not url.isprintable() or " " in url:
        return False
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    plain = not (parts.username or parts.password or parts.query or parts.fragment)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and plain and port != 0


def _http(name: str, table: dict[str, Any]) -> HttpProfile:
    parts = urlsplit(table["url"])
    tls = parts.scheme == "https"
    return HttpProfile(
        name=name,
        host=parts.hostname or "",
        port=parts.port or (443 if tls else 80),
        path=parts.path or "/",
        tls=tls,
        ca=table.get("ca", ""),
        private=table.get("private", False),
        headers={header: os.environ[variable] for header, variable in table.get("headers_from", {}).items()},
    )


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) and "\0" not in item for item in value)
