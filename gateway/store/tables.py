"""
The tables of the house `gateway`: partners, subjects, documents, exchanges, deliveries, the outbox and the embedded bus.

No column holds personal data in clear: `sealed` columns are AES-256-GCM under the subject's data key, and look-ups by
identity go through keyed blind indexes (`subject_keys`).
"""

import sqlalchemy as sa

from consent.tables import NAMING, Instant, Key

metadata = sa.MetaData(naming_convention=NAMING)

generations = sa.Table(
    "generations",
    metadata,
    sa.Column("name", sa.String(32), primary_key=True),
    sa.Column(
        "value",
        sa.Integer,
        nullable=False,
        comment="grows with every change; what is kept in memory is stale when it moved",
    ),
)

partners = sa.Table(
    "partners",
    metadata,
    sa.Column("siret", sa.String(14), primary_key=True),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("signing_jwks", sa.JSON, nullable=False, comment="public keys that sign conventions"),
    sa.Column("created_at", Instant, nullable=False),
)

systems = sa.Table(
    "systems",
    metadata,
    sa.Column("client_id", sa.String(64), primary_key=True),
    sa.Column("partner", sa.String(14), sa.ForeignKey("partners.siret"), nullable=False, index=True),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("jwks", sa.JSON, nullable=False, comment="public keys for private_key_jwt"),
    sa.Column("roles", sa.JSON, nullable=False, comment="partner, auditor, administrator"),
    sa.Column("adapter", sa.String(64), nullable=False, comment="how documents are written for this system"),
    sa.Column(
        "security",
        sa.JSON,
        nullable=False,
        server_default="{}",
        comment="how it authenticates, what its tokens are bound to",
    ),
    sa.Column("secret", sa.LargeBinary(32), nullable=True, comment="SHA-256 of a sandbox secret"),
    sa.Column(
        "registration_token",
        sa.LargeBinary(32),
        nullable=True,
        comment="SHA-256; lets the system manage its registration",
    ),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("disabled_at", Instant, nullable=True),
)

invitations = sa.Table(
    "invitations",
    metadata,
    sa.Column("token", sa.LargeBinary(32), primary_key=True, comment="SHA-256 of the initial access token (RFC 7591)"),
    sa.Column("partner", sa.String(14), sa.ForeignKey("partners.siret"), nullable=False),
    sa.Column("security", sa.JSON, nullable=False, comment="what the operator allows the systems registered with it"),
    sa.Column("uses", sa.Integer, nullable=False, comment="registrations that it still lets in"),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("expires_at", Instant, nullable=False, index=True),
)

assertion_jtis = sa.Table(
    "assertion_jtis",
    metadata,
    sa.Column("client_id", sa.String(64), primary_key=True),
    sa.Column("jti", sa.String(256), primary_key=True),
    sa.Column("expires_at", Instant, nullable=False, index=True),
)

revoked_tokens = sa.Table(
    "revoked_tokens",
    metadata,
    sa.Column("jti", sa.String(64), primary_key=True),
    sa.Column("expires_at", Instant, nullable=False, index=True),
)

subjects = sa.Table(
    "subjects",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("erased_at", Instant, nullable=True),
)

subject_data_keys = sa.Table(
    "subject_data_keys",
    metadata,
    sa.Column("subject_id", sa.String(36), primary_key=True),
    sa.Column("kek", sa.String(16), nullable=False, comment="which key-encryption key wraps it"),
    sa.Column("wrapped", sa.LargeBinary, nullable=False, comment="AES-SIV; deleting this row erases the person"),
)

subject_keys = sa.Table(
    "subject_keys",
    metadata,
    sa.Column("kind", sa.String(8), primary_key=True, comment="nir, pivot, or alias: a partner's pseudonym"),
    sa.Column("value", sa.LargeBinary(33), primary_key=True, comment="blind index: version || HMAC-SHA-256"),
    sa.Column("subject_id", sa.String(36), sa.ForeignKey("subjects.id"), primary_key=True),
    sa.Index(
        "uq_subject_keys_nir",
        "value",
        unique=True,
        sqlite_where=sa.text("kind = 'nir'"),
        postgresql_where=sa.text("kind = 'nir'"),
    ),
)

erasures = sa.Table(
    "erasures",
    metadata,
    sa.Column("person", sa.String(36), primary_key=True, comment="the subject that was erased"),
    sa.Column("objections_kept", sa.Boolean, nullable=False, comment="whether objections in force were kept apart"),
)

