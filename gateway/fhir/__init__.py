"""
The FHIR R4 façade: the same referrals and their follow-up as FHIR resources; the shared JSON Schemas stay the truth.
"""
