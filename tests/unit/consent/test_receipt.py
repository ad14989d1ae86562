"""Receipts, commitments and events: the published worked example, disclosure, erasure, and alterations."""

import hmac
import json
from base64 import b64encode
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest

from consent.ledger.catalogue import CATALOGUE
from consent.ledger.checkpoint import Checkpoint, open_checkpoint
from consent.ledger.commitment import Disclosure, DisclosureInvalid
from consent.ledger.event import Event, EventInvalid, EventType, commit
from consent.ledger.merkle import inclusion_ranges, leaf_hash, range_hashes, tree_root
from consent.ledger.note import Signer, Verifier
from consent.ledger.proof import Receipt, ReceiptInvalid, extra_of, verify_entry
from consent.ledger.tiles import RightEdge, TileHashes
from consent.verify import verify_receipt

VKEY = "passerelle.example/journal+0138cc45+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"
WITNESS = "temoin.example/w1+93538984+BCmsuuFBvMrwsi4alNNNC8c2HlJtC/4SyJeUvJMilm3X"
EXAMPLE = """\
c2sp.org/tlog-proof@v1
index 2
sTeYX/SE+2ANuTEHx3sDZcgNePW0Kd7Q/Zc2HQd5mes=

passerelle.example/journal
3
NmQuc8JUCrEh46a/lUWwokmCzYMOsT080Z3jzmwCHsE=

— passerelle.example/journal ATjMRYkWHz3ru+nEG+/pyQZm4Ie7tA9HzSy4hIy4EEOksJHulKL0Iiw/orGP+J0qeBpg3kOIyPUCEKEcGYngZy62eAc=
— temoin.example/w1 k1OJhAAAAABlU/EA/1knYn3LAZE765MGkNSubawtBsUqHodV5+B/5Yg/kRMDvHLr8OFdzIa7tm+YbuSJ6WlHCW6r3ZC7vAl/QpVdCQ==
""".encode()
OPENING = bytes(range(32))


def event(**changes: Any) -> Event:
    """A disclosure event between fictitious partners."""
    fields: dict[str, Any] = {
        "id": "0192f0c4-2f1e-8a01-9c35-5f0f6b7a1c11",
        "type": EventType.DISCLOSURE_MADE,
        "occurred_at": datetime(2026, 11, 23, 9, 0, tzinfo=UTC),
        "actor": "99900009400014",
        "body": {
            "recipient": "99900002900010",
            "exchange_id": "0192f0c4-2f1e-8a01-9c35-5f0f6b7a1c12",
            "permitted": ["/reasons/*/code", "/subject/birth_name"],
            "reasons": [{"code": "agreement", "article": "L114-8"}],
            "convention_version": 1,
            "note": "reçu à l’accueil",
        },
    }
    return Event(**{**fields, **changes})


def log_of(entries: list[bytes]) -> tuple[bytes, TileHashes]:
    """The signed checkpoint of a log of these entries, and its hashes."""
    growth = RightEdge().extend([leaf_hash(entry) for entry in entries])
    signer = Signer.from_seed("passerelle.example/journal", bytes(range(32)))
    return Checkpoint(signer.name, len(entries), growth.edge.root()).signed(signer).note, TileHashes(growth.tiles)


def receipt_of(entries: list[bytes], index: int, extra: bytes | None) -> bytes:
    """The receipt of one entry of a small log."""
    note, hashes = log_of(entries)
    return Receipt(index, tuple(range_hashes(inclusion_ranges(index, len(entries)), hashes)), note, extra).encode()


def test_the_receipt_of_the_worked_example_is_read_and_written_byte_for_byte() -> None:
    """Index, path and checkpoint of the published receipt, and the same bytes back."""
    receipt = Receipt.parse(EXAMPLE)
    assert receipt.index == 2
    assert [step.hex() for step in receipt.path] == ["b137985ff484fb600db93107c77b0365c80d78f5b429ded0fd97361d077999eb"]
    assert receipt.extra is None
    assert receipt.encode() == EXAMPLE