documents = sa.Table(
    "documents",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("schema_version", sa.String(8), nullable=False),
    sa.Column("sender", sa.String(14), nullable=False),
    sa.Column("subject_id", sa.String(36), sa.ForeignKey("subjects.id"), nullable=False, index=True),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.Column("received_at", Instant, nullable=False, index=True),
)

exchanges = sa.Table(
    "exchanges",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("batch", sa.String(36), nullable=False, index=True, comment="one POST may carry many documents"),
    sa.Column("document_id", sa.String(36), nullable=False, index=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("purpose", sa.String(40), nullable=False),
    sa.Column("sender", sa.String(14), nullable=False),
    sa.Column("client_id", sa.String(64), nullable=False),
    sa.Column("subject_id", sa.String(36), nullable=False, index=True),
    sa.Column(
        "about",
        sa.String(36),
        nullable=True,
        index=True,
        comment="the referral a status is about, or the exchange a notice is about",
    ),
    sa.Column("version", sa.Integer, nullable=True, comment="the sequence of a status"),
    sa.Column(
        "right_opened",
        sa.Boolean,
        nullable=True,
        comment="whether a status that was let through says that a right was opened, which right is not said; null of anything else",
    ),
    sa.Column("event_id", sa.String(36), nullable=False, comment="its acceptance in the ledger"),
    sa.Column("source_line", sa.Integer, nullable=True),
    sa.Column("trace", sa.String(64), nullable=True, comment="traceparent of the POST"),
    sa.Column("received_at", Instant, nullable=False),
    sa.Column("updated_at", Instant, nullable=False),
    sa.Index("ix_exchanges_sender_updated", "sender", "updated_at", "id"),
)

deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("exchange_id", sa.String(36), sa.ForeignKey("exchanges.id"), nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("sender", sa.String(14), nullable=False),
    sa.Column("recipient", sa.String(14), nullable=False),
    sa.Column("subject_id", sa.String(36), nullable=False),
    sa.Column(
        "state",
        sa.String(16),
        nullable=False,
        comment="refused queued available leased acknowledged rejected abandoned stopped",
    ),
    sa.Column("decision", sa.JSON, nullable=False, comment="convention, flow, fields, reasons: nothing personal"),
    sa.Column("lease", sa.String(36), nullable=True, index=True),
    sa.Column("leased_until", Instant, nullable=True),
    sa.Column("leased_to", sa.String(64), nullable=True),
    sa.Column("disclosures", sa.Integer, nullable=False, server_default="0"),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column(
        "refusals", sa.Integer, nullable=False, server_default="0", comment="attempts that failed by its own fault"
    ),
    sa.Column("next_attempt_at", Instant, nullable=True),
    sa.Column("available_at", Instant, nullable=True),
    sa.Column("acknowledged_at", Instant, nullable=True),
    sa.Column("last_error", sa.String(200), nullable=True),
    sa.Column("parent", sa.String(36), nullable=True, comment="the closed delivery that this one replays"),
    sa.Column("replay_id", sa.String(36), nullable=True, index=True, comment="the task that asked for it"),
    sa.Column("trace", sa.String(64), nullable=True),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("updated_at", Instant, nullable=False),
    sa.Index("ix_deliveries_mailbox", "recipient", "state", "created_at", "id"),
    sa.Index("ix_deliveries_exchange", "exchange_id", "recipient"),
    sa.Index("ix_deliveries_person", "subject_id", "recipient", "state"),
    sa.Index("uq_deliveries_parent", "parent", unique=True),
)

notices = sa.Table(
    "notices",
    metadata,
    sa.Column("delivery_id", sa.String(36), sa.ForeignKey("deliveries.id"), primary_key=True),
    sa.Column("cause", sa.String(16), nullable=False, comment="withdrawal, objection or erasure"),
    sa.Column("about", sa.String(36), nullable=False, comment="the agreement taken back, or the objection"),
    sa.Column("due_at", Instant, nullable=False, comment="when its recipient must have acknowledged it"),
    sa.Column("remind_at", Instant, nullable=True, comment="when it is offered again; null once it is closed"),
    sa.Column("reminders", sa.Integer, nullable=False, server_default="0"),
    sa.Column("overdue_at", Instant, nullable=True, comment="when the ledger recorded that it was late"),
    sa.Index(
        "ix_notices_open",
        "due_at",
        "delivery_id",
        sqlite_where=sa.text("remind_at IS NOT NULL"),
        postgresql_where=sa.text("remind_at IS NOT NULL"),
    ),
)

outbox = sa.Table(
    "outbox",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("queue", sa.String(64), nullable=False),
    sa.Column("event", sa.JSON, nullable=False, comment="a CloudEvent: identifiers only"),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("next_attempt_at", Instant, nullable=False, index=True),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
)

inbox = sa.Table(
    "inbox",
    metadata,
    sa.Column("consumer", sa.String(32), primary_key=True),
    sa.Column("message_id", sa.String(36), primary_key=True),
    sa.Column("received_at", Instant, nullable=False, index=True),
)

bus_messages = sa.Table(
    "bus_messages",
    metadata,
    sa.Column("seq", Key, primary_key=True, autoincrement=True),
    sa.Column("id", sa.String(36), nullable=False),
    sa.Column("queue", sa.String(64), nullable=False),
    sa.Column("event", sa.JSON, nullable=False),
    sa.Column("visible_at", Instant, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("dead_reason", sa.String(200), nullable=True),
    sa.Index("ix_bus_messages_ready", "queue", "visible_at"),
    sa.UniqueConstraint("queue", "id"),
    sqlite_autoincrement=True,
)

idempotency_keys = sa.Table(
    "idempotency_keys",
    metadata,
    sa.Column("client_id", sa.String(64), primary_key=True),
    sa.Column("key", sa.String(128), primary_key=True),
    sa.Column("request", sa.LargeBinary(32), nullable=False, comment="HMAC-SHA-256 of the method, path and body"),
    sa.Column("status", sa.Integer, nullable=False),
    sa.Column("response", sa.JSON, nullable=False, comment="identifiers and decisions: nothing personal"),
    sa.Column("created_at", Instant, nullable=False, index=True),
)

flows = sa.Table(
    "flows",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True, comment="in the order of time; the batch of its exchanges"),
    sa.Column("partner", sa.String(14), nullable=False, index=True, comment="its sender"),
    sa.Column("client_id", sa.String(64), nullable=False),
    sa.Column("caller", sa.JSON, nullable=False, comment="what the sender's token said when it was sent"),
    sa.Column("adapter", sa.String(64), nullable=False),
    sa.Column(
        "state",
        sa.String(16),
        nullable=False,
        index=True,
        comment="receiving reading running, then done refused stopped cancelled",
    ),
    sa.Column("pieces", sa.Integer, nullable=False, server_default="0"),
    sa.Column("size", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("total", sa.Integer, nullable=True, comment="records in the file, once it was read whole"),
    sa.Column("cursor", sa.Integer, nullable=False, server_default="0", comment="records whose outcome is recorded"),
    sa.Column("refused", sa.Integer, nullable=False, server_default="0", comment="records of which nothing was taken"),
    sa.Column("documents", sa.JSON, nullable=False, comment="counts of documents by what became of them"),
    sa.Column("problem", sa.JSON, nullable=True, comment="why the whole was refused or stopped"),
    sa.Column("held_by", sa.String(36), nullable=True, comment="the loop that works on it"),
    sa.Column("held_until", Instant, nullable=True),
    sa.Column("not_before", Instant, nullable=True, comment="waits for a limit until then"),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("updated_at", Instant, nullable=False),
    sa.Column("finished_at", Instant, nullable=True),
)

flow_pieces = sa.Table(
    "flow_pieces",
    metadata,
    sa.Column("flow_id", sa.String(36), primary_key=True),
    sa.Column("part", sa.String(8), primary_key=True, comment="body, or report"),
    sa.Column("number", sa.Integer, primary_key=True, comment="of a report, the first of its records"),
    sa.Column("sealed", sa.LargeBinary, nullable=False, comment="under the gateway's own key"),
)

volumes = sa.Table(
    "volumes",
    metadata,
    sa.Column("convention_id", sa.String(64), primary_key=True),
    sa.Column("sender", sa.String(14), primary_key=True),
    sa.Column("period", sa.String(20), primary_key=True, index=True, comment="a day in France, or a minute in UTC"),
    sa.Column("documents", sa.Integer, nullable=False, comment="accepted from this sender under the convention"),
)

quarantine = sa.Table(
    "quarantine",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("client_id", sa.String(64), nullable=False),
    sa.Column("sender", sa.String(14), nullable=False),
    sa.Column("adapter", sa.String(64), nullable=False),
    sa.Column("code", sa.String(64), nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False, comment="the bytes as received, under the gateway's own key"),
    sa.Column("received_at", Instant, nullable=False),
    sa.Column("expires_at", Instant, nullable=False, index=True),
)

endpoints = sa.Table(
    "endpoints",
    metadata,
    sa.Column("client_id", sa.String(64), sa.ForeignKey("systems.client_id"), primary_key=True),
    sa.Column("partner", sa.String(14), nullable=False, index=True),
    sa.Column("transport", sa.String(16), nullable=False, comment="pull, webhook, sftp or amqp"),
    sa.Column("kinds", sa.JSON(none_as_null=True), nullable=True, comment="what it takes; null: every kind"),
    sa.Column("settings", sa.JSON, nullable=False, comment="what the partner set; no secret"),
    sa.Column("sealed", sa.LargeBinary, nullable=True, comment="its secrets, under the gateway's own key"),
    sa.Column("policy", sa.JSON, nullable=False, comment="how long to try, and when to suspend"),
    sa.Column("allowance", sa.JSON, nullable=False, comment="networks and ports that the operator opened for it"),
    sa.Column("state", sa.String(16), nullable=False, comment="active or suspended"),
    sa.Column("failures", sa.Integer, nullable=False, server_default="0", comment="in a row"),
    sa.Column("failing_since", Instant, nullable=True),
    sa.Column("next_attempt_at", Instant, nullable=True),
    sa.Column("last_success_at", Instant, nullable=True),
    sa.Column("last_error", sa.String(64), nullable=True),
    sa.Column("suspended_at", Instant, nullable=True),
    sa.Column("updated_at", Instant, nullable=False),
)

sources = sa.Table(
    "sources",
    metadata,
    sa.Column("client_id", sa.String(64), sa.ForeignKey("systems.client_id"), primary_key=True),
    sa.Column("partner", sa.String(14), nullable=False, index=True),
    sa.Column("way", sa.String(16), nullable=False, comment="api, or the name of a hook or a connector"),
    sa.Column("settings", sa.JSON, nullable=False, comment="what the partner set; no secret"),
    sa.Column("sealed", sa.LargeBinary, nullable=True, comment="its secrets, under the gateway's own key"),
    sa.Column("cursor", sa.JSON, nullable=False, comment="where it was left: hours and numbers of messages"),
    sa.Column("failures", sa.Integer, nullable=False, server_default="0", comment="in a row"),
    sa.Column("next_pull_at", Instant, nullable=True),
    sa.Column("held_until", Instant, nullable=True, comment="one process asks at a time"),
    sa.Column("last_success_at", Instant, nullable=True),
    sa.Column("last_error", sa.String(64), nullable=True),
    sa.Column("updated_at", Instant, nullable=False),
)

elsewhere = sa.Table(
    "elsewhere",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True, comment="of a delivery or of a document"),
    sa.Column("partner", sa.String(14), nullable=False),
    sa.Column("reference", sa.String(64), nullable=False, comment="what it is called there: a folder, a case"),
    sa.Column("at", Instant, nullable=False, index=True),
)

delivery_attempts = sa.Table(
    "delivery_attempts",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True, comment="in the order of time"),
    sa.Column("delivery_id", sa.String(36), nullable=True, index=True, comment="null: a test of the endpoint"),
    sa.Column("client_id", sa.String(64), nullable=False, index=True),
    sa.Column("transport", sa.String(16), nullable=False),
    sa.Column("outcome", sa.String(16), nullable=False, comment="taken, waits, refused or failed"),
    sa.Column("code", sa.String(64), nullable=True),
    sa.Column("milliseconds", sa.Integer, nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=True, comment="the beginning of the reply, under the subject's key"),
    sa.Column("attempted_at", Instant, nullable=False, index=True),
)

