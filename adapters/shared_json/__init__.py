"""
The shared format itself, for partners whose software already speaks it.
"""
