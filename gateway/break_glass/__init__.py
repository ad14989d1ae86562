"""
Break-glass: an emergency access that a convention provides for is opened by a named professional, told to every party's data
protection officer, ended at its term, and reviewed by somebody else.

    opening    open and close
    review     what another party, or an auditor, says of it, and what follows
    shown      how it reads, in lists and whole
    telling    the messages to the officers
    watch      what the keeper does: terms, reviews that are late
"""
