"""
The RSA flows that the CAF and the MSA send to a département; B, I and R are read, the others recognised and refused.
"""