replays = sa.Table(
    "replays",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True, comment="in the order of time"),
    sa.Column("requested_by", sa.String(64), nullable=False, comment="client_id; empty: the operator"),
    sa.Column("partner", sa.String(14), nullable=False, index=True, comment="whose deliveries; empty: everybody's"),
    sa.Column("filters", sa.JSON, nullable=False),
    sa.Column("state", sa.String(16), nullable=False, index=True, comment="running, done or cancelled"),
    sa.Column("total", sa.Integer, nullable=False, comment="what the filters found when it was asked for"),
    sa.Column("replayed", sa.Integer, nullable=False, server_default="0"),
    sa.Column("refused", sa.Integer, nullable=False, server_default="0"),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("updated_at", Instant, nullable=False),
    sa.Column("finished_at", Instant, nullable=True),
)

people = sa.Table(
    "people",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("login", sa.String(64), nullable=False, unique=True, comment="of an agent of the gateway or a partner"),
    sa.Column("password", sa.String(200), nullable=True, comment="argon2id; null: signs in at the OpenID provider"),
    sa.Column("totp", sa.LargeBinary, nullable=True, comment="the TOTP secret, under the gateway's own key"),
    sa.Column("totp_step", sa.Integer, nullable=False, comment="the last time step whose code was used"),
    sa.Column("openid_subject", sa.String(255), nullable=True, unique=True),
    sa.Column("roles", sa.JSON, nullable=False),
    sa.Column("partner", sa.String(14), nullable=False, comment="whose exchanges an operator follows; empty: none"),
    sa.Column("failures", sa.Integer, nullable=False, comment="in a row"),
    sa.Column("locked_until", Instant, nullable=True),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("disabled_at", Instant, nullable=True),
)

