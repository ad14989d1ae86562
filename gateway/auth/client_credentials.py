"""
The client credentials grant (RFC 6749 section 4.4): a system speaks for its own partner, with nobody watching.
"""

from __future__ import annotations

from gateway.auth.registry import System
from gateway.auth.token_grant import Mandate, TokenGrant

GRANT_TYPE = "client_credentials"


class ClientCredentials(TokenGrant):
    """Issues a token to an authenticated system, for its own partner."""

    GRANT_TYPE = GRANT_TYPE

    def mandate(self, system: System, confirmation: dict[str, str]) -> Mandate:
        """Give what the roles and the conventions in force open to the system."""
        return self.drawn(self.server.own(system), system.partner, roles=system.roles, confirmation=confirmation)
