"""Where a client finds Deedbook, and who it says it is. On the machine of a local system nothing needs to be set."""

from __future__ import annotations

from pydantic import Field

from libs.runtime.settings import Password, Settings


class ClientSettings(Settings):
    """What a client of Deedbook needs. A variable that is set goes over what the local system says."""

    gateway: str = Field("", description="host:port of the gateway; empty = that of the local system.")
    status: str = Field("", description="host:port of the status service; empty = that of the local system.")
    token: Password | None = Field(None, description="The token that says who calls.")
    token_file: str = Field("", description="A file with the token, read for each call; goes over DEED_TOKEN.")
    did_key_file: str = Field(
        "", description="A private key (PEM) that signs each call, instead of a token: `deed did`."
    )
    did: str = Field("", description="The DID with that key, as did:web:HOST#KEY; empty = the did:key of the key.")
    did_tenant: str = Field("", description="The tenant in which an operator granted that DID something.")
    did_audience: str = Field("deedbook", description="What its signatures are for: DEED_JWT_AUDIENCE of the services.")
    ca_file: str = Field("", description="Certificates of the authority of gateway and status; set = TLS.")
    call_timeout_ms: int = Field(10_000, ge=100, le=600_000, description="Limit for each call but Watch.")
    kafka_bootstrap: str = Field("", description="Broker addresses, to publish intents on Kafka; empty = by gRPC.")
    local_tenant: str = Field("acme", description="Tenant of the tokens that are minted for a local system.")
    local_accounts: tuple[str, ...] = Field(("main",), description="Their accounts, as a JSON list.")
