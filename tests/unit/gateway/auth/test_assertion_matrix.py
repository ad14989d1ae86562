"""
Every wrong way to knock at the token endpoint gets the right refusal, and every right way gets in.
"""

import base64
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from joserfc.jwk import OKPKey

pytestmark = pytest.mark.anyio

Case = Callable[[Any], str | dict[str, str]]


def _payload(desk: Any, **raw: str) -> bytes:
    """A good payload, with some claims written as raw JSON text."""
    now = int(time.time())
    claims = {
        "iss": '"caf-rsa"',
        "sub": '"caf-rsa"',
        "aud": json.dumps(desk.issuer),
        "exp": str(now + 60),
        "jti": f'"{time.time_ns()}"',
    }
    return ("{" + ",".join(f'"{name}":{text}' for name, text in {**claims, **raw}.items()) + "}").encode()


def _raw(desk: Any, payload: bytes, **header: Any) -> str:
    return str(desk.sign({"alg": "ES256", "kid": "es256", **header}, payload, desk.keys.es256))


def _header(**changes: Any) -> str:
    header = {"alg": "ES256", "kid": "es256", **changes}
    return _b64(json.dumps({name: value for name, value in header.items() if value is not ...}).encode())


def _hmac(desk: Any, algorithm: str) -> str:
    """A MAC under the registered public key: what a verifier that trusts `alg` would accept."""
    signed = f"{_header(alg=algorithm)}.{_b64(_payload(desk))}"
    mac = hmac.digest(desk.keys.es256.as_pem(private=False), signed.encode(), algorithm.replace("HS", "sha"))
    return f"{signed}.{_b64(mac)}"


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _cut(assertion: str, part: int, instead: str) -> str:
    parts = assertion.split(".")
    parts[part] = instead
    return ".".join(parts)


