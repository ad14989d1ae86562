"""Conventions as files: read strictly, checked, signed by their parties, followed in time, compared and compiled."""

import base64
import copy
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib.resources import files

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from joserfc import jws
from joserfc.jwk import ECKey, OctKey, OKPKey

from consent.conventions import Convention, ConventionRefused, ConventionUnreadable, check, load, load_yaml, read
from consent.conventions.compile import compile_convention
from consent.conventions.convention import canonical_bytes, canonical_hash
from consent.conventions.difference import differences
from consent.conventions.lifecycle import Mark, MarkKind, Signed, state_at
from consent.conventions.signature import SignatureInvalid, Verified, sign, verify_signature
from schemas import Document, Kind

CAF, DEPARTEMENT, ASSOCIATION = "99900001100018", "99900002900010", "99900003700013"
START = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
MODELS = sorted(entry.name for entry in (files("consent") / "models").iterdir() if entry.name.endswith(".yaml"))


def raw(name: str) -> bytes:
    """The text of a model convention."""
    return (files("consent") / "models" / name).read_bytes()


def departement() -> Document:
    """The model between the CAF and the département, as a document of one's own."""
    return copy.deepcopy(dict(read(raw("tznr-caf-departement.yaml")).document))


def key_pair(kind: str = "ec") -> tuple[bytes, dict[str, object]]:
    """A private key in PEM and the key set, with one public key "k1", that its owner registers."""
    private = ec.generate_private_key(ec.SECP256R1()) if kind == "ec" else ed25519.Ed25519PrivateKey.generate()
    pem = pem_of(private)
    owner = ECKey if kind == "ec" else OKPKey
    public = owner.import_key(pem, {"kid": "k1", "use": "sig"}).as_dict(private=False)
    return pem, {"keys": [public]}


def pem_of(private: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey) -> bytes:
    """A private key as PEM."""
    none = serialization.NoEncryption()
    return private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, none)


def codes_of(document: Document) -> list[tuple[str, str]]:
    """The code and the pointer of everything wrong with a convention."""
    return [(issue.code, issue.pointer) for issue in check(document)]


@pytest.mark.parametrize("name", MODELS)
def test_each_model_shipped_is_a_sound_convention(name: str) -> None:
    """What we give as an example must pass our own checks, and carry comments for its reader."""
    assert [] == check(load(raw(name)).document)
    assert b"# " in raw(name)


def test_yaml_and_json_of_the_same_convention_have_the_same_hash() -> None:
    """Comments, order, spaces and format do not count: only what is said."""
    convention = read(raw("tznr-caf-departement.yaml"))
    document = dict(convention.document)
    shuffled = json.dumps(dict(reversed(document.items())), indent=3).encode()
    assert convention.hash == read(shuffled).hash
    assert convention.hash != canonical_hash(document | {"version": 2})


def test_yaml_keeps_as_text_everything_that_json_would() -> None:
    """Dates, words such as `no`, numbers with a leading zero and colons stay texts; only JSON's own scalars are typed."""
    text = b"a: 2026-01-01\nb: no\nc: 039\nd: 12:30:00\ne: 1_000\nf: 12\ng: -1.5e2\nh: true\ni: ~\nj: '7'\nk: 0x1F\n"
    expected = {
        "a": "2026-01-01",
        "b": "no",
        "c": "039",
        "d": "12:30:00",
        "e": "1_000",
        "f": 12,
        "g": -150,
        "h": True,
        "i": None,
        "j": "7",
        "k": "0x1F",
    }
    assert expected == load_yaml(text).document


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        (b"a: 1\nb: 2\na: 3\n", "duplicate_key", 3),
        (b"a: &x [1]\nb: *x\n", "anchor", 1),
        (b"a: 1\nb: *x\n", "anchor", 2),
        (b"a: !!python/object:os.system [ls]\n", "tag", 1),
        (b"a: 1\n1: 2\n", "key_not_text", 2),
        (b"a: [1\nb: 2\n", "syntax", 2),
        (b"a: 1\n---\nb: 2\n", "several", 2),
        (b"", "empty", None),
        (b"# only a comment\n", "empty", None),
        (b"a: \xe9\n", "encoding", None),
        (b"a: 123456789012345678901234567890\n", "number_range", None),
        (b'a: "\\u202e"\n', "bidi_control", None),
        (b"a: " + b"[" * 40 + b"]" * 40 + b"\n", "too_deep", 1),
        (b"a: '" + b"x" * 300_000 + b"'\n", "too_large", None),
        (b'{"a": 1, "a": 2}', "duplicate_key", 1),
        (b'{"a": NaN}', "not_a_number", 1),
    ],
)
def test_a_file_that_readers_could_understand_differently_is_refused(text: bytes, code: str, line: int | None) -> None:
    """The refusal says what is wrong and on which line, and holds nothing of the file."""
    with pytest.raises(ConventionUnreadable) as caught:
        load(text)
    assert (code, line) == (caught.value.code, caught.value.line)
    assert caught.value.message_fr.endswith(".")


