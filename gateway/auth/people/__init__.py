"""
People: auditors, administrators, operators and coordinators sign in here; software never does, and uses tokens.
"""