REFUSED: dict[str, dict[str, Case]] = {
    "not an acceptable JWT": {
        "sub with a NUL": lambda d: d.assertion(client="caf\x00rsa"),
        "jti with a NUL": lambda d: d.assertion(jti="a\x00b"),
        "exp infinite": lambda d: _raw(d, _payload(d, exp="1e999")),
        "exp NaN": lambda d: _raw(d, _payload(d, exp="NaN")),
        "exp of 400 digits": lambda d: _raw(d, _payload(d, exp="9" * 400)),
        "jti with a lone surrogate": lambda d: _raw(d, _payload(d, jti='"\\ud800"')),
        "claim repeated": lambda d: _raw(d, _payload(d)[:-1] + b',"sub":"caf-rsa"}'),
        "kid empty": lambda d: d.assertion(header={"kid": ""}),
        "kid number": lambda d: d.assertion(header={"kid": 1}),
        "no kid": lambda d: d.assertion(header={"kid": ...}),
        "RS256": lambda d: d.assertion(key=d.keys.ps256, header={"alg": "RS256"}),
        "RS512": lambda d: d.assertion(key=d.keys.ps256, header={"alg": "RS512"}),
        "PS384": lambda d: d.assertion(key=d.keys.ps256, header={"alg": "PS384"}),
        "Ed448": lambda d: d.assertion(key=OKPKey.generate_key("Ed448", {"kid": "ed25519"}), header={"alg": "Ed448"}),
        "HS256 with the public key as secret": lambda d: _hmac(d, "HS256"),
        "HS512 with the public key as secret": lambda d: _hmac(d, "HS512"),
        "none": lambda d: _cut(_cut(d.assertion(), 0, _header(alg="none")), 2, ""),
        "None, capitalised": lambda d: _cut(_cut(d.assertion(), 0, _header(alg="NoNe")), 2, ""),
        "none with the signature kept": lambda d: _cut(d.assertion(), 0, _header(alg="none")),
        "no alg": lambda d: _cut(d.assertion(), 0, _header(alg=...)),
        "alg a list": lambda d: _cut(d.assertion(), 0, _header(alg=["ES256"])),
        "jku": lambda d: d.assertion(header={"jku": "https://autre.example.org/jwks"}),
        "x5u": lambda d: d.assertion(header={"x5u": "https://autre.example.org/cert"}),
        "jwk": lambda d: d.assertion(
            key=d.keys.other, header={"jwk": d.keys.other.as_dict(private=False), "kid": "es256"}
        ),
        "x5c": lambda d: d.assertion(header={"x5c": ["MIIB"]}),
        "crit": lambda d: d.assertion(header={"crit": ["exp"], "exp": 1}),
        "b64 false": lambda d: d.assertion(header={"b64": False, "crit": ["b64"]}),
        "header unknown": lambda d: d.assertion(header={"zip": "DEF"}),
        "typ of an access token": lambda d: d.assertion(header={"typ": "at+jwt"}),
        "typ of a DPoP proof": lambda d: d.assertion(header={"typ": "dpop+jwt"}),
        "garbage": lambda d: "n'importe quoi",
        "two dots": lambda d: "..",
        "five parts": lambda d: d.assertion() + ".a.b",
        "space inside": lambda d: d.assertion().replace(".", ". ", 1),
        "not ASCII": lambda d: d.assertion() + "é",
        "payload an array": lambda d: _raw(d, b"[]"),
        "payload a text": lambda d: _raw(d, b'"caf-rsa"'),
        "payload null": lambda d: _raw(d, b"null"),
        "payload empty": lambda d: _raw(d, b""),
        "payload not JSON": lambda d: _raw(d, b"{sub: caf-rsa}"),
        "payload in UTF-16": lambda d: _raw(d, '{"sub":"caf-rsa"}'.encode("utf-16")),
        "payload of 5000 nested arrays": lambda d: _raw(d, b"[" * 5_000),
        "header an array": lambda d: _cut(d.assertion(), 0, "W10"),
        "header of 5000 nested arrays": lambda d: _cut(d.assertion(), 0, "W1tb" * 1_600),
        "header not JSON": lambda d: _cut(d.assertion(), 0, "abcd"),
        "20 kB": lambda d: _raw(d, _payload(d, filler='"' + "x" * 15_000 + '"')),
    },
    "Unknown or disabled client": {
        "padding kept": lambda d: d.assertion() + "==",
        "no sub": lambda d: d.assertion(sub=...),
        "sub number": lambda d: d.assertion(sub=7, iss=7),
        "sub list": lambda d: d.assertion(sub=["caf-rsa"]),
        "sub empty": lambda d: d.assertion(sub="", iss=""),
        "sub with SQL": lambda d: d.assertion(client="' or '1'='1"),
        "sub of 2000 characters": lambda d: d.assertion(client="c" * 2000),
        "another key under a registered kid": lambda d: d.assertion(key=d.keys.other, header={"kid": "es256"}),
        "kid of another client": lambda d: d.assertion(key=d.keys.other),
        "kid unknown": lambda d: d.assertion(header={"kid": "es512"}),
        "kid a path": lambda d: d.assertion(header={"kid": "../../dev/null"}),
        "PS256 with an EC key's kid": lambda d: d.assertion(key=d.keys.ps256, header={"alg": "PS256", "kid": "es256"}),
        "ES384 named, ES256 made": lambda d: _cut(d.assertion(), 0, _header(alg="ES384")),
        "ES256 named, ES384 key": lambda d: _cut(
            d.assertion(client="caf-smart", key=d.keys.es384, header={"alg": "ES384"}), 0, _header(kid="es384")
        ),
        "ES384 under FAPI": lambda d: d.assertion(key=d.keys.es384, header={"alg": "ES384"}),
        "signature empty": lambda d: _cut(d.assertion(), 2, ""),
        "signature of zeros": lambda d: _cut(d.assertion(), 2, "A" * 86),
        "signature cut": lambda d: d.assertion()[:-4],
        "payload changed": lambda d: _cut(d.assertion(), 1, d.assertion().split(".")[1]),
        "client unknown": lambda d: d.assertion(client="personne"),
        "client disabled": lambda d: d.assertion(client="caf-ancien"),
        "client_id of another": lambda d: d.form(client_id="relais-suivi"),
    },
    "Check the server's clock too": {
        "expired": lambda d: d.assertion(iat=time.time() - 120, exp=time.time() - 60),
        "exp just past the skew": lambda d: d.assertion(exp=time.time() - 11),
        "no exp": lambda d: d.assertion(exp=...),
        "exp null": lambda d: d.assertion(exp=None),
        "exp text": lambda d: d.assertion(exp=str(int(time.time()) + 60)),
        "exp boolean": lambda d: d.assertion(exp=True),
        "exp list": lambda d: d.assertion(exp=[time.time() + 60]),
        "exp negative": lambda d: d.assertion(exp=-1),
        "iss not sub": lambda d: d.assertion(iss="relais-suivi"),
        "no iss": lambda d: d.assertion(iss=...),
        "iss list": lambda d: d.assertion(iss=["caf-rsa"]),
        "iat a minute ahead": lambda d: d.assertion(iat=time.time() + 60),
        "iat text": lambda d: d.assertion(iat="now"),
        "nbf a minute ahead": lambda d: d.assertion(nbf=time.time() + 60),
        "nbf text": lambda d: d.assertion(nbf="now"),
    },
    "aud must be exactly": {
        "aud another server": lambda d: d.assertion(aud="https://autre.example.org"),
        "aud the token address": lambda d: d.assertion(aud=d.issuer + "/oauth2/token"),
        "aud with a final slash": lambda d: d.assertion(aud=d.issuer + "/"),
        "aud list": lambda d: d.assertion(aud=[d.issuer]),
        "aud list of two": lambda d: d.assertion(aud=[d.issuer, "https://autre.example.org"]),
        "aud object": lambda d: d.assertion(aud={d.issuer: 1}),
        "no aud": lambda d: d.assertion(aud=...),
        "SMART: aud the issuer": lambda d: _smart(d, aud=d.issuer),
        "SMART: aud another of our addresses": lambda d: _smart(d, aud=d.issuer + "/oauth2/revoke"),
        "SMART: aud a list with the token address": lambda d: _smart(d, aud=[d.issuer + "/oauth2/token"]),
    },
    "lives too long": {
        "exp one day ahead": lambda d: d.assertion(exp=time.time() + 86_400),
        "exp ten years ahead": lambda d: d.assertion(exp=time.time() + 315_360_000),
        "exp five minutes and a half ahead, no iat": lambda d: d.assertion(iat=..., exp=time.time() + 330),
        "signed an hour ago for an hour": lambda d: d.assertion(iat=time.time() - 3_500, exp=time.time() + 100),
    },
    "jti is missing": {
        "no jti": lambda d: d.assertion(jti=...),
        "jti empty": lambda d: d.assertion(jti=""),
        "jti number": lambda d: d.assertion(jti=12345),
        "jti of 257 characters": lambda d: d.assertion(jti="j" * 257),
        "jti list": lambda d: d.assertion(jti=["a"]),
    },
    "the method that it registered": {
        "client_id alone": lambda d: {"grant_type": "client_credentials", "client_id": "caf-rsa"},
        "assertion type missing": lambda d: d.form(client_assertion_type=...),
        "assertion type of SAML": lambda d: d.form(
            client_assertion_type="urn:ietf:params:oauth:client-assertion-type:saml2-bearer"
        ),
        "assertion missing": lambda d: d.form(client_assertion=...),
        "assertion empty": lambda d: d.form(client_assertion=""),
    },
    "client_secret is not accepted": {
        "client_secret": lambda d: {
            "grant_type": "client_credentials",
            "client_id": "caf-rsa",
            "client_secret": "secret",
        },
        "client_secret beside the assertion": lambda d: d.form(client_secret="secret"),
    },
}
"""By what the answer says: a case refused for another reason than its own would prove nothing."""