def test_an_expanding_yaml_is_refused_at_its_first_anchor() -> None:
    """Nested aliases that would fill the memory are never expanded."""
    bomb = "a: &a [x, x]\n" + "".join(
        f"{name}: &{name} [*{before}, *{before}]\n" for before, name in zip("abcdefghij", "bcdefghijk", strict=True)
    )
    with pytest.raises(ConventionUnreadable) as caught:
        load(bomb.encode())
    assert "anchor" == caught.value.code


def test_what_is_wrong_is_told_all_at_once_with_lines_and_columns() -> None:
    """The author of a file corrects everything in one go, without counting lines."""
    text = raw("tznr-caf-departement.yaml").decode()
    text = text.replace("legal_basis: aller-vers", "legal_basis: nulle-part", 1)
    text = text.replace("except: [/subject/birth_place/name]", "except: [/subject/birthplace]")
    with pytest.raises(ConventionRefused) as caught:
        read(text.replace("from: 2026-01-01", "from: 2031-01-01").encode())
    places = {
        issue.code: text.splitlines()[(issue.line or 0) - 1][(issue.column or 0) - 1 :] for issue in caught.value.issues
    }
    assert {"validity_order", "legal_basis_unknown"} == set(places)
    assert places["validity_order"].startswith("2030-12-31")
    assert places["legal_basis_unknown"].startswith("nulle-part")
    loaded = load(text.replace("nulle-part", "aller-vers").encode())
    [issue] = check(loaded.document, loaded.places)
    assert ("pattern_unknown", "/flows/0/except/0") == (issue.code, issue.pointer)


