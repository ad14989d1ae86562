"""
The directory of structures and services (data·inclusion, schema v1): taken in by files, searched, and named by referrals.
"""
