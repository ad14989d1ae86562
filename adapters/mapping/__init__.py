"""
A format described by a file: `mapping.yaml` looks like the document it gives, and is read in both directions.
"""
