"""From settings to gRPC channels that say who calls: a deployment by its variables, or the local system by what its
supervisor last said, with tokens that whoever may read its data folder can mint."""

from __future__ import annotations

import getpass
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
from google.protobuf.message import Message

from libs.client.settings import ClientSettings
from libs.runtime import devkeys
from libs.runtime.settings import SettingsError, is_loopback
from libs.runtime.settings import load as load_settings
from libs.stack.errors import NothingRuns, StackError
from libs.stack.folders import Folder, home
from libs.stack.report import load

ROLES = ("operator", "platform", "approver", "resolver", "admin")  # of a person at a local system
ANSWER_BYTES_MAX = 32 << 20  # a page of a hundred deeds on which many people voted
_TOKEN = re.compile(r"[!-~]+")
Token = Callable[[str, bytes], str]
Metadata = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Connection:
    """Where to call, and with what. `token` is asked anew for each call, since tokens end, and that of a DID counts for
    one payload: it gets the payload's type (a topic, or the full name of a message) and its bytes. `quiet_s`: so long
    without a byte, and the other side is asked whether it is there; as long again, and the connection counts as
    lost."""

    gateway: str
    status: str
    token: Token
    ca: bytes | None = None
    timeout_s: float = 10.0
    quiet_s: float = 20.0

    def metadata(self, request: Message) -> Metadata:
        """What this call carries. Raises SettingsError when the token cannot be read, or is none."""
        token = self.token_for(request.DESCRIPTOR.full_name, request.SerializeToString())
        return (("authorization", f"Bearer {token}"),)

    def token_for(self, payload_type: str, payload: bytes) -> str:
        """The token for one payload. Raises SettingsError."""
        token = self.token(payload_type, payload)
        if not _TOKEN.fullmatch(token):
            raise SettingsError("The token is wrong: DEED_TOKEN or DEED_TOKEN_FILE must hold one line without spaces.")
        return token

    @asynccontextmanager
    async def open(self, address: str) -> AsyncIterator[grpc.aio.Channel]:
        """A channel to one of the two addresses."""
        if self.ca is None:  # a token in the clear must not leave this machine by a proxy either
            options = (*self._options(), ("grpc.enable_http_proxy", 0))
            channel = grpc.aio.insecure_channel(address, options)
        else:
            channel = grpc.aio.secure_channel(address, grpc.ssl_channel_credentials(self.ca), self._options())
        async with channel:
            yield channel

    def _options(self) -> tuple[tuple[str, int], ...]:
        """A watch may be silent for long: only asking tells that from a connection that is gone."""
        return (
            ("grpc.keepalive_time_ms", int(self.quiet_s * 1000)),
            ("grpc.http2.ping_timeout_ms", int(self.quiet_s * 1000)),  # the one that counts, for keepalive too
            ("grpc.http2.max_pings_without_data", 0),
            ("grpc.max_receive_message_length", ANSWER_BYTES_MAX),
        )


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
        host, _, port = address.rpartition(":")
        if ca is None and (not port.isdecimal() or "/" in host):
            raise SettingsError(f"{variable} is wrong: {address} is not host:port.")
        if ca is None and not is_loopback(host.strip("[]")):
            raise SettingsError(
                f"{variable} is another machine; a token is not sent there in the clear: set DEED_CA_FILE."
            )
    return Connection(gateway, status, token, ca, settings.call_timeout_ms / 1000)


def _local(name: str) -> str:
    """The gRPC port of a process of the local system."""
    try:
        lines = load(Folder(home())).lines
    except StackError as error:
        raise SettingsError(str(error)) from None
    port = next((line.ports.get("grpc", 0) for line in lines if line.name == name), 0)
    if not port:
        raise NothingRuns(f"No {name} runs here: `deed up`, or name another one in DEED_{name.upper()}.")
    return f"127.0.0.1:{port}"


def _token(settings: ClientSettings, who: str, kind: str, roles: Sequence[str]) -> Token:
    if settings.did_key_file:
        from libs.client.signing import DidSigner  # most callers do without, and it takes a while to load

        return DidSigner(settings)
    if settings.token_file:
        return lambda *_: _read(settings.token_file, "DEED_TOKEN_FILE").decode(errors="replace").strip()
    if settings.token is not None:
        token = settings.token.get_secret_value().strip()
        return lambda *_: token
    keys = Folder(home()).keys
    if settings.gateway or settings.status or not (keys / devkeys.KEY_FILE).exists():
        raise SettingsError("DEED_TOKEN is not set, nor DEED_TOKEN_FILE or DEED_DID_KEY_FILE: nobody knows who calls.")
    name = who or getpass.getuser()
    person = devkeys.Who(name, settings.local_tenant, kind, settings.local_accounts, tuple(roles))
    return lambda *_: devkeys.mint(keys, person)


def _read(file: str, variable: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise SettingsError(f"{variable} is wrong: {file} cannot be read ({error.strerror}).") from None
