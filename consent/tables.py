"""
The tables of the house `consent`: conventions, agreements, objections and the ledger.

Personal data never stands in a plain column here: documents are sealed by the caller under the
subject's data key (`gateway.store.crypto`), and what is plain is what the gate must select on.
"""

import sqlalchemy as sa

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

metadata = sa.MetaData(naming_convention=NAMING)

Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""An autoincrement key: 64 bits on PostgreSQL, rowid on SQLite."""

Instant = sa.String(32)
"""An instant as UTC text `YYYY-MM-DDTHH:MM:SS.ffffffZ`: SQLite drops offsets, text sorts the same on both databases."""

conventions = sa.Table(
    "conventions",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("hash", sa.String(64), nullable=False, unique=True),
    sa.Column("document", sa.JSON, nullable=False),
    sa.Column("proposed_by", sa.String(14), nullable=False),
    sa.Column("proposed_at", Instant, nullable=False),
)

convention_signatures = sa.Table(
    "convention_signatures",
    metadata,
    sa.Column("convention_id", sa.String(64), primary_key=True),
    sa.Column("convention_version", sa.Integer, primary_key=True),
    sa.Column("party", sa.String(14), primary_key=True),
    sa.Column("kid", sa.String(128), nullable=False),
    sa.Column("jws", sa.Text, nullable=False),
    sa.Column("signed_at", Instant, nullable=False),
    sa.ForeignKeyConstraint(
        ["convention_id", "convention_version"],
        ["conventions.id", "conventions.version"],
        name="fk_signatures_convention",
    ),
)

convention_marks = sa.Table(
    "convention_marks",
    metadata,
    sa.Column("id", Key, primary_key=True, autoincrement=True),
    sa.Column("convention_id", sa.String(64), nullable=False),
    sa.Column("convention_version", sa.Integer, nullable=False),
    sa.Column("kind", sa.String(16), nullable=False, comment="suspended, resumed, revoked or rejected"),
    sa.Column("by", sa.String(14), nullable=False),
    sa.Column("at", Instant, nullable=False),
    sa.ForeignKeyConstraint(
        ["convention_id", "convention_version"], ["conventions.id", "conventions.version"], name="fk_marks_convention"
    ),
    sqlite_autoincrement=True,
)

agreements = sa.Table(
    "agreements",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("subject_id", sa.String(36), nullable=False, index=True),
    sa.Column("collected_by", sa.String(14), nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False, comment="the consent document, sealed under the subject's key"),
    sa.Column(
        "decisive", sa.JSON, nullable=False, comment="what the gate reads: state, dates, scopes; nothing personal"
    ),
    sa.Column("event_id", sa.String(36), nullable=True, comment="its recording in the ledger"),
    sa.Column("recorded_at", Instant, nullable=False),
    sa.Column("withdrawn_at", Instant, nullable=True),
    sa.Column("ends_at", Instant, nullable=True, index=True, comment="when it will end by itself; null once it ended"),
    sa.Column("over_at", Instant, nullable=True, index=True, comment="when it is over: its proof is kept from then on"),
    sa.Index("ix_agreements_collected_by_recorded_at_id", "collected_by", "recorded_at", "id"),
)

sms_requests = sa.Table(
    "sms_requests",
    metadata,
    sa.Column("correlation", sa.String(43), primary_key=True, comment="unguessable; comes back with the reply"),
    sa.Column("agreement_id", sa.String(36), nullable=False, unique=True),
    sa.Column("subject_id", sa.String(36), nullable=False, index=True),
    sa.Column("collected_by", sa.String(14), nullable=False),
    sa.Column("phone", sa.LargeBinary(33), nullable=False, comment="blind index of the correlation and the number"),
    sa.Column(
        "sealed", sa.LargeBinary, nullable=True, comment="the consent document and the question; null once answered"
    ),
    sa.Column("requested_at", Instant, nullable=False),
    sa.Column("expires_at", Instant, nullable=False, index=True),
    sa.Column("state", sa.String(16), nullable=False, comment="pending, given or refused"),
)

objections = sa.Table(
    "objections",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("subject_id", sa.String(36), nullable=False, index=True),
    sa.Column("recorded_by", sa.String(14), nullable=False),
    sa.Column("recipient", sa.String(14), nullable=True, comment="null: every recipient"),
    sa.Column("purpose", sa.String(40), nullable=True, comment="null: every purpose"),
    sa.Column("since", Instant, nullable=False),
    sa.Column("until", Instant, nullable=False, index=True),
)

break_glass = sa.Table(
    "break_glass",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("subject_id", sa.String(36), nullable=False, index=True),
    sa.Column("convention_id", sa.String(64), nullable=False),
    sa.Column("convention_version", sa.Integer, nullable=False),
    sa.Column("convention_hash", sa.String(64), nullable=False),
    sa.Column("flow", sa.String(64), nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("sender", sa.String(14), nullable=False, index=True, comment="who opened it"),
    sa.Column("recipient", sa.String(14), nullable=False),
    sa.Column("client_id", sa.String(64), nullable=False),
    sa.Column("reason", sa.String(40), nullable=False),
    sa.Column(
        "sealed",
        sa.LargeBinary,
        nullable=False,
        comment="the person, the professional and why, under the subject's key",
    ),
    sa.Column("opened_at", Instant, nullable=False),
    sa.Column("until", Instant, nullable=False),
    sa.Column("ended_at", Instant, nullable=True, comment="when it ended, and the ledger says so"),
    sa.Column("review_due_at", Instant, nullable=False),
    sa.Column("reviewed_at", Instant, nullable=True),
    sa.Column("reviewed_by", sa.String(14), nullable=True),
    sa.Column("outcome", sa.String(16), nullable=True, comment="justified or unjustified"),
    sa.Column("overdue_at", Instant, nullable=True, comment="when the ledger recorded that its review was late"),
    sa.Index("ix_break_glass_opened_at_id", "opened_at", "id"),
)

break_glass_mails = sa.Table(
    "break_glass_mails",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("opening_id", sa.String(36), nullable=False, index=True),
    sa.Column("party", sa.String(14), nullable=False),
    sa.Column("address", sa.String(254), nullable=False, comment="of the party's DPO, as the signed convention says"),
    sa.Column("cause", sa.String(16), nullable=False, comment="opened, ended, reviewed or overdue"),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("next_attempt_at", Instant, nullable=True, index=True, comment="null once the mail server has it"),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("sent_at", Instant, nullable=True),
)

ledger_events = sa.Table(
    "ledger_events",
    metadata,
    sa.Column("seq", Key, primary_key=True, autoincrement=True, comment="insertion order; never used as a cursor"),
    sa.Column("id", sa.String(36), nullable=False, unique=True),
    sa.Column("type", sa.String(40), nullable=False),
    sa.Column("occurred_at", Instant, nullable=False),
    sa.Column("actor", sa.String(14), nullable=False),
    sa.Column("recipient", sa.String(14), nullable=True),
    sa.Column("exchange_id", sa.String(36), nullable=True, index=True),
    sa.Column("delivery_id", sa.String(36), nullable=True),
    sa.Column("convention_id", sa.String(64), nullable=True),
    sa.Column("subject_id", sa.String(36), nullable=True, index=True),
    sa.Column("entry", sa.LargeBinary, nullable=False, comment="0x01 || HMAC-SHA-256: what the log holds"),
    sa.Column("sealed", sa.LargeBinary, nullable=False, comment="the canonical event, sealed under the subject's key"),
    sa.Column("index", Key, nullable=True, unique=True, comment="given once, without gap, by the sequencer"),
    sa.Column(
        "summary", sa.Text, nullable=True, comment="what a search selects on; null for what the index leaves out"
    ),
    sa.Column("label", sa.LargeBinary(32), nullable=True, comment="names the person's list; null once erased"),
    sa.Index(
        "ix_ledger_events_unsequenced",
        "seq",
        sqlite_where=sa.text('"index" IS NULL'),
        postgresql_where=sa.text('"index" IS NULL'),
    ),
    sa.Index("ix_ledger_events_occurred_at", "occurred_at"),
    sqlite_autoincrement=True,
)

ledger_tiles = sa.Table(
    "ledger_tiles",
    metadata,
    sa.Column("level", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("number", Key, primary_key=True, autoincrement=False),
    sa.Column(
        "hashes", sa.LargeBinary, nullable=False, comment="1 to 256 hashes of 32 bytes; only ever grows at its end"
    ),
)

ledger_checkpoints = sa.Table(
    "ledger_checkpoints",
    metadata,
    sa.Column("size", Key, primary_key=True, autoincrement=False),
    sa.Column("root", sa.LargeBinary, nullable=False),
    sa.Column("note", sa.Text, nullable=False, comment="the signed note, every one ever signed"),
    sa.Column("signed_at", Instant, nullable=False),
    sa.Column("published_at", Instant, nullable=True, comment="when it was first shown to the outside"),
    sa.Column("witnessed_at", Instant, nullable=True, comment="when the quorum of witnesses had cosigned it"),
    sa.Index(
        "ix_ledger_checkpoints_witnessed",
        "size",
        sqlite_where=sa.text("witnessed_at IS NOT NULL"),
        postgresql_where=sa.text("witnessed_at IS NOT NULL"),
    ),
)

ledger_policies = sa.Table(
    "ledger_policies",
    metadata,
    sa.Column("digest", sa.String(64), primary_key=True, comment="SHA-256 of the policy file, in hexadecimal"),
    sa.Column("since", Instant, nullable=False, comment="when this gateway first asked these witnesses"),
)

ledger_index = sa.Table(
    "ledger_index",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False, comment="1: there is one index"),
    sa.Column("start", Key, nullable=False, comment="the first entry of the log that is in the lists"),
    sa.Column("size", Key, nullable=False, comment="how many entries of the log are covered"),
    sa.Column("root", sa.LargeBinary(32), nullable=False),
    sa.Column("event_id", sa.String(36), nullable=False, comment="the entry that commits to this root"),
)

ledger_lists = sa.Table(
    "ledger_lists",
    metadata,
    sa.Column("id", Key, primary_key=True, autoincrement=True),
    sa.Column("bucket", sa.Integer, nullable=False),
    sa.Column("key", sa.LargeBinary(32), nullable=False, comment="hash of the list's kind and value, then its day"),
    sa.Column("rows", Key, nullable=False, comment="how many"),
    sa.Column("root", sa.LargeBinary(32), nullable=False),
    sa.UniqueConstraint("bucket", "key"),
    sqlite_autoincrement=True,
)

ledger_list_rows = sa.Table(
    "ledger_list_rows",
    metadata,
    sa.Column("list_id", Key, primary_key=True, autoincrement=False),
    sa.Column("position", Key, primary_key=True, autoincrement=False),
    sa.Column("place", Key, nullable=False, comment="the entry's index in the log"),
)

ledger_list_tiles = sa.Table(
    "ledger_list_tiles",
    metadata,
    sa.Column("list_id", Key, primary_key=True, autoincrement=False),
    sa.Column("level", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("number", Key, primary_key=True, autoincrement=False),
    sa.Column("hashes", sa.LargeBinary, nullable=False, comment="1 to 256 hashes of 32 bytes, as those of the log"),
)

ledger_index_tiles = sa.Table(
    "ledger_index_tiles",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False, comment="0 to 255: buckets; 256: the top"),
    sa.Column("hashes", sa.LargeBinary, nullable=False, comment="256 hashes of 32 bytes"),
)