def test_the_receipt_of_the_worked_example_is_built_from_its_entries() -> None:
    """Our own tree and key give the published leaves, node, root, proofs and signature; only the witness's line is not ours."""
    leaves = [leaf_hash(entry) for entry in (b"a", b"b", b"c")]
    assert [leaf.hex() for leaf in leaves] == [
        "022a6979e6dab7aa5ae4c3e5e45f7e977112a7e63593820dbec1ec738a24f93c",
        "57eb35615d47f34ec714cacdf5fd74608a5e8e102724e80b24b287c0c27b6a31",
        "597fcb31282d34654c200d3418fca5705c648ebf326ec73d8ddef11841f876d8",
    ]
    assert tree_root(leaves).hex() == "36642e73c2540ab121e3a6bf9545b0a24982cd830eb13d3cd19de3ce6c021ec1"
    ours = receipt_of([b"a", b"b", b"c"], 2, None)
    assert EXAMPLE[: EXAMPLE.rindex("— temoin".encode())] == ours
    note, hashes = log_of([b"a", b"b", b"c"])
    assert [leaves[1], leaves[2]] == range_hashes(inclusion_ranges(0, 3), hashes)
    assert EXAMPLE.split(b"\n\n", 1)[1].startswith(note)


def test_the_worked_example_verifies_with_its_witness() -> None:
    """Entry `c` is in the log; entry `b` under the same proof is not."""
    report = verify_receipt(EXAMPLE, VKEY, entry=b"c", witnesses=[WITNESS])
    assert (
        report.exit_code,
        report.size,
        report.index,
        report.cosigned,
    ) == (0, 3, 2, {"temoin.example/w1": 1_700_000_000})
    assert report.warnings == ()
    refused = verify_receipt(EXAMPLE, VKEY, entry=b"b", witnesses=[WITNESS])
    assert (refused.exit_code, [finding.code for finding in refused.findings]) == (1, ["inclusion"])
    receipt = Receipt.parse(EXAMPLE)
    head = open_checkpoint(receipt.checkpoint, Verifier.parse(VKEY)).checkpoint
    assert head.size == 3
    verify_entry(receipt, b"c", head)


def test_the_entry_is_the_keyed_commitment_to_the_canonical_event() -> None:
    """0x01, then HMAC-SHA-256 under the opening over the RFC 8785 bytes, written out here by hand."""
    canonical = (
        '{"actor":"99900009400014","body":{"convention_version":1,"exchange_id":"0192f0c4-2f1e-8a01-9c35-5f0f6b7a1c12",'
        '"note":"reçu à l’accueil","permitted":["/reasons/*/code","/subject/birth_name"],'
        '"reasons":[{"article":"L114-8","code":"agreement"}],"recipient":"99900002900010"},'
        '"id":"0192f0c4-2f1e-8a01-9c35-5f0f6b7a1c11","occurred_at":"2026-11-23T09:00:00.000000Z","type":"disclosure_made"}'
    ).encode()
    assert canonical == event().canonical()
    assert b"\x01" + hmac.digest(OPENING, canonical, "sha256") == commit(event(), OPENING)
    assert commit(event(), OPENING) != commit(event(), bytes(32))


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_an_opening_has_one_length(length: int) -> None:
    """HMAC pads its key: an opening of another length could be a second key to the same commitment."""
    with pytest.raises(DisclosureInvalid):
        commit(event(), bytes(length))


def test_an_event_reads_back_from_its_canonical_bytes() -> None:
    """What was sealed is what is shown, with its time in UTC."""
    local = event(occurred_at=datetime(2026, 11, 23, 10, 0, tzinfo=timezone(timedelta(hours=1))))
    assert event() == Event.from_canonical(local.canonical())