person_sessions = sa.Table(
    "person_sessions",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True, comment="the SHA-256 of the cookie"),
    sa.Column("person_id", sa.String(36), nullable=False, index=True),
    sa.Column("login", sa.String(64), nullable=False),
    sa.Column("roles", sa.JSON, nullable=False, comment="as they were at sign-in"),
    sa.Column("partner", sa.String(14), nullable=False),
    sa.Column("browser", sa.String(64), nullable=False, comment="the SHA-256 of its User-Agent"),
    sa.Column("id_token", sa.LargeBinary, nullable=True, comment="the provider's, under the gateway's own key"),
    sa.Column("opened_at", Instant, nullable=False, index=True),
    sa.Column("seen_at", Instant, nullable=False),
    sa.Column("ended_at", Instant, nullable=True),
)

attachments = sa.Table(
    "attachments",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("exchange_id", sa.String(36), nullable=False, index=True),
    sa.Column("document_id", sa.String(36), nullable=False, index=True),
    sa.Column("subject_id", sa.String(36), nullable=False, index=True),
    sa.Column("sender", sa.String(14), nullable=False),
    sa.Column("digest", sa.LargeBinary(33), nullable=True, comment="blind index of its SHA-256"),
    sa.Column("size", sa.Integer, nullable=True),
    sa.Column("chunks", sa.Integer, nullable=False),
    sa.Column(
        "state", sa.String(16), nullable=False, index=True, comment="receiving quarantined clean unscanned infected"
    ),
    sa.Column("verdict", sa.String(64), nullable=True, comment="what the antivirus found"),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("updated_at", Instant, nullable=False),
)

