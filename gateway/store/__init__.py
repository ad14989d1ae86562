"""
What the gateway keeps: one database layer for SQLite and PostgreSQL, its tables, and the sealing of personal data.
"""
