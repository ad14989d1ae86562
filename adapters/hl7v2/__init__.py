"""
HL7 v2 referrals (REF^I12).
"""
