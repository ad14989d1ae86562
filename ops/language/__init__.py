"""
What `tdu schema` does: the report of a check, the check of the project's own files, and the memory of what is published.
"""