def _smart(desk: Any, **claims: Any) -> str:
    """An assertion of the system registered under SMART Backend Services."""
    claims.setdefault("aud", desk.issuer + "/oauth2/token")
    header = {"alg": "ES384"}
    return str(desk.assertion(client="caf-smart", key=desk.keys.es384, header=header, **claims))


@pytest.mark.parametrize(("says", "case"), [(says, case) for says, cases in REFUSED.items() for case in cases])
async def test_a_wrong_assertion_is_refused_as_invalid_client(desk: Any, says: str, case: str) -> None:
    """A client that does not prove who it is gets `invalid_client`, says why in French, and no token."""
    made = REFUSED[says][case](desk)
    response = await desk.ask(made if isinstance(made, dict) else desk.form(made))
    answer = response.json()
    assert (400, "invalid_client") == (response.status_code, answer["error"]), answer
    assert {"error", "error_description", "message_fr"} == set(answer)
    assert says in answer["error_description"]
    assert "no-store" == response.headers["cache-control"]
    assert answer["error_description"].isascii() and not set('"\\') & set(answer["error_description"])


REQUESTS: dict[str, tuple[dict[str, Any], str]] = {
    "grant_type missing": ({"grant_type": ...}, "unsupported_grant_type"),
    "grant_type password": ({"grant_type": "password"}, "unsupported_grant_type"),
    "grant_type authorization_code": ({"grant_type": "authorization_code"}, "unsupported_grant_type"),
    "grant_type refresh_token": ({"grant_type": "refresh_token"}, "unsupported_grant_type"),
    "grant_type implicit": ({"grant_type": "implicit"}, "unsupported_grant_type"),
    "grant_type jwt-bearer": ({"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer"}, "unsupported_grant_type"),
    "grant_type with markup": ({"grant_type": '"<script>é'}, "unsupported_grant_type"),
    "scope not granted": ({"scope": "ledger:read"}, "invalid_scope"),
    "scope unknown": ({"scope": "everything"}, "invalid_scope"),
    "one scope granted, one not": ({"scope": "mailbox:read ledger:read"}, "invalid_scope"),
    "scopes separated by a tab": ({"scope": "mailbox:read\treferral:send"}, "invalid_scope"),
    "scope in capitals": ({"scope": "MAILBOX:READ"}, "invalid_scope"),
    "scope with markup": ({"scope": '"\\é\n'}, "invalid_scope"),
}


