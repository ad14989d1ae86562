"""
What an auditor asks of the ledger: searches proven complete, one event and its proof, exports. Every one of them is an event.
"""
