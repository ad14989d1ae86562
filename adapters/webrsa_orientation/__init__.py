"""
The CSV of orientations that WebRSA, the départements' RSA software, exports and reads.
"""