@pytest.mark.parametrize("case", REQUESTS)
async def test_a_wrong_request_of_a_good_client_is_refused_with_its_own_code(desk: Any, case: str) -> None:
    """An authenticated client that asks for what does not exist, or is not its own, learns which."""
    changes, error = REQUESTS[case]
    response = await desk.ask(desk.form(**changes))
    assert (400, error) == (response.status_code, response.json()["error"])


async def test_a_scope_to_send_that_is_not_granted_says_what_opens_it(desk: Any) -> None:
    """No convention has a flow of that kind from the partner: the refusal says so, in both languages; not for other scopes."""
    response = await desk.ask(desk.form(scope="inbound:send"))
    assert "convention en vigueur" in response.json()["message_fr"]
    assert "convention in force" in response.json()["error_description"]
    other = await desk.ask(desk.form(scope="ledger:read"))
    assert "convention" not in other.json()["error_description"]


async def test_a_system_without_any_right_gets_no_token(desk: Any) -> None:
    """A token that opens nothing is not issued: the partner learns at once that no convention covers it."""
    response = await desk.ask(desk.form(desk.assertion(client="relais-neuf")))
    assert (400, "invalid_scope") == (response.status_code, response.json()["error"])


FORMS: dict[str, tuple[str, bytes, int]] = {
    "JSON": ("application/json", b'{"grant_type":"client_credentials"}', 415),
    "multipart": ("multipart/form-data; boundary=x", b"--x--", 415),
    "text": ("text/plain", b"grant_type=client_credentials", 415),
    "no content type": ("", b"grant_type=client_credentials", 415),
    "grant_type repeated": ("", b"grant_type=client_credentials&grant_type=client_credentials", 400),
    "scope repeated": ("", b"grant_type=client_credentials&scope=a&scope=b", 400),
    "assertion repeated, once empty": ("", b"client_assertion=&client_assertion=a.b.c", 400),
    "unknown parameter repeated": ("", b"grant_type=client_credentials&foo=1&foo=2", 400),
    "30 parameters": ("", b"&".join(b"p%d=1" % n for n in range(30)), 400),
    "not UTF-8": ("", b"grant_type=\xff", 400),
    "not UTF-8, escaped": ("", b"grant_type=%ff", 400),
    "no equals sign": ("", b"grant_type", 400),
    "40 kB": ("", b"grant_type=" + b"x" * 40_000, 413),
}