@pytest.mark.parametrize(
    "raw",
    [b"", b"{}", b"[]", b"\xff", event().canonical() + b" ", event().canonical().replace(b'"type"', b'"kind"'),
     event().canonical().replace(b"disclosure_made", b"disclosure_meant"), event().canonical().replace(b':1,', b':1.0,'),
     event().canonical().replace(b'"actor":', b'"actor":"99900009400014","actor":')],
)  # fmt: skip
def test_other_bytes_are_not_an_event(raw: bytes) -> None:
    """Not JSON, not canonical, unknown, or with a name twice: refused."""
    with pytest.raises(EventInvalid):
        Event.from_canonical(raw)


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "0192F0C4-2F1E-8A01-9C35-5F0F6B7A1C11"},
        {"id": "1"},
        {"actor": "9990000940001"},
        {"occurred_at": datetime(2026, 11, 23, 9, 0)},  # noqa: DTZ001
        {"body": {"share": 0.5}},
        {"body": {"count": 2**53}},
        {"body": {"when": datetime(2026, 11, 23, tzinfo=UTC)}},
        {"body": {"text": "\ud800"}},
        {"body": {"nested": [{"nir": "x"}]}},
        {"body": {"birth_name": "x"}},
        {"body": {1: "x"}},
    ],
)
def test_an_event_that_could_name_a_person_or_read_differently_is_refused(changes: dict[str, Any]) -> None:
    """Fractions, huge numbers, local times, lone surrogates and names of personal fields have no place in an event."""
    with pytest.raises(EventInvalid):
        event(**changes)


def test_every_event_type_has_its_words_in_both_languages() -> None:
    """The published catalogue is complete, and no two types read alike."""
    assert set(EventType) == set(CATALOGUE)
    for words in CATALOGUE.values():
        assert words.sentence_fr.endswith(".") and words.sentence_en.endswith(".")
    assert len(CATALOGUE) == len({words.title_fr for words in CATALOGUE.values()})
    assert len(CATALOGUE) == len({words.sentence_en for words in CATALOGUE.values()})
    assert all(len(kind.value) <= 40 for kind in EventType)


def test_a_receipt_shows_its_event_against_the_commitment() -> None:
    """The verifier finds the event in the receipt, opens the commitment and names what happened in French."""
    entries = [b"x", commit(event(), OPENING), b"y"]
    raw = receipt_of(entries, 1, extra_of(Disclosure(event().canonical(), OPENING)))
    report = verify_receipt(raw, VKEY)
    assert (report.exit_code, report.index, report.size) == (0, 1, 3)
    assert report.event is not None
    assert report.event["type"] == "disclosure_made"
    assert "Événement : Données communiquées (disclosure_made)" in report.to_text_fr()
    assert verify_receipt(raw, VKEY, entry=entries[1]).ok
    assert [f.code for f in verify_receipt(raw, VKEY, entry=b"x").findings] == ["entry_not_this"]


@pytest.mark.parametrize(
    "shown",
    [
        Disclosure(event(actor="99900001100018").canonical(), OPENING),
        Disclosure(event().canonical(), bytes(32)),
        commit(event(), bytes(32)),
    ],
)
def test_another_event_or_opening_does_not_fit_the_log(shown: Disclosure | bytes) -> None:
    """Showing another actor, another opening or another entry leads to another root."""
    report = verify_receipt(receipt_of([b"x", commit(event(), OPENING), b"y"], 1, extra_of(shown)), VKEY)
    assert (report.exit_code, [f.code for f in report.findings], report.event) == (1, ["inclusion"], None)


def test_an_erased_event_still_verifies() -> None:
    """Without its opening, a receipt proves that the entry is in the log and shows nothing."""
    report = verify_receipt(receipt_of([b"x", commit(event(), OPENING)], 1, extra_of(commit(event(), OPENING))), VKEY)
    assert (report.exit_code, report.index, report.event) == (0, 1, None)


def test_a_receipt_without_anything_to_check_is_not_called_valid() -> None:
    """A proof of nothing in particular is unusable, not valid."""
    assert (
        verify_receipt(EXAMPLE, VKEY).exit_code,
        [f.code for f in verify_receipt(EXAMPLE, VKEY).findings],
    ) == (2, ["nothing_to_check"])


