"""
HubEE, the State's exchange hub, both ways: what it holds for a partner's system (`connector`), what we put in it (`transport`).
"""
