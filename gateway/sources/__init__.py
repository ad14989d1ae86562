"""
Sources: how the gateway gets what a partner's system does not send through the API by itself.
"""