attachment_chunks = sa.Table(
    "attachment_chunks",
    metadata,
    sa.Column("attachment_id", sa.String(36), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False, comment="a megabyte of the file, under the subject's key"),
)

directory_structures = sa.Table(
    "directory_structures",
    metadata,
    sa.Column("id", sa.String(200), primary_key=True),
    sa.Column("source", sa.String(100), nullable=False, index=True),
    sa.Column("siret", sa.String(14), nullable=True),
    sa.Column("record", sa.JSON, nullable=False, comment="data-inclusion, schema v1: public data, about nobody"),
)

directory_services = sa.Table(
    "directory_services",
    metadata,
    sa.Column("id", sa.String(200), primary_key=True),
    sa.Column("source", sa.String(100), nullable=False, index=True),
    sa.Column("structure_id", sa.String(200), nullable=False),
    sa.Column("record", sa.JSON, nullable=False, comment="data-inclusion, schema v1, without the name of the contact"),
)

directory_facets = sa.Table(
    "directory_facets",
    metadata,
    sa.Column("facet", sa.String(8), primary_key=True, comment="theme public zone place"),
    sa.Column("value", sa.String(120), primary_key=True),
    sa.Column("service_id", sa.String(200), primary_key=True, index=True),
)

directory_capacities = sa.Table(
    "directory_capacities",
    metadata,
    sa.Column("service_id", sa.String(200), primary_key=True, comment="kept when its source is imported again"),
    sa.Column("places", sa.Integer, nullable=False, comment="open when it was declared"),
    sa.Column("until", sa.String(10), nullable=False, index=True, comment="last day on which it holds (Paris)"),
    sa.Column("declared_by", sa.String(14), nullable=False),
    sa.Column("declared_at", Instant, nullable=False),
)
