"""
The verifier as a program of its own: `tdu ledger verify`, and the one file that auditors run without installing anything.

Standard library and `cryptography` only, here and in everything this imports.
"""