@pytest.mark.parametrize("case", FORMS)
async def test_what_is_not_a_plain_form_is_refused(desk: Any, case: str) -> None:
    """Only `application/x-www-form-urlencoded`, bounded, each parameter once (RFC 6749 section 3.2)."""
    kind, body, status = FORMS[case]
    kind = kind or ("application/x-www-form-urlencoded" if status != 415 else "")
    response = await desk.http.post("/oauth2/token", content=body, headers={"Content-Type": kind} if kind else {})
    assert (status, "invalid_request") == (response.status_code, response.json()["error"])


@pytest.mark.parametrize("header", ["Basic Y2FmLXJzYTpzZWNyZXQ=", "Basic !", "Bearer abc", "DPoP abc", "x"])
@pytest.mark.parametrize("proved", [True, False], ids=["with an assertion", "without"])
async def test_an_authorization_header_is_refused_with_401(desk: Any, header: str, proved: bool) -> None:
    """A client that authenticates by header, even besides a good assertion, is refused with 401 (RFC 6749 section 5.2)."""
    form = desk.form() if proved else {"grant_type": "client_credentials"}
    response = await desk.http.post("/oauth2/token", data=form, headers={"Authorization": header})
    assert (401, "invalid_client") == (response.status_code, response.json()["error"])
    assert "www-authenticate" in response.headers


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD"])
async def test_only_post_asks_for_a_token(desk: Any, method: str) -> None:
    """Tokens are asked for by POST only: an address with an assertion in it would end up in logs."""
    response = await desk.http.request(method, "/oauth2/token", params=desk.form())
    assert 405 == response.status_code


async def test_parameters_in_the_address_are_not_read(desk: Any) -> None:
    """A good request written in the query string opens nothing."""
    response = await desk.http.post("/oauth2/token", params=desk.form(), data={"grant_type": "client_credentials"})
    assert (400, "invalid_client") == (response.status_code, response.json()["error"])


async def test_an_access_token_is_no_assertion(desk: Any) -> None:
    """What the gateway signed for one use does not serve for another."""
    response = await desk.ask(desk.form(await desk.token()))
    assert (400, "invalid_client") == (response.status_code, response.json()["error"])


async def test_the_answer_does_not_tell_an_unknown_client_from_a_wrong_key(desk: Any) -> None:
    """Nobody learns which client_ids exist by knocking."""
    answers = {
        (await desk.ask(desk.form(assertion))).text
        for assertion in (
            desk.assertion(client="personne"),
            desk.assertion(client="caf-ancien"),
            desk.assertion(key=desk.keys.other, header={"kid": "es256"}),
            desk.assertion(header={"kid": "inconnu"}),
        )
    }
    assert 1 == len(answers)


ACCEPTED: dict[str, Case] = {
    "ES256": lambda d: d.assertion(),
    "ES384 and the token address, under SMART": _smart,
    "PS256": lambda d: d.assertion(key=d.keys.ps256, header={"alg": "PS256"}),
    "Ed25519": lambda d: d.assertion(key=d.keys.ed25519, header={"alg": "Ed25519"}),
    "EdDSA, its former name": lambda d: d.assertion(key=d.keys.ed25519, header={"alg": "EdDSA"}),
    "typ JWT": lambda d: d.assertion(header={"typ": "JWT"}),
    "typ client-authentication+jwt": lambda d: d.assertion(header={"typ": "client-authentication+jwt"}),
    "no iat": lambda d: d.assertion(iat=...),
    "clock 8 seconds ahead": lambda d: d.assertion(iat=time.time() + 8, nbf=time.time() + 8, exp=time.time() + 68),
    "clock 8 seconds behind, at its end": lambda d: d.assertion(iat=time.time() - 68, exp=time.time() - 8),
    "five minutes": lambda d: d.assertion(exp=time.time() + 300),
    "jti of 256 characters": lambda d: d.assertion(jti=f"{time.time_ns():0>256}"),
    "client_id repeated in the form": lambda d: d.form(client_id="caf-rsa"),
    "scope empty": lambda d: d.form(scope=""),
}


@pytest.mark.parametrize("case", ACCEPTED)
async def test_a_good_assertion_is_accepted(desk: Any, case: str) -> None:
    """Every algorithm and form that the documentation allows gets a token."""
    made = ACCEPTED[case](desk)
    response = await desk.ask(made if isinstance(made, dict) else desk.form(made))
    assert 200 == response.status_code, response.text
