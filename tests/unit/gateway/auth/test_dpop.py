"""
Tokens bound to a key: who holds the key gets in, and a stolen token or a stolen proof opens nothing (RFC 9449).
"""

import asyncio
import base64
import hashlib
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from joserfc.jwk import ECKey, OctKey, RSAKey

from gateway.auth.client import fetch_token
from gateway.auth.client_dpop import DpopKey
from gateway.auth.dpop import ProofRefused, Proofs, Target
from gateway.auth.jose import read
from gateway.auth.keys import import_public

pytestmark = pytest.mark.anyio

KEY = ECKey.generate_key("P-256")
OTHER = ECKey.generate_key("P-256")
RSA = RSAKey.generate_key(2048)


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def prove(
    desk: Any,
    path: str,
    token: str | None = None,
    *,
    key: Any = KEY,
    header: dict[str, Any] | None = None,
    **claims: Any,
) -> str:
    """Sign a good proof, or one changed as asked; what is given as `...` is left out."""
    good = {
        "htm": "POST" if path.startswith("/oauth2") else "GET",
        "htu": desk.issuer + path,
        "iat": int(time.time()),
        "jti": str(uuid4()),
        "nonce": desk.auth.proofs.nonces.current(),
    }
    if token:
        good["ath"] = _b64(hashlib.sha256(token.encode()).digest())
    headers = {"typ": "dpop+jwt", "alg": "ES256", "jwk": key.as_dict(private=False), **(header or {})}
    kept = [{name: value for name, value in part.items() if value is not ...} for part in (headers, {**good, **claims})]
    return str(desk.sign(*kept, key))


async def ask(desk: Any, proof: str | None = None, form: dict[str, str] | None = None) -> httpx.Response:
    """Ask for a token bound to the key of a proof."""
    made = proof if proof is not None else prove(desk, "/oauth2/token")
    response: httpx.Response = await desk.http.post("/oauth2/token", data=form or desk.form(), headers={"DPoP": made})
    return response


async def bound_token(desk: Any) -> str:
    """Get a token bound to `KEY`."""
    return str((await ask(desk)).json()["access_token"])


async def call(desk: Any, token: str, *proofs: str, scheme: str = "DPoP") -> httpx.Response:
    """Call a resource with a token and any number of proofs."""
    headers = [("Authorization", f"{scheme} {token}"), *(("DPoP", proof) for proof in proofs)]
    response: httpx.Response = await desk.http.get("/mailbox", headers=headers)
    return response


async def test_a_client_with_a_key_gets_a_token_that_only_the_key_opens(desk: Any) -> None:
    """The token says it is bound, introspection too, and it opens the resource with a proof."""
    answer = (await ask(desk)).json()
    token = answer["access_token"]
    introspected = (await desk.about("introspect", token)).json()
    assert ("DPoP", "DPoP", {"jkt": KEY.thumbprint()}) == (
        answer["token_type"],
        introspected["token_type"],
        introspected["cnf"],
    )
    assert 200 == (await call(desk, token, prove(desk, "/mailbox", token))).status_code
    assert 200 == (await call(desk, token, prove(desk, "/mailbox", token), scheme="dpop")).status_code


@pytest.mark.parametrize("name", ["es256", "es384", "ps256", "ed25519"])
async def test_every_accepted_algorithm_makes_proofs(desk: Any, name: str) -> None:
    """The proof's algorithms are those of the assertions."""
    key, algorithm = getattr(desk.keys, name), {"ed25519": "Ed25519"}.get(name, name.upper())
    answer = (await ask(desk, prove(desk, "/oauth2/token", key=key, header={"alg": algorithm}))).json()
    token = answer["access_token"]
    assert (
        200 == (await call(desk, token, prove(desk, "/mailbox", token, key=key, header={"alg": algorithm}))).status_code
    )


