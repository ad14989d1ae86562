"""
Who may knock: the gateway's OAuth2 authorization server and the protection of its resources; all of authlib stays here.

Start with `authority.Auth` (what is shared), `router` (the addresses), `resource` (the way in). One file per standard:
`assertion` RFC 7523, `access_token` RFC 9068, `client_credentials` RFC 6749, `introspection` RFC 7662, `revocation` RFC 7009,
`metadata` RFC 8414, `dpop` RFC 9449. `client` is the partner's side.

Import the modules themselves: nothing is loaded from here, so that a command that reads the register loads no server.
"""
