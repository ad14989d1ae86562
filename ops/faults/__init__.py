"""
Faults made on purpose: what the gateway must survive, and how each is produced.
"""
