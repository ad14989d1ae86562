"""
The ledger: an append-only, publicly verifiable log of what was agreed, decided and disclosed.

`event` and `catalogue` say what is recorded, `commitment` what enters the log instead of it, `merkle`, `tiles`, `note`,
`checkpoint` and `proof` are the public C2SP formats, all pure. `store` and `sequencer` keep the log in the database,
`export` writes it as static files. Nothing is imported here: the offline verifier takes the pure modules alone.
"""
