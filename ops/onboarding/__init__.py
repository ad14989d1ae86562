"""
A partner's first ten minutes: a program that works as it is printed, and a connection test that says what fails.
"""