def _set(pointer: str, value: object) -> Callable[[Document], None]:
    def change(document: Document) -> None:
        *path, last = [int(part) if part.isdecimal() else part for part in pointer.split("/")[1:]]
        target: object = document
        for part in path:
            target = target[part]  # type: ignore[index]
        target[last] = value  # type: ignore[index]

    return change


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (_set("/flows/0/to", "99900004500016"), ("not_a_party", "/flows/0/to")),
        (_set("/flows/0/to", CAF), ("flow_to_itself", "/flows/0/to")),
        (_set("/purposes", ["follow_up", "award_right", "social_evaluation"]), ("purpose_not_declared", "/flows/0/purposes/0")),
        (_set("/flows/0/id", "bilan"), ("repeated", "/flows/2/id")),
        (_set("/parties/1/siret", CAF), ("repeated", "/parties/1/siret")),
        (_set("/parties/1/siret", "99900002900011"), ("format", "/parties/1/siret")),
        (_set("/parties/1/nir_entitled", False), ("nir_contradiction", "/parties/1/nir_entitled")),
        (_set("/parties/1/role", "association"), ("nir_role", "/parties/1/nir_entitled")),
        (_set("/parties/1/acts_for", DEPARTEMENT), ("acts_for_itself", "/parties/1/acts_for")),
        (_set("/nir/1/party", ASSOCIATION), ("not_a_party", "/nir/1/party")),
        (_set("/legal_bases/0/rgpd", "6.1.a"), ("consent_without_agreement", "/flows/0/agreement")),
        (_set("/flows/0/only", ["/lines"]), ("pattern_unknown", "/flows/0/only/0")),
        (_set("/flows/0/only", ["/attachments"]), ("pattern_without_effect", "/flows/0/only/0")),
        (_set("/flows/2/only", ["/lines/*/state"]), ("pattern_without_effect", "/flows/2/only/0")),
        (_set("/flows/0/categories", ["amounts"]), None),
        (_set("/flows/0/categories", ["status"]), ("flow_says_nothing", "/flows/0/categories")),
        (_set("/flows/0/except", ["/sender/siret"]), ("flow_says_nothing", "/flows/0/categories")),
        (_set("/title", "x" * 301), ("max_length", "/title")),
    ],
)  # fmt: skip
def test_a_convention_that_contradicts_itself_is_told_where(
    change: Callable[[Document], None], expected: tuple[str, str] | None
) -> None:
    """Each cross-check points at the value to correct."""
    document = departement()
    assert [] == codes_of(document)
    change(document)
    assert expected in codes_of(document) if expected else codes_of(document) == []
    if expected:
        with pytest.raises(ConventionRefused):
            Convention.from_document(document)


def test_fraud_control_is_not_a_purpose_a_convention_can_have() -> None:
    """The closed list is in the schema: such a convention cannot even be proposed."""
    document = departement()
    document["purposes"].append("fraud_control")
    assert "/purposes/4" in [pointer for _, pointer in codes_of(document)]


@pytest.mark.parametrize("kind", ["ec", "okp"])
def test_a_party_signs_the_canonical_text_and_anybody_with_its_key_set_verifies_it(kind: str) -> None:
    """The compact JWS holds the RFC 8785 bytes themselves, with the party and the type in its header."""
    document = departement()
    pem, jwks = key_pair(kind)
    signature = sign(document, pem, CAF, "k1")
    header, payload, _ = signature.split(".")
    assert {"alg", "kid", "typ", "siret"} == set(json.loads(base64.urlsafe_b64decode(header + "==")))
    assert canonical_bytes(document) == base64.urlsafe_b64decode(payload + "==")
    expected = Verified(CAF, "k1", canonical_hash(document))
    assert expected == verify_signature(signature, dict(reversed(document.items())), jwks)


def test_a_signature_named_eddsa_by_a_partners_library_counts_and_only_with_an_ed25519_key() -> None:
    """Most libraries write EdDSA where RFC 9864 wants Ed25519: the same signature; with an EC key the name is a lie."""
    document = departement()
    key = ed25519.Ed25519PrivateKey.generate()
    raw = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    public = {"kty": "OKP", "crv": "Ed25519", "kid": "k1", "x": unpadded(raw).decode()}
    header = json.dumps({"alg": "EdDSA", "kid": "k1", "typ": "convention+jws", "siret": CAF}).encode()
    signed = unpadded(header) + b"." + unpadded(canonical_bytes(document))
    signature = (signed + b"." + unpadded(key.sign(signed))).decode()
    assert Verified(CAF, "k1", canonical_hash(document)) == verify_signature(signature, document, {"keys": [public]})
    with pytest.raises(SignatureInvalid):
        verify_signature(signature, document, key_pair("ec")[1])


