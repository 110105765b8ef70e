"""The commented configuration that `deed init` writes: every setting of every process, made of the settings classes."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping

import msgspec

from libs.client.operating import OperatorSettings
from libs.client.settings import ClientSettings
from libs.runtime.hosting import LaneSettings
from libs.runtime.settings import (
    AuthSettings,
    ControlSettings,
    DatabaseSettings,
    GrpcSettings,
    KafkaSettings,
    ProcessSettings,
    Settings,
    variables,
)
from libs.stack.folders import checkout
from libs.stack.topics import TopicSettings

GROUPS: Mapping[str, type[Settings]] = {
    "Every process": ProcessSettings,
    "The log, for every process": KafkaSettings,
    "How topics are made (`deed up`)": TopicSettings,
    "Rows, for every process but the gateway": DatabaseSettings,
    "Lanes, for every process with a database": LaneSettings,
    "The view of the switches, for every process": ControlSettings,
    "Tokens, for intake, gateway and status": AuthSettings,
    "gRPC, for gateway and status": GrpcSettings,
    "Clients: the SDK and `deed`": ClientSettings,
    "Operators' commands of `deed`": OperatorSettings,
}
SERVICES = "services.reference"
LIMIT_S = 30.0
SERVERS = """# The tool servers of this machine, named in DEED_SERVERS_FILE; command lines stand nowhere else.
# Workers read it again when it has changed; next: `deed mcp add git`, and `deed tool add --from-mcp git`.
#
# [servers.git]
# argv = ["/opt/tools/bin/mcp-server-git", "--repository", "/srv/repo"]   # the program by its absolute path
# cwd = "/srv/repo"                                                       # where it runs
# env_from = ["PATH"]                                                     # what it inherits of the worker's environment
# env = { GIT_CONFIG_NOSYSTEM = "1" }                                     # what it has besides
#
# [servers.crm]                                                           # `deed mcp add crm --transport http`
# url = "https://crm.example.com/mcp"
# headers_from = { Authorization = "CRM_HEADER" }                         # the value stands in a variable of the worker
# private = true                                                          # it may be in a private network
"""
DIDS = """# What DIDs may do, named in DEED_DIDS_FILE; read again with the key set. `deed did FILE` prints such lines.
#
# ["did:key:z6Mk..."]                  # the key is in the name
# tenant = "acme"
# accounts = ["main"]
# roles = []
# kind = "MACHINE"                     # HUMAN may consent, too
#
# ["did:web:agents.example.com"]       # the keys are at https://agents.example.com/.well-known/did.json
# tenant = "acme"
# algorithm = "EdDSA"                  # or ES256, RS256
"""
HEAD = """# Deedbook, every setting. A line that begins with # shows the default. What is empty without one is required.
"""


def files() -> dict[str, str]:
    """The texts by file name."""
    return {"deedbook.env": environment(), "servers.toml": SERVERS, "dids.toml": DIDS}


def environment() -> str:
    """`deedbook.env`: one variable a line, with its meaning above it; each variable once."""
    lines, seen = [HEAD], set[str]()
    for title, rows in (*_of_classes(), *_of_services()):
        fresh = [row for row in rows if row[0] not in seen]
        seen |= {row[0] for row in fresh}
        if fresh:
            lines.append(f"\n# --- {title}\n")
        for name, default, meaning in fresh:
            lines.append(f"# {meaning}\n{name}=\n" if default == "required" else f"# {meaning}\n#{name}={default}\n")
    return "".join(lines)


def _of_classes() -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    for title, kind in GROUPS.items():
        yield title, [(name, _default(default), meaning) for name, default, meaning in variables(kind)]


def _of_services() -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    """Libraries do not know the services: a program says it."""
    ended = subprocess.run(
        [sys.executable, "-m", SERVICES], cwd=checkout(), capture_output=True, timeout=LIMIT_S, check=True
    )
    told = msgspec.json.decode(ended.stdout, type=dict[str, list[tuple[str, str, str]]])
    for title, rows in told.items():
        yield title, [(name, _default(default), meaning) for name, default, meaning in rows]


def _default(shown: str) -> str:
    """As it is written in the environment: lists are JSON there."""
    if shown in ("True", "False"):
        return shown.lower()
    if shown == "None":
        return ""
    return json.dumps(list(ast.literal_eval(shown))) if shown.startswith("(") else shown
