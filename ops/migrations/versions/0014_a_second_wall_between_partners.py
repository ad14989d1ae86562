"""
a second wall between partners: row-level security, on PostgreSQL only

Revision: 0014, after 0013.
"""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_ME = "(SELECT current_setting('app.partner', true))"
_MY_CLIENT = "(SELECT current_setting('app.client', true))"
_GATE = "(SELECT current_setting('app.gate', true)) = 'on'"

# A subquery of a policy sees what its own table's policy shows: an exchange is seen by those who see one of its deliveries.
_RULES = {
    "deliveries": f"sender = {_ME} OR recipient = {_ME}",
    "exchanges": f"sender = {_ME} OR EXISTS (SELECT FROM deliveries WHERE exchange_id = exchanges.id AND recipient = {_ME})",
    "documents": f"sender = {_ME} OR EXISTS (SELECT FROM exchanges WHERE document_id = documents.id)",
    "notices": "EXISTS (SELECT FROM deliveries WHERE id = notices.delivery_id)",
    "attachments": f"sender = {_ME} OR EXISTS (SELECT FROM exchanges WHERE id = attachments.exchange_id)",
    "attachment_chunks": "EXISTS (SELECT FROM attachments WHERE id = attachment_chunks.attachment_id)",
    "quarantine": f"sender = {_ME}",
    "volumes": f"sender = {_ME}",
    "endpoints": f"partner = {_ME}",
    "delivery_attempts": f"EXISTS (SELECT FROM systems WHERE client_id = delivery_attempts.client_id AND partner = {_ME})",
    "replays": f"partner = {_ME}",
    "idempotency_keys": f"client_id = {_MY_CLIENT}",
    "agreements": f"collected_by = {_ME} OR {_GATE}",
    "objections": f"recorded_by = {_ME} OR {_GATE}",
    "sms_requests": f"collected_by = {_ME}",
    "break_glass": f"sender = {_ME} OR recipient = {_ME} OR {_GATE}",
    "break_glass_mails": f"party = {_ME}",
    "ledger_events": f"actor = {_ME} OR recipient = {_ME} "
    f"OR EXISTS (SELECT FROM exchanges WHERE id = ledger_events.exchange_id AND sender = {_ME})",
}


def upgrade() -> None:
    """Apply this revision."""
    if op.get_bind().dialect.name != "postgresql":
        return
    for table, rule in _RULES.items():
        op.execute(f"CREATE POLICY wall ON {table} USING ({_ME} = '*' OR {rule})")
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")  # the tables' owner is the gateway itself


def downgrade() -> None:
    """Go back before this revision."""
    if op.get_bind().dialect.name != "postgresql":
        return
    for table in _RULES:
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
        op.execute(f"DROP POLICY wall ON {table}")
