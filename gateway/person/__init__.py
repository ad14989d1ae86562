"""
What a person may ask of the gateway: everything that is known of them and who received it, and to be erased.
"""
