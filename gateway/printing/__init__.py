"""
Conventions on paper: the page that people read and sign, as HTML and as PDF, and the entry of the processing register.
"""