async def test_the_partner_s_own_code_gets_and_uses_a_bound_token(desk: Any) -> None:
    """The example given to partners learns the nonce, gets the token with one assertion, and calls again and again."""
    key = DpopKey.generate()
    pem = desk.keys.es256.as_pem(private=True)
    token = await fetch_token(
        desk.http, issuer=desk.issuer, client_id="caf-rsa", private_key_pem=pem, kid="es256", dpop=key
    )
    held = key.with_token(token.access_token)
    statuses = [(await desk.http.get("/mailbox", auth=held, params={"limit": "5"})).status_code for _ in range(3)]
    assert [200, 200, 200] == statuses
    assert 401 == (await desk.http.get("/mailbox", headers=token.headers)).status_code


Case = Callable[[Any, str], str]


def _symmetric(desk: Any, token: str) -> str:
    key = OctKey.generate_key(256)
    return prove(desk, "/mailbox", token, key=key, header={"alg": "HS256", "jwk": key.as_dict(private=True)})


REFUSED: dict[str, Case] = {
    "no typ": lambda d, t: prove(d, "/mailbox", t, header={"typ": ...}),
    "typ JWT": lambda d, t: prove(d, "/mailbox", t, header={"typ": "JWT"}),
    "typ of a token": lambda d, t: prove(d, "/mailbox", t, header={"typ": "at+jwt"}),
    "no jwk": lambda d, t: prove(d, "/mailbox", t, header={"jwk": ...}),
    "jwk a text": lambda d, t: prove(d, "/mailbox", t, header={"jwk": "clé"}),
    "jwk private": lambda d, t: prove(d, "/mailbox", t, header={"jwk": KEY.as_dict(private=True)}),
    "jwk of another key": lambda d, t: prove(d, "/mailbox", t, header={"jwk": OTHER.as_dict(private=False)}),
    "jwk off the curve": lambda d, t: prove(
        d, "/mailbox", t, header={"jwk": {**KEY.as_dict(private=False), "x": KEY.as_dict()["y"]}}
    ),
    "jwk symmetric": _symmetric,
    "alg none": lambda d, t: prove(d, "/mailbox", t, header={"alg": "none"}),
    "alg RS256": lambda d, t: prove(d, "/mailbox", t, key=RSA, header={"alg": "RS256"}),
    "alg of another curve": lambda d, t: prove(
        d, "/mailbox", t, key=ECKey.generate_key("P-521"), header={"alg": "ES512"}
    ),
    "jku": lambda d, t: prove(d, "/mailbox", t, header={"jku": "https://autre.example.org"}),
    "crit": lambda d, t: prove(d, "/mailbox", t, header={"crit": ["x"], "x": 1}),
    "signature changed": lambda d, t: prove(d, "/mailbox", t).rpartition(".")[0] + "." + "A" * 86,
    "signature empty": lambda d, t: prove(d, "/mailbox", t).rpartition(".")[0] + ".",
    "key not the token's": lambda d, t: prove(d, "/mailbox", t, key=OTHER),
    "htm other": lambda d, t: prove(d, "/mailbox", t, htm="POST"),
    "htm in small letters": lambda d, t: prove(d, "/mailbox", t, htm="get"),
    "no htm": lambda d, t: prove(d, "/mailbox", t, htm=...),
    "htu other path": lambda d, t: prove(d, "/ledger", t),
    "htu other host": lambda d, t: prove(d, "/mailbox", t, htu="https://autre.example.org/mailbox"),
    "htu plain http": lambda d, t: prove(d, "/mailbox", t, htu="http://passerelle.example.org/mailbox"),
    "htu other port": lambda d, t: prove(d, "/mailbox", t, htu="https://passerelle.example.org:444/mailbox"),
    "htu bad port": lambda d, t: prove(d, "/mailbox", t, htu="https://passerelle.example.org:x/mailbox"),
    "htu with a user": lambda d, t: prove(d, "/mailbox", t, htu="https://moi@passerelle.example.org/mailbox"),
    "htu in capitals": lambda d, t: prove(d, "/mailbox", t, htu="https://passerelle.example.org/MAILBOX"),
    "htu relative": lambda d, t: prove(d, "/mailbox", t, htu="/mailbox"),
    "htu a list": lambda d, t: prove(d, "/mailbox", t, htu=[d.issuer + "/mailbox"]),
    "no htu": lambda d, t: prove(d, "/mailbox", t, htu=...),
    "iat two minutes ago": lambda d, t: prove(d, "/mailbox", t, iat=time.time() - 120),
    "iat in a minute": lambda d, t: prove(d, "/mailbox", t, iat=time.time() + 60),
    "iat boolean": lambda d, t: prove(d, "/mailbox", t, iat=True),
    "iat text": lambda d, t: prove(d, "/mailbox", t, iat=str(int(time.time()))),
    "no iat": lambda d, t: prove(d, "/mailbox", t, iat=...),
    "no jti": lambda d, t: prove(d, "/mailbox", t, jti=...),
    "jti number": lambda d, t: prove(d, "/mailbox", t, jti=1),
    "jti of 257 characters": lambda d, t: prove(d, "/mailbox", t, jti="j" * 257),
    "ath of another token": lambda d, t: prove(d, "/mailbox", t + "x"),
    "ath empty": lambda d, t: prove(d, "/mailbox", t, ath=""),
    "no ath": lambda d, t: prove(d, "/mailbox", t, ath=...),
    "garbage": lambda d, t: "garbage",
    "empty": lambda d, t: "",
    "nested arrays": lambda d, t: ".".join([_b64(b"[" * 1_000)] * 2 + ["AA"]),
    "5 kB": lambda d, t: prove(d, "/mailbox", t, filler="x" * 5_000),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_a_wrong_proof_is_refused_with_401(desk: Any, case: str) -> None:
    """A bound token opens nothing without a fresh proof for this very request, made with its key."""
    token = await bound_token(desk)
    response = await call(desk, token, REFUSED[case](desk, token))
    assert (401, "invalid_dpop_proof") == (response.status_code, response.json()["code"])
    assert response.headers["www-authenticate"].startswith(f'DPoP realm="{desk.issuer}", error="invalid_dpop_proof"')


ACCEPTED: dict[str, Case] = {
    "htu with query and fragment": lambda d, t: prove(d, "/mailbox", t, htu=d.issuer + "/mailbox?limit=5#a"),
    "htu with the default port and capitals in the host": lambda d, t: prove(
        d, "/mailbox", t, htu="HTTPS://Passerelle.Example.org:443/mailbox"
    ),
    "iat 8 seconds ahead": lambda d, t: prove(d, "/mailbox", t, iat=time.time() + 8),
    "iat a minute ago": lambda d, t: prove(d, "/mailbox", t, iat=time.time() - 60),
}


@pytest.mark.parametrize("case", ACCEPTED)
async def test_a_good_proof_is_accepted_in_its_various_forms(desk: Any, case: str) -> None:
    """What RFC 9449 leaves open to clients is accepted."""
    token = await bound_token(desk)
    assert 200 == (await call(desk, token, ACCEPTED[case](desk, token))).status_code


async def test_a_stolen_token_opens_nothing(desk: Any) -> None:
    """As Bearer, without a proof, with a thief's proof, or with two proofs, a bound token is refused."""
    token = await bound_token(desk)
    proof = prove(desk, "/mailbox", token)
    statuses = [
        (await call(desk, token, scheme="Bearer")).status_code,
        (await call(desk, token, proof, scheme="Bearer")).status_code,
        (await call(desk, token)).status_code,
        (await call(desk, token, prove(desk, "/mailbox", token, key=OTHER))).status_code,
        (await call(desk, token, proof, proof)).status_code,
    ]
    assert [401] * 5 == statuses


async def test_an_unbound_token_is_not_dressed_up_as_bound(desk: Any) -> None:
    """A Bearer token sent with a proof of anybody's key is refused: the proof would prove nothing."""
    token = await desk.token()
    response = await call(desk, token, prove(desk, "/mailbox", token))
    assert (401, "invalid_token") == (response.status_code, response.json()["code"])


async def test_sixteen_copies_of_a_proof_open_the_resource_once(desk: Any) -> None:
    """A proof serves once, in whichever process its copies arrive."""
    token = await bound_token(desk)
    headers = {"Authorization": f"DPoP {token}", "DPoP": prove(desk, "/mailbox", token)}
    transport = httpx.ASGITransport(app=desk.elsewhere())
    async with httpx.AsyncClient(transport=transport, base_url=desk.issuer) as other:
        answers = await asyncio.gather(
            *((desk.http if n % 2 else other).get("/mailbox", headers=headers) for n in range(16))
        )
    assert [200] + [401] * 15 == sorted(answer.status_code for answer in answers)


async def test_a_proof_at_the_token_endpoint_serves_once(desk: Any) -> None:
    """A captured token request is worth nothing, even with a fresh assertion."""
    proof = prove(desk, "/oauth2/token")
    first, second = await ask(desk, proof), await ask(desk, proof)
    assert (200, 400) == (first.status_code, second.status_code)
    assert "invalid_dpop_proof" == second.json()["error"]


async def test_a_proof_for_the_resource_gets_no_token(desk: Any) -> None:
    """The token endpoint checks the address too, and never issues an unbound token instead."""
    response = await ask(desk, prove(desk, "/mailbox"))
    assert (400, "invalid_dpop_proof") == (response.status_code, response.json()["error"])
    assert "message_fr" in response.json()


@pytest.mark.parametrize(
    "nonce", [..., "", "abc", "é", 12, "A" * 24], ids=["none", "empty", "short", "not ASCII", "number", "forged"]
)
async def test_without_our_nonce_the_client_is_given_one_and_its_assertion_is_not_used_up(
    desk: Any, nonce: Any
) -> None:
    """A client that learns the nonce tries again with the same assertion and gets its token."""
    form = desk.form()
    first = await ask(desk, prove(desk, "/oauth2/token", nonce=nonce), form)
    assert (400, "use_dpop_nonce") == (first.status_code, first.json()["error"])
    second = await ask(desk, prove(desk, "/oauth2/token", nonce=first.headers["dpop-nonce"]), form)
    assert 200 == second.status_code


async def test_a_nonce_serves_for_some_minutes_and_in_every_process(desk: Any) -> None:
    """The nonce given by one process is accepted by another, until it is five minutes old."""
    nonces = desk.elsewhere().state.auth.proofs.nonces
    given = desk.auth.proofs.nonces.current()
    seen = []
    try:
        for minutes in (0, 4, 5, 6.1):
            desk.clock.late_by = timedelta(minutes=minutes)
            seen.append(nonces.accepts(given))
    finally:
        desk.clock.late_by = timedelta()
    assert [True, True, True, False] == seen


async def test_the_resource_asks_for_its_nonce_too(desk: Any) -> None:
    """A proof stored up with an old nonce is refused by 401 `use_dpop_nonce`, with the nonce to use."""
    token = await bound_token(desk)
    first = await call(desk, token, prove(desk, "/mailbox", token, nonce="stored-up"))
    assert (401, "use_dpop_nonce") == (first.status_code, first.json()["code"])
    assert 'error="use_dpop_nonce"' in first.headers["www-authenticate"]
    second = await call(desk, token, prove(desk, "/mailbox", token, nonce=first.headers["dpop-nonce"]))
    assert 200 == second.status_code


async def test_the_metadata_announce_the_proofs(desk: Any) -> None:
    """Clients learn from the metadata that DPoP exists here, and from a refusal as well (RFC 9449 sections 5.1 and 7.1)."""
    metadata = (await desk.http.get("/.well-known/oauth-authorization-server")).json()
    refused = await desk.http.get("/mailbox")
    assert metadata["token_endpoint_auth_signing_alg_values_supported"] == metadata["dpop_signing_alg_values_supported"]
    assert 'DPoP algs="ES256' in refused.headers["www-authenticate"]


async def test_the_rfc_s_own_proof_passes_every_check_but_the_nonce(desk: Any) -> None:
    """The example of RFC 9449 section 4.1 is read as valid: only our nonce is missing from it."""
    example = (
        "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFV"
        "ZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VT"
        "YzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP"
        "4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg"
    )
    proofs = Proofs(desk.database, b"secret", lambda: datetime.fromtimestamp(1_562_262_620, UTC))
    with pytest.raises(ProofRefused) as refused:
        proofs.read([example], Target("POST", "https://server.example.com/token"))
    assert "use_dpop_nonce" == refused.value.code
    assert (
        "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
        == import_public(read(example, header_names=["typ", "alg", "jwk"]).header["jwk"]).thumbprint()
    )
