"""
answers are proven complete

Revision: 0003, after 0002.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Apply this revision. Events already written stay outside the index, which begins with the first one that follows."""
    op.add_column(
        "ledger_events",
        sa.Column(
            "summary",
            sa.Text(),
            nullable=True,
            comment="what a search selects on; null for what the index leaves out",
        ),
    )
    op.add_column(
        "ledger_events",
        sa.Column(
            "label",
            sa.LargeBinary(length=32),
            nullable=True,
            comment="names the person's list; null once erased",
        ),
    )
    op.create_table(
        "ledger_index",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False, comment="1: there is one index"),
        sa.Column("start", _KEY, nullable=False, comment="the first entry of the log that is in the lists"),
        sa.Column("size", _KEY, nullable=False, comment="how many entries of the log are covered"),
        sa.Column("root", sa.LargeBinary(length=32), nullable=False),
        sa.Column("event_id", sa.String(length=36), nullable=False, comment="the entry that commits to this root"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_index")),
    )
    op.create_table(
        "ledger_lists",
        sa.Column("id", _KEY, autoincrement=True, nullable=False),
        sa.Column("bucket", sa.Integer(), nullable=False),
        sa.Column(
            "key",
            sa.LargeBinary(length=32),
            nullable=False,
            comment="hash of the list's kind and value, then its day",
        ),
        sa.Column("rows", _KEY, nullable=False, comment="how many"),
        sa.Column("root", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_lists")),
        sa.UniqueConstraint("bucket", "key", name=op.f("uq_ledger_lists_bucket_key")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "ledger_list_rows",
        sa.Column("list_id", _KEY, autoincrement=False, nullable=False),
        sa.Column("position", _KEY, autoincrement=False, nullable=False),
        sa.Column("place", _KEY, nullable=False, comment="the entry's index in the log"),
        sa.PrimaryKeyConstraint("list_id", "position", name=op.f("pk_ledger_list_rows")),
    )
    op.create_table(
        "ledger_list_tiles",
        sa.Column("list_id", _KEY, autoincrement=False, nullable=False),
        sa.Column("level", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", _KEY, autoincrement=False, nullable=False),
        sa.Column(
            "hashes", sa.LargeBinary(), nullable=False, comment="1 to 256 hashes of 32 bytes, as those of the log"
        ),
        sa.PrimaryKeyConstraint("list_id", "level", "number", name=op.f("pk_ledger_list_tiles")),
    )
    op.create_table(
        "ledger_index_tiles",
        sa.Column(
            "number", sa.Integer(), autoincrement=False, nullable=False, comment="0 to 255: buckets; 256: the top"
        ),
        sa.Column("hashes", sa.LargeBinary(), nullable=False, comment="256 hashes of 32 bytes"),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_ledger_index_tiles")),
    )


def downgrade() -> None:
    """Go back before this revision; the data it added is lost."""
    for table in ("ledger_index_tiles", "ledger_list_tiles", "ledger_list_rows", "ledger_lists", "ledger_index"):
        op.drop_table(table)
    with op.batch_alter_table("ledger_events", schema=None) as batch_op:
        batch_op.drop_column("label")
        batch_op.drop_column("summary")
