"""Settings: read once from `DEED_*` variables, checked as a whole, frozen. A process with a wrong or missing value does
not start; the sentence that it leaves behind names the variable. There is no fallback to 'allow all' or 'no limit'.

    StartRefused            the process must not start; its text is one sentence for the operator
    └── SettingsError       ... because of a variable
"""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Any, Self, TypeVar
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from pydantic_settings import SettingsError as SourceError

PREFIX = "DEED_"
PLACEHOLDERS = frozenset(
    {"admin", "change-me", "default", "dummy", "example", "foobar", "fixme", "hunter2", "insecure", "none", "null"}
    | {"passw0rd", "password", "placeholder", "postgres", "replace-me", "replaceme", "root", "sample", "secret"}
    | {"tbd", "test", "todo", "xxx", "your-password", "your-secret", "your-token"}
)
_TEMPLATE = re.compile(r"^(<.*>|\$\{.*\}|\{\{.*\}\}|\*+|\.+)$")


class StartRefused(Exception):
    """The process must not start. The text is one sentence that says why and what to change."""


class SettingsError(StartRefused):
    """A variable is missing or wrong; the text names it."""


def is_placeholder(secret: str) -> bool:
    """Is it a value that people leave in from an example? Such a secret is known to everybody."""
    plain = secret.strip().lower().replace("_", "-")
    return plain in PLACEHOLDERS or "changeme" in plain.replace("-", "") or bool(_TEMPLATE.match(plain))


def _no_placeholder(value: SecretStr) -> SecretStr:
    if is_placeholder(value.get_secret_value()):
        raise ValueError("is a placeholder, not a secret")
    return value


def _long_enough(value: SecretStr) -> SecretStr:
    if len(value.get_secret_value()) < 16:
        raise ValueError("must have at least 16 characters")
    return value


def _real_password(value: SecretStr) -> SecretStr:
    try:
        password = urlsplit(value.get_secret_value()).password
    except ValueError:
        raise ValueError("is not a URL") from None
    if password is not None and is_placeholder(unquote(password)):
        raise ValueError("holds a placeholder as its password")
    return value


Password = Annotated[SecretStr, Field(min_length=1), AfterValidator(_no_placeholder)]
Secret = Annotated[SecretStr, AfterValidator(_no_placeholder), AfterValidator(_long_enough)]
SecretUrl = Annotated[SecretStr, Field(min_length=1), AfterValidator(_real_password)]
Text = Annotated[str, Field(min_length=1)]
Port = Annotated[int, Field(ge=0, le=65535)]


