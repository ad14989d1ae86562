"""
The RSA flows that the CAF and the MSA send to a département; the B flow (`vrsb0801`) is read, its siblings recognised.
"""