def test_a_signature_over_another_text_or_by_another_key_is_refused() -> None:
    """One changed category, another party's key, a stranger's SIRET: each is told apart."""
    document = departement()
    pem, jwks = key_pair()
    signature = sign(document, pem, CAF, "k1")
    changed = copy.deepcopy(document)
    changed["flows"][0]["categories"].append("amounts")

    def refusal(signature: str, document: Document, jwks: dict[str, object]) -> str:
        with pytest.raises(SignatureInvalid) as caught:
            verify_signature(signature, document, jwks)
        return caught.value.code

    assert "other_convention" == refusal(signature, changed, jwks)
    assert "signature_not_valid" == refusal(signature, document, key_pair()[1])
    assert "key_unknown" == refusal(signature, document, {"keys": []})
    assert "key_unknown" == refusal(signature, document, {"keys": [*jwks["keys"], *jwks["keys"]]})  # type: ignore[misc]
    assert "signature_not_valid" == refusal(signature[:-6] + "AAAAAA", document, jwks)
    assert "signature_not_valid" == refusal("not a signature", document, jwks)
    assert "signature_not_valid" == refusal("é.é.é", document, jwks)
    with pytest.raises(SignatureInvalid) as caught:
        sign(document, pem, ASSOCIATION, "k1")
    assert "not_a_party" == caught.value.code


def test_the_algorithm_is_the_registered_keys_and_never_the_headers_choice() -> None:
    """No algorithm, a shared secret or an RSA key in place of the registered key: refused."""
    document = departement()
    _, jwks = key_pair()
    payload = canonical_bytes(document)
    secret = OctKey.import_key(json.dumps(jwks["keys"]), {"kid": "k1"})
    registry = jws.JWSRegistry(algorithms=["HS256"], strict_check_header=False)
    header = {"alg": "HS256", "kid": "k1", "typ": "convention+jws", "siret": CAF}
    confused = jws.serialize_compact(header, payload, secret, registry=registry)
    unsigned = ".".join(
        [
            base64.urlsafe_b64encode(json.dumps(header | {"alg": "none"}).encode()).rstrip(b"=").decode(),
            base64.urlsafe_b64encode(payload).rstrip(b"=").decode(),
            "",
        ]
    )
    for signature in (confused, unsigned):
        with pytest.raises(SignatureInvalid):
            verify_signature(signature, document, jwks)
    with pytest.raises(SignatureInvalid):
        verify_signature(confused, document, {"keys": [secret.as_dict(private=True) | {"kid": "k1"}]})
    rsa_pem = pem_of(rsa.generate_private_key(public_exponent=65537, key_size=2048))
    for pem in (rsa_pem, pem_of(ec.generate_private_key(ec.SECP384R1())), b"no key"):
        with pytest.raises(SignatureInvalid) as caught:
            sign(document, pem, CAF, "k1")
        assert "key_unusable" == caught.value.code


