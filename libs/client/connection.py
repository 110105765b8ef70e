"""From settings to gRPC channels that say who calls: a deployment by its variables, or the local system by what its
supervisor last said, with tokens that whoever may read its data folder can mint."""

from __future__ import annotations

import getpass
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import grpc

from libs.client.settings import ClientSettings
from libs.runtime import devkeys
from libs.runtime.settings import SettingsError, is_loopback
from libs.runtime.settings import load as load_settings
from libs.stack.folders import Folder, home
from libs.stack.report import load

ROLES = ("operator", "platform", "approver", "resolver", "admin")  # of a person at a local system
Metadata = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Connection:
    """Where to call, and with what. `token` is asked anew for each call, since tokens end."""

    gateway: str
    status: str
    token: Callable[[], str]
    ca: bytes | None = None
    timeout_s: float = 10.0

    def metadata(self) -> Metadata:
        """What each call carries. Raises SettingsError when the token cannot be read."""
        return (("authorization", f"Bearer {self.token()}"),)

    @asynccontextmanager
    async def open(self, address: str) -> AsyncIterator[grpc.aio.Channel]:
        """A channel to one of the two addresses."""
        if self.ca is None:
            channel = grpc.aio.insecure_channel(address)
        else:
            channel = grpc.aio.secure_channel(address, grpc.ssl_channel_credentials(self.ca))
        async with channel:
            yield channel


def connect(
    settings: ClientSettings | None = None, who: str = "", kind: str = "HUMAN", roles: Sequence[str] = ROLES
) -> Connection:
    """The connection of these settings, by default those of the variables DEED_*. `who`, `kind` and `roles` count for a
    local system only, where nobody gave a token. Raises SettingsError, which names the variable that mends it."""
    settings = settings or load_settings(ClientSettings)
    ca = _read(settings.ca_file, "DEED_CA_FILE") if settings.ca_file else None
    gateway, status = settings.gateway or _local("gateway"), settings.status or _local("status")
    token = _token(settings, who, kind, roles)
    for variable, address in (("DEED_GATEWAY", gateway), ("DEED_STATUS", status)):
        if ca is None and not is_loopback(address.rpartition(":")[0].strip("[]")):
            raise SettingsError(
                f"{variable} is another machine; a token is not sent there in the clear: set DEED_CA_FILE."
            )
    return Connection(gateway, status, token, ca, settings.call_timeout_ms / 1000)


def _local(name: str) -> str:
    """The gRPC port of a process of the local system."""
    port = next((line.ports.get("grpc", 0) for line in load(Folder(home())).lines if line.name == name), 0)
    if not port:
        raise SettingsError(f"No {name} runs here: `deed up`, or name another one in DEED_{name.upper()}.")
    return f"127.0.0.1:{port}"


def _token(settings: ClientSettings, who: str, kind: str, roles: Sequence[str]) -> Callable[[], str]:
    if settings.token_file:
        return lambda: _read(settings.token_file, "DEED_TOKEN_FILE").decode().strip()
    if settings.token is not None:
        return settings.token.get_secret_value
    keys = Folder(home()).keys
    if settings.gateway or settings.status or not (keys / devkeys.KEY_FILE).exists():
        raise SettingsError("DEED_TOKEN is not set, nor DEED_TOKEN_FILE: nobody knows who calls.")
    name = who or getpass.getuser()
    person = devkeys.Who(name, settings.local_tenant, kind, settings.local_accounts, tuple(roles))
    return partial(devkeys.mint, keys, person)


def _read(file: str, variable: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise SettingsError(f"{variable} is wrong: {file} cannot be read ({error.strerror}).") from None
