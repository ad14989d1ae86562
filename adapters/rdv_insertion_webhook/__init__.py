"""
Webhooks of rdv-insertion: appointments and invitations.
"""
