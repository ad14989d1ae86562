"""
2. Partner's format ⇄ shared documents: pure, one folder per format, every one of them through the same exam.
"""
