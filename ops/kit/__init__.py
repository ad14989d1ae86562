"""
What `tdu adapter` does to folders: make one, write what its samples give, report on all, certify one.
"""