def unpadded(raw: bytes) -> bytes:
    """Base64url as JOSE writes it."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def test_another_kind_of_token_signed_by_the_same_key_is_no_signature() -> None:
    """The type in the header keeps a client assertion from being replayed as a signature."""
    document = departement()
    pem, jwks = key_pair()
    header = {"alg": "ES256", "kid": "k1", "typ": "JWT", "siret": CAF}
    registry = jws.JWSRegistry(algorithms=["ES256"], strict_check_header=False)
    token = jws.serialize_compact(header, canonical_bytes(document), ECKey.import_key(pem), registry=registry)
    with pytest.raises(SignatureInvalid) as caught:
        verify_signature(token, document, jwks)
    assert "signature_not_valid" == caught.value.code


def test_a_convention_is_valid_once_every_party_has_signed_this_very_text() -> None:
    """One signature is not enough, nor two by the same party, nor one over an earlier text."""
    convention = Convention.from_document(departement())
    caf, other = (Signed(siret, "k1", convention.hash, START) for siret in (CAF, DEPARTEMENT))
    old = Signed(DEPARTEMENT, "k1", "0" * 64, START)
    stranger = Signed(ASSOCIATION, "k1", convention.hash, START)
    assert "proposed" == convention.state == state_at(convention, [], [], START)
    assert "proposed" == state_at(convention, [caf, caf], [], START)
    assert "proposed" == state_at(convention, [caf, old, stranger], [], START)
    assert "valid" == state_at(convention, [caf, other], [], START)
    assert "proposed" == state_at(convention, [caf, other], [], START - DAY)
    assert "expired" == state_at(convention, [caf, other], [], convention.ends)
    assert "valid" == convention.in_state("valid").state


@pytest.mark.parametrize(
    ("marks", "day", "expected"),
    [
        ([("suspended", 1)], 0, "valid"),
        ([("suspended", 1)], 1, "suspended"),
        ([("suspended", 1), ("resumed", 2)], 2, "valid"),
        ([("resumed", 2), ("suspended", 1)], 3, "valid"),
        ([("suspended", 1), ("resumed", 1)], 1, "suspended"),
        ([("revoked", 1), ("resumed", 2)], 3, "revoked"),
        ([("rejected", 1)], 1, "revoked"),
        ([("rejected", -1)], 1, "rejected"),
        ([("revoked", -1)], 1, "rejected"),
        ([("revoked", 1)], 5000, "revoked"),
        ([("suspended", 1)], 5000, "expired"),
    ],
)
def test_a_mark_counts_from_its_moment_and_an_end_is_final(
    marks: list[tuple[str, int]], day: int, expected: str
) -> None:
    """Suspension can be lifted; a refusal or a revocation cannot be undone."""
    convention = Convention.from_document(departement())
    signed = [Signed(siret, "k1", convention.hash, START) for siret in (CAF, DEPARTEMENT)]
    done = [Mark(MarkKind(kind), START + number * DAY) for kind, number in marks]
    assert expected == state_at(convention, signed, done, START + day * DAY)


def test_a_new_version_shows_everything_it_widens() -> None:
    """Fields, recipients, the agreement, retention and the NIR: each widening has its flag, with what was added."""
    old_document = departement()
    old_document["flows"] = [old_document["flows"][0] | {"agreement": "required", "categories": ["identity", "nir"]}]
    old_document["parties"][1]["nir_entitled"] = False
    old_document["nir"] = old_document["nir"][:1]
    new_document = departement() | {"version": 2}
    new_document["flows"] = [
        old_document["flows"][0] | {"agreement": "not_required", "categories": ["identity", "nir", "address"]}
    ]
    new_document["flows"].append(
        {
            "id": "retour",
            "kind": "referral",
            "from": DEPARTEMENT,
            "to": CAF,
            "purposes": ["award_right"],
            "legal_basis": "aller-vers",
            "agreement": "not_required",
            "categories": ["identity"],
        }
    )
    new_document["retention"][3]["months"] = 30
    new_document["retention"].append({"class": "agreement_proof", "months": 6})
    new_document["validity"]["until"] = "2031-12-31"
    old, new = Convention.from_document(old_document), Convention.from_document(new_document)
    found = differences(old, new)
    assert {
        "recipient_added",
        "path_added",
        "fields_added",
        "agreement_no_longer_required",
        "retention_lengthened",
        "nir_entitlement_added",
        "validity_extended",
    } == {change.code for change in found}
    [added] = [
        change for change in found if change.code == "fields_added" and change.where[2:] == (DEPARTEMENT, "award_right")
    ]
    assert {"/subject/address/postcode", "/subject/nir"} <= set(added.details)
    assert "/subject/birth_name" not in added.details
    longer = [(change.where, change.details) for change in found if change.code == "retention_lengthened"]
    assert [(("referral",), ("30",)), (("agreement_proof",), ("6",))] == longer
    assert "fields_added" not in {change.code for change in differences(new, old)}
    assert () == differences(old, old)


def test_lifting_an_exception_or_asking_for_less_evidence_is_a_widening() -> None:
    """The effects are compared, not the texts: no category changed, and yet more may leave."""
    old_document = departement()
    old_document["flows"] = [old_document["flows"][0] | {"agreement": "required", "evidence_level": "authenticated"}]
    new_document = copy.deepcopy(old_document)
    new_document["flows"][0].pop("except")
    new_document["flows"][0]["evidence_level"] = "declared_by_professional"
    found = differences(Convention.from_document(old_document), Convention.from_document(new_document))
    assert {"fields_added", "agreement_weakened"} == {change.code for change in found}
    assert {("/subject/birth_place/name",)} == {change.details for change in found if change.code == "fields_added"}


def test_another_channel_a_larger_volume_and_a_delegation_are_widenings() -> None:
    """What passes elsewhere, in greater number or through somebody else's hands is told to who signs; less of it is not."""
    old_document = departement()
    old_document |= {"channels": ["api", "mailbox"], "limits": {"per_day": 100, "per_minute": 10}}
    old_document["signed_requests"] = True
    new_document = copy.deepcopy(old_document) | {"channels": ["api", "mailbox", "light"], "limits": {"per_day": 101}}
    del new_document["signed_requests"]
    new_document["parties"][1]["acts_for"] = CAF
    old, new = Convention.from_document(old_document), Convention.from_document(new_document)
    assert [
        ("channel_added", ("light",), ()),
        ("signature_no_longer_required", (), ()),
        ("volume_raised", ("per_day",), ("101",)),
        ("volume_raised", ("per_minute",), ()),
        ("delegation_added", (DEPARTEMENT, CAF), ()),
    ] == [(change.code, change.where, change.details) for change in differences(old, new)]
    assert () == differences(new, old)


