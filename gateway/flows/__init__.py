"""
Large flows: a partner's file too large to be taken in while its sender waits is kept sealed, and taken in by a task.
"""
