"""
How documents reach a partner: the courier takes them from the bus and brings them where the partner's system looks.
"""
