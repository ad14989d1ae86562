"""
Pages for people: their templates and static files, without a build step and without any outside address.
"""
