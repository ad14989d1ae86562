"""
The crossing: HTTP, identity, bus, delivery and console; the only house where `adapters` and `consent` meet.
"""
