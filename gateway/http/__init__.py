"""
The HTTP surface: one file per group of addresses, each thin over the flow and the store.
"""