@pytest.mark.parametrize("channels", [["api", "inbound"], ["mailbox", "light"]])
def test_a_convention_by_which_nothing_can_come_in_or_go_out_is_refused(channels: list[str]) -> None:
    """One way in and one way out are needed, and SFTP is both."""
    assert [("channel_missing", "/channels")] == codes_of(departement() | {"channels": channels})
    assert [] == codes_of(departement() | {"channels": ["sftp"]})


def test_a_convention_compiles_to_scopes_routes_masks_and_retention() -> None:
    """Everything the machines apply comes from the file."""
    compiled = compile_convention(read(raw("tznr-caf-association.yaml")))
    assert ("bilan:send", "consent:send", "mailbox:read", "referral:send") == compiled.scopes[CAF]
    assert ("mailbox:read", "status:send") == compiled.scopes[ASSOCIATION]
    assert [(Kind.REFERRAL, CAF, ASSOCIATION), (Kind.BILAN, CAF, ASSOCIATION), (Kind.STATUS, ASSOCIATION, CAF)] == [
        (route.kind, route.sender, route.recipient) for route in compiled.routes
    ]
    assert 36 == compiled.retention["exchange_trace"]
    assert {"per_day": 200_000} == compiled.as_json()["limits"]
    assert ["api", "inbound", "mailbox", "webhook", "light"] == compiled.as_json()["channels"]
    masks = compiled.field_masks
    assert () == masks["orientation"].without_agreement
    assert "/subject/birth_name" in masks["orientation"].at_most
    assert "/subject/nir" not in masks["orientation"].at_most
    assert masks["suites"].at_most == masks["suites"].without_agreement
    assert compiled.as_json() == json.loads(json.dumps(compiled.as_json()))


def test_one_category_in_the_file_changes_the_mask_and_no_code_does() -> None:
    """Adding `address` to a flow adds exactly the leaves that the schema labels so."""
    document = departement()
    document["flows"][0]["categories"] = ["identity"]
    before = set(compile_convention(Convention.from_document(document)).field_masks["orientation"].at_most)
    document["flows"][0]["categories"] = ["identity", "address"]
    after = set(compile_convention(Convention.from_document(document)).field_masks["orientation"].at_most)
    assert before < after
    assert all(pattern.startswith("/subject/address/") for pattern in after - before)


def test_a_convention_gives_the_routes_of_a_sender_in_the_order_of_the_file() -> None:
    """Each flow of the kind, with its recipient and purposes."""
    convention = read(raw("tznr-caf-departement.yaml"))
    assert [{"inform_about_rights", "award_right"}, {"social_evaluation"}] == [
        set(route.purposes) for route in convention.routes(Kind.REFERRAL, CAF)
    ]
    assert () == convention.routes(Kind.REFERRAL, DEPARTEMENT)
