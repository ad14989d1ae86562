"""
May it go, and the proof: the gate and the conventions and agreements it reads, the ledger and its offline verifier.

Import the modules themselves (`consent.gate`, `consent.projection`, `consent.conventions`, `consent.verify`): nothing is loaded from
here, so that verifying a proof needs neither the schemas nor a database.
"""