class Settings(BaseSettings):
    """Parent of every settings class: frozen, at most 12 fields, variables named DEED_<FIELD>."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore", validate_default=True)


class ProcessSettings(Settings):
    """What every process needs: its name, its log, its health port, and how long it may take to stop."""

    process: Text = Field("deedbook", description="Name of this process in logs and metrics.")
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="Lowest level that is logged.")
    http_host: Text = Field("127.0.0.1", description="Address of /live, /ready and /metrics.")
    http_port: Port = Field(0, description="Port of /live, /ready and /metrics; 0 takes a free one.")
    http_names: tuple[str, ...] = Field((), description="Further names that the Host header may have, as a JSON list.")
    http_token: Secret | None = Field(None, description="Bearer token that /metrics asks for; needed off loopback.")
    stop_timeout_ms: int = Field(20_000, ge=100, le=600_000, description="How long a graceful stop may take.")

    @model_validator(mode="after")
    def _metrics_are_not_public(self) -> Self:
        if not is_loopback(self.http_host) and self.http_token is None:
            raise ValueError("DEED_HTTP_TOKEN must be set when DEED_HTTP_HOST is not a loopback address")
        return self


class KafkaSettings(Settings):
    """Where the ledger is, and how many lanes it has."""

    kafka_bootstrap: Text = Field(description="Broker addresses, host:port separated by commas.")
    lanes: int = Field(8, ge=1, le=1024, description="Partitions of each pipeline topic; fixed for a topic generation.")
    kafka_timeout_ms: int = Field(10_000, ge=100, le=120_000, description="Limit for each start and each send.")
    kafka_security: str = Field(
        "PLAINTEXT", pattern="^(PLAINTEXT|SSL|SASL_PLAINTEXT|SASL_SSL)$", description="Protocol."
    )
    kafka_ca_file: str = Field("", description="Certificates of the brokers' authority, for SSL.")
    kafka_cert_file: str = Field("", description="Our certificate, for mutual TLS.")
    kafka_key_file: str = Field("", description="Key of our certificate.")
    kafka_sasl_mechanism: str = Field("SCRAM-SHA-512", description="SASL mechanism, for SASL_*.")
    kafka_username: str = Field("", description="SASL user.")
    kafka_password: Password | None = Field(None, description="SASL password.")

    @model_validator(mode="after")
    def _sasl_is_complete(self) -> Self:
        if self.kafka_security.startswith("SASL") and (not self.kafka_username or self.kafka_password is None):
            raise ValueError("DEED_KAFKA_USERNAME and DEED_KAFKA_PASSWORD must be set when DEED_KAFKA_SECURITY is SASL")
        return self


class DatabaseSettings(Settings):
    """Where this process keeps its rows."""

    database_url: SecretUrl = Field(description="PostgreSQL, postgresql://user:password@host:port/database.")
    database_timeout_ms: int = Field(10_000, ge=100, le=120_000, description="Limit for a connect and for a statement.")


class ControlSettings(Settings):
    """How old the view of the switches may be."""

    control_stale_max_s: float = Field(5.0, gt=0, le=300, description="Older than this counts as 'all stopped'.")

    @property
    def control_stale_max_ms(self) -> int:
        """The same in milliseconds."""
        return int(self.control_stale_max_s * 1000)


class AuthSettings(Settings):
    """Whose tokens are believed. One algorithm, one issuer, one audience: nothing is taken from the token itself. A DID
    is believed as far as an operator has granted it something."""

    jwks: Text = Field(description="Key set of the issuer: a file or an https URL (http on loopback only).")
    jwt_issuer: Text = Field(description="Value that `iss` must have.")
    jwt_audience: Text = Field(description="Value that `aud` must contain.")
    jwt_algorithm: str = Field("EdDSA", pattern="^(EdDSA|ES256|RS256)$", description="The one algorithm of the issuer.")
    jwt_lifetime_max_s: int = Field(3600, ge=60, le=86_400, description="Longest `exp` - `iat` that is believed.")
    jwks_refresh_s: int = Field(300, ge=1, le=86_400, description="How often the key set is read again.")
    jwks_cooldown_s: int = Field(30, ge=1, le=3600, description="Shortest time between two reads for unknown keys.")
    jwks_stale_max_s: int = Field(3600, ge=1, le=604_800, description="How long the last good key set is believed.")
    dids_file: str = Field("", description="What DIDs may do, as TOML: tenant, accounts, roles and kind of each.")


class GrpcSettings(Settings):
    """A gRPC port and its bounds."""

    grpc_host: Text = Field("127.0.0.1", description="Address of the gRPC port.")
    grpc_port: Port = Field(0, description="The gRPC port; 0 takes a free one.")
    grpc_cert_file: str = Field("", description="Certificate chain of the server, for TLS; needed off loopback.")
    grpc_key_file: str = Field("", description="Key of the certificate.")
    grpc_plaintext: bool = Field(False, description="True: no TLS off loopback either, since a proxy before it has it.")
    grpc_calls_max: int = Field(1000, ge=1, le=100_000, description="Most calls at once, streams included.")
    grpc_request_bytes_max: int = Field(1_048_576, ge=1024, le=16_777_216, description="Largest request.")
    grpc_call_timeout_ms: int = Field(10_000, ge=100, le=120_000, description="Limit for each call but streams.")

    @model_validator(mode="after")
    def _tokens_are_not_sent_in_the_clear(self) -> Self:
        if not (is_loopback(self.grpc_host) or self.grpc_cert_file or self.grpc_plaintext):
            raise ValueError(
                "DEED_GRPC_CERT_FILE must be set when DEED_GRPC_HOST is not a loopback address"
                " (or DEED_GRPC_PLAINTEXT=true when a proxy before it has TLS)"
            )
        return self


S = TypeVar("S", bound=Settings)


def load(kind: type[S], **given: Any) -> S:
    """Read one settings class from the environment. Raises SettingsError with one sentence naming the variables."""
    try:
        return kind(**given)
    except ValidationError as error:
        raise SettingsError("; ".join(_sentence(kind, item) for item in error.errors()) + ".") from None
    except SourceError as error:  # a list is wanted and the value is not even JSON
        found = re.search(r'field "(\w+)"', str(error))
        raise SettingsError(f"{variable(found.group(1)) if found else kind.__name__} is not valid JSON.") from None


def is_loopback(host: str) -> bool:
    """Can only this machine reach the address?"""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def variables(kind: type[Settings]) -> list[tuple[str, str, str]]:
    """(variable, default, meaning) of each field: the reference in the docs is made of this."""
    rows = []
    for name, field in kind.model_fields.items():
        default = "required" if field.is_required() else str(field.default)
        rows.append((variable(name), default, field.description or ""))
    return rows


def variable(field: str) -> str:
    """The environment variable of a field."""
    return PREFIX + field.upper()


def _sentence(kind: type[Settings], item: Any) -> str:
    """The value itself is never shown: it may be a secret in the wrong place."""
    reason = str(item["msg"]).removeprefix("Value error, ")
    if not item["loc"]:
        return reason
    name = variable(str(item["loc"][0]))
    if item["type"] == "missing":
        meaning = (kind.model_fields[str(item["loc"][0])].description or "").rstrip(".")
        return f"{name} is not set ({meaning})"
    return f"{name} is wrong: {reason[0].lower()}{reason[1:]}"
