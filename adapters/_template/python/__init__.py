"""
A small adapter that works, to copy when starting a new one.
"""
