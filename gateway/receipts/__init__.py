"""
What a person takes home: the receipt of an agreement, as a record for machines and as a page to print.
"""