def test_every_flipped_bit_of_a_receipt_is_refused() -> None:
    """No single-bit change anywhere in a receipt with its disclosed event is accepted."""
    entries = [b"x", commit(event(), OPENING), b"y"]
    raw = receipt_of(entries, 1, extra_of(Disclosure(event().canonical(), OPENING)))
    flips = [raw[: at // 8] + bytes([raw[at // 8] ^ 1 << at % 8]) + raw[at // 8 + 1 :] for at in range(len(raw) * 8)]
    assert len(flips) > 8_000
    assert [at for at, flipped in enumerate(flips) if verify_receipt(flipped, VKEY).exit_code == 0] == []


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\n\n",
        EXAMPLE.replace(b"@v1", b"@v2"),
        EXAMPLE.replace(b"index 2", b"index 02"),
        EXAMPLE.replace(b"index 2", b"index -2"),
        EXAMPLE.replace(b"index 2\n", b""),
        EXAMPLE.replace(b"index 2", b"extra\nindex 2"),
        EXAMPLE.replace(b"index 2", b"extra \nindex 2"),
        EXAMPLE.replace(b"index 2", b"extra YQ==\nextra YQ==\nindex 2"),
        EXAMPLE.replace(b"index 2", b"index 2\nYQ=="),
        EXAMPLE.replace(b"mes=", b"met="),
        EXAMPLE.replace(b"index 2\n", b"index 2\r\n"),
        EXAMPLE.replace(b"index 2\n", b"index 2\n" + 64 * (b64encode(bytes(32)) + b"\n")),
        EXAMPLE.split(b"\n\n")[0],
    ],
)
def test_a_malformed_receipt_is_refused(raw: bytes) -> None:
    """Whatever is not exactly the format is no receipt."""
    with pytest.raises(ReceiptInvalid):
        Receipt.parse(raw)
    assert [f.code for f in verify_receipt(raw, VKEY, entry=b"c").findings] == ["receipt_malformed"]


@pytest.mark.parametrize(
    ("extra", "code"),
    [
        (b"not json", "receipt_malformed"),
        (b"{}", "nothing_to_check"),
        (b"[]", "receipt_malformed"),
        (b'["aa"]', "receipt_malformed"),
        (b'{"entry":1}', "receipt_malformed"),
        (b'{"entry":"YR=="}', "receipt_malformed"),
        (b'{"entry":"YQ==","entry":"YQ=="}', "receipt_malformed"),
        (b'{"event":"{}"}', "receipt_malformed"),
        (b'{"event":"\\ud800","opening":"YQ=="}', "receipt_malformed"),
        (b"[" * 50_000, "receipt_malformed"),
        (b'{"event":"{}","opening":"YQ=="}', "event_unreadable"),
        (json.dumps({"event": "[]", "opening": b64encode(OPENING).decode()}).encode(), "event_unreadable"),
        (json.dumps({"event": '{"a":NaN}', "opening": b64encode(OPENING).decode()}).encode(), "event_unreadable"),
        (json.dumps({"event": '{"a":1,"a":2}', "opening": b64encode(OPENING).decode()}).encode(), "event_unreadable"),
    ],
)
def test_what_a_receipt_shows_is_read_strictly(extra: bytes, code: str) -> None:
    """The unauthenticated extra line never makes the verifier crash nor see two things in one."""
    report = verify_receipt(receipt_of([b"a"], 0, extra), VKEY)
    assert [code] == [finding.code for finding in report.findings]


def test_a_wrong_public_key_is_said_to_be_one() -> None:
    """A key that cannot be read is not the receipt's fault; another log's key does not verify it."""
    assert (
        verify_receipt(EXAMPLE, "x", entry=b"c").exit_code,
        [f.code for f in verify_receipt(EXAMPLE, "x", entry=b"c").findings],
    ) == (2, ["vkey_malformed"])
    other = Signer.from_seed("passerelle.example/journal", bytes(32)).vkey
    assert [(f.code, f.file) for f in verify_receipt(EXAMPLE, other, entry=b"c").findings] == [
        ("unsigned", "checkpoint")
    ]


def test_event_ids_are_uuids_of_any_version() -> None:
    """The caller may use random or keyed identifiers."""
    for version in ("4", "7", "8"):
        text = f"0192f0c4-2f1e-{version}a01-9c35-5f0f6b7a1c11"
        assert UUID(text) == UUID(event(id=text).id)
