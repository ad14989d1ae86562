"""
The settings: environment variables `TDU_…` read once by the command line into one frozen object (12-factor).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict

from consent.conventions.retention import Durations
from consent.ledger.policy import Policy, PolicyInvalid


class Settings(BaseSettings):
    """
    Everything an operator can set. The defaults run the embedded mode: SQLite, embedded bus, one process, no server needed.
    """

    model_config = SettingsConfigDict(env_prefix="TDU_", frozen=True, extra="ignore")

    data_dir: Path = Field(default=Path("data"), description="where the embedded mode keeps its database and keys")
    database_url: str = Field(default="", description="postgresql+asyncpg://… ; empty: SQLite in the data directory")
    bus_url: str = Field(default="", description="amqp://… ; empty: the embedded bus, in the database")
    bus_prefix: str = Field(default="tdu", description="prefix of the queues on the broker")
    keys_dir: Path | None = Field(default=None, description="signing keys; empty: keys/ in the data directory")
    kek_file: Path | None = Field(
        default=None, description="root secret of the sealing; empty: kek in the keys directory"
    )
    host: str = "127.0.0.1"
    port: int = 8080
    issuer: str = Field(
        default="", description="the gateway's public address, without final slash; empty: http://host:port"
    )
    operator_siret: str = Field(
        default="99900009400014", description="SIRET of the organisation that runs this gateway"
    )
    ledger_origin: str = Field(
        default="", description="origin of the public log; empty: the issuer's host followed by /journal"
    )
    ledger_marks: Path | None = Field(
        default=None,
        description="where the last signed head is kept, outside the database and its backups; empty: marks/ in the data directory",
    )
    ledger_policy: Path | None = Field(
        default=None, description="C2SP tlog-policy file: the witnesses to ask, and how many are needed; empty: none"
    )
    ledger_quorum_hours: float = Field(
        default=4,
        gt=0,
        description="for how long exchanges go on without the quorum of witnesses; then they are refused",
    )
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    otel_exporter: Literal["none", "console", "otlp"] = "none"
    max_json_bytes: int = Field(default=2_000_000, description="largest JSON document accepted")
    max_file_bytes: int = Field(default=50_000_000, description="largest partner file accepted")
    sync_file_bytes: int = Field(
        default=8_000_000,
        ge=0,
        description="above this, a file in a format that is read as it comes (RSA flows) is taken in by a task",
    )
    max_flow_bytes: int = Field(default=2_000_000_000, description="largest file taken in by a task")
    lease_seconds: int = Field(
        default=120, description="how long a mailbox lease lasts before the delivery is offered again"
    )
    outgoing_ca_file: Path | None = Field(
        default=None, description="authorities (PEM) of the operator's own, for webhooks, beside the usual ones"
    )
    antivirus: str = Field(
        default="", description="clamd://host:port or icap://host:port/service; empty: attachments are not examined"
    )
    outbox_limit: int = Field(
        default=200_000, ge=1, description="deliveries that may wait for the bus before partners are asked to come back"
    )
    sftp_look_seconds: float = Field(
        default=30, gt=0, description="how often the answers of partners served by SFTP are looked for"
    )
    quarantine_days: int = Field(
        default=30, description="how long a refused file is kept, sealed, for its sender to examine"
    )
    objection_months: int = Field(
        default=24, ge=12, le=24, description="how long an objection is kept (CRPA R114-9-7: 12 to 24 months)"
    )
    notice_hours: int = Field(
        default=72, ge=1, description="within how long a recipient must acknowledge a withdrawal or an objection"
    )
    notice_reminder_hours: int = Field(
        default=24, ge=1, description="how often a notice that is not acknowledged is offered again"
    )
    smtp_url: str = Field(
        default="",
        repr=False,
        description="smtp://host:25, smtp+starttls://user:password@host:587 or smtps://…: the mail server by which officers are told of emergency accesses; empty: nobody is",
    )
    mail_from: str = Field(default="passerelle@localhost", description="the sender of these messages")
    sms_reply_hours: int = Field(default=72, ge=1, description="how long a question asked by SMS waits for its reply")
    delivered_months: int = Field(
        default=12,
        ge=1,
        le=12,
        description="how long a document is kept, sealed, once delivered (CRPA R114-9-7: at most 12)",
    )
    attachment_months: int = Field(
        default=6, ge=1, le=6, description="how long an attachment is kept, sealed, at most; a convention may say less"
    )
    proof_months: int = Field(
        default=36,
        ge=12,
        le=60,
        description="how long an agreement is kept once it is over, as a proof, where no convention says",
    )
    trace_months: int = Field(
        default=36,
        ge=36,
        le=60,
        description="how long what happened to a person can be read (CRPA R114-9-7: 36 months)",
    )
    idempotency_days: int = Field(default=7, ge=1, description="how long an answer is given again to the same request")
    limit_tokens: str = Field(default="300/minute", description="token requests of one system; empty: no limit")
    limit_requests: str = Field(default="60000/minute", description="requests of one system; empty: no limit")
    limit_bytes: str = Field(default="20000000000/hour", description="bytes that one system may send; empty: no limit")
    limit_subjects: str = Field(
        default="2000000/day", description="people that one system may send about or look up; empty: no limit"
    )
    token_keys: str = Field(
        default="",
        description="where the keys that sign tokens are: empty, files of the keys directory; env; or package.module:factory",
    )
    token_keys_pem: SecretStr = Field(
        default=SecretStr(""), description="with env: PEM blocks, each after “from: date” when it does not sign yet"
    )
    external_issuers: list[dict[str, Any]] = Field(
        default_factory=list,
        description="other servers whose tokens are accepted, as JSON (gateway.auth.external.ExternalIssuer)",
    )
    proxy_addresses: str = Field(
        default="",
        description="addresses or networks of the reverse proxy, between commas: whose word on client certificates is believed",
    )
    certificate_header: str = Field(
        default="client-cert",
        description="header in which the proxy passes the client's certificate (RFC 9440, or nginx's escaped PEM)",
    )
    certificate_verified_header: str = Field(
        default="client-verify", description="header in which the proxy says SUCCESS when it verified the chain"
    )
    openid_issuer: str = Field(
        default="",
        description="OpenID provider at which people sign in (Keycloak, ProConnect); empty: local accounts only",
    )
    openid_client_id: str = ""
    openid_client_secret_file: Path | None = None
    openid_scopes: str = Field(default="openid email", description="scopes asked of the OpenID provider")
    openid_pkce: bool = Field(default=True, description="PKCE (RFC 7636); off for ProConnect, which refuses it")
    openid_amr: str = Field(default="", description="factor that the provider must state (claim amr), such as mfa")
    openid_roles_claim: str = Field(
        default="", description="claim whose values are roles of the gateway; empty: roles given here, tdu user add"
    )
    openid_partner_claim: str = Field(
        default="siret", description="claim that holds the SIRET of an operator's partner"
    )
    index_seconds: float = Field(default=2, gt=0, description="how often the ledger's index takes in what is new")
    keeper_seconds: float = Field(default=60, gt=0, description="how often the keeper looks at what is due")

    @field_validator("ledger_policy")
    @classmethod
    def _policy(cls, path: Path | None) -> Path | None:
        """Refuse a policy that cannot be read, or whose quorum could not be had from the witnesses that have an address."""
        if path is None:
            return None
        try:
            policy = Policy.parse(path.read_bytes())
        except OSError as error:
            raise PydanticCustomError("file_unreadable", "the policy file cannot be read") from error
        except PolicyInvalid as error:
            raise PydanticCustomError(f"tlog_policy_line_{error.line}", "not a C2SP tlog-policy") from error
        if not policy.satisfied({witness.key for witness in policy.witnesses.values() if witness.url}):
            raise PydanticCustomError("witnesses_without_address", "the quorum cannot be asked for")
        return path

    @property
    def database(self) -> str:
        """The database's address, always with its driver."""
        return self.database_url or f"sqlite+aiosqlite:///{self.data_dir / 'trait-dunion.sqlite'}"

    @property
    def embedded(self) -> bool:
        """Whether this gateway needs no server beside itself."""
        return not self.database_url and not self.bus_url

    @property
    def keys(self) -> Path:
        """The directory of the signing keys."""
        return self.keys_dir or self.data_dir / "keys"

    @property
    def kek(self) -> Path:
        """The file of the root secret."""
        return self.kek_file or self.keys / "kek"

    @property
    def marks(self) -> Path:
        """The directory of the high-water mark of what was signed."""
        return self.ledger_marks or self.data_dir / "marks"

    @property
    def durations(self) -> Durations:
        """How long content and proofs are kept, where no convention says otherwise."""
        return Durations(
            proactive=self.delivered_months,
            referral=self.delivered_months,
            attachments=self.attachment_months,
            exchange_trace=self.trace_months,
            agreement_proof=self.proof_months,
            objection=self.objection_months,
        )

    @property
    def limits(self) -> dict[str, str]:
        """What one system may ask for, by kind (`gateway.limits.KINDS`)."""
        return {
            "tokens": self.limit_tokens,
            "requests": self.limit_requests,
            "bytes": self.limit_bytes,
            "subjects": self.limit_subjects,
        }

    @property
    def proxies(self) -> tuple[str, ...]:
        """The addresses and networks of the reverse proxy."""
        return tuple(filter(None, map(str.strip, self.proxy_addresses.split(","))))

    @property
    def public_address(self) -> str:
        """The issuer, as partners write it in `aud`."""
        return self.issuer or f"http://{self.host}:{self.port}"

    @property
    def origin(self) -> str:
        """The origin line of the public log's checkpoints (C2SP tlog-checkpoint)."""
        return self.ledger_origin or self.public_address.split("://", 1)[1] + "/journal"
