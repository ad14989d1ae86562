"""
The example client reads whatever the token's address answers: OAuth's refusals, a gateway that is away, a proxy's page.
"""

from __future__ import annotations

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

from gateway.auth.client import TokenRefused, fetch_token

pytestmark = pytest.mark.anyio

_PEM = generate_private_key(SECP256R1()).private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (httpx.Response(401, json={"error": "invalid_client", "message_fr": "Clé inconnue."}), "invalid_client"),
        (httpx.Response(503, json={"code": "database_away", "detail": "Revenez dans un instant."}), "database_away"),
        (httpx.Response(502, text="<html>Bad Gateway</html>"), "http_502"),
        (httpx.Response(500, json=["?"]), "http_500"),
    ],
    ids=["refused", "away", "proxy", "neither"],
)
async def test_an_answer_that_is_no_token_is_told_as_a_refusal(answer: httpx.Response, code: str) -> None:
    """Whatever comes instead of a token, the caller gets one exception, with a code, and may try again."""
    async with httpx.AsyncClient(transport=httpx.MockTransport(lambda _request: answer)) as http:
        with pytest.raises(TokenRefused) as refused:
            await fetch_token(
                http, issuer="https://gateway.test", client_id="caf", private_key_pem=_PEM, kid="1", scope=""
            )
    assert refused.value.error == code
