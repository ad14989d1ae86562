"""Signed notes, keys and checkpoints: the published worked example, and every way to be refused."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consent.ledger.checkpoint import Checkpoint, open_checkpoint
from consent.ledger.merkle import EMPTY_ROOT
from consent.ledger.note import COSIGNATURE, Note, NoteInvalid, Signer, Verifier, decode_base64, encode_base64

ORIGIN = "passerelle.example/journal"
VKEY = "passerelle.example/journal+0138cc45+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"
WITNESS = "temoin.example/w1+93538984+BCmsuuFBvMrwsi4alNNNC8c2HlJtC/4SyJeUvJMilm3X"
TEXT = "passerelle.example/journal\n3\nNmQuc8JUCrEh46a/lUWwokmCzYMOsT080Z3jzmwCHsE=\n"
LOG_LINE = (
    "— passerelle.example/journal "
    "ATjMRYkWHz3ru+nEG+/pyQZm4Ie7tA9HzSy4hIy4EEOksJHulKL0Iiw/orGP+J0qeBpg3kOIyPUCEKEcGYngZy62eAc=\n"
)
WITNESS_LINE = (
    "— temoin.example/w1 "
    "k1OJhAAAAABlU/EA/1knYn3LAZE765MGkNSubawtBsUqHodV5+B/5Yg/kRMDvHLr8OFdzIa7tm+YbuSJ6WlHCW6r3ZC7vAl/QpVdCQ==\n"
)
ROOT = bytes.fromhex("36642e73c2540ab121e3a6bf9545b0a24982cd830eb13d3cd19de3ce6c021ec1")


def signer() -> Signer:
    """The log of the worked example: private bytes 00 to 1f."""
    return Signer.from_seed(ORIGIN, bytes(range(32)))


def note(text: str = TEXT, signatures: str = LOG_LINE) -> bytes:
    """A note from its two parts."""
    return f"{text}\n{signatures}".encode()


def refusal(raw: bytes) -> str:
    """The code with which a checkpoint is refused by the log's key."""
    with pytest.raises(NoteInvalid) as refused:
        open_checkpoint(raw, Verifier.parse(VKEY))
    return refused.value.code


def test_the_worked_example_is_signed_byte_for_byte() -> None:
    """Key text, checkpoint text and signature are those of the published example."""
    assert signer().vkey == VKEY
    assert note() == Checkpoint(ORIGIN, 3, ROOT).signed(signer()).note


def test_the_worked_example_opens_with_its_cosignature() -> None:
    """The log's line and the witness's line of the example verify, with the time that the witness stated."""
    opened = open_checkpoint(note(signatures=LOG_LINE + WITNESS_LINE), Verifier.parse(VKEY), [Verifier.parse(WITNESS)])
    assert Checkpoint(ORIGIN, 3, ROOT) == opened.checkpoint
    assert opened.cosigned == {"temoin.example/w1": 1_700_000_000}
    assert note(signatures=LOG_LINE + WITNESS_LINE) == opened.checkpoint.note


def test_the_witness_key_of_the_example_is_derived_from_its_seed() -> None:
    """A witness's key id is over type 0x04, so that the same bytes under another role are another key."""
    public = Ed25519PrivateKey.from_private_bytes(bytes(range(32, 64))).public_key().public_bytes_raw()
    assert Verifier("temoin.example/w1", COSIGNATURE, public).vkey == WITNESS


def test_a_key_text_reads_back() -> None:
    """A verifier key survives reading and writing."""
    assert Verifier.parse(VKEY).vkey == VKEY


@pytest.mark.parametrize(
    "vkey",
    [
        "",
        "name",
        VKEY.replace("0138cc45", "0138cc46"),
        VKEY.replace("0138cc45", "0138CC45"),
        VKEY.replace("journal", "journax"),
        VKEY.replace("/journal", " journal"),
        VKEY[1 + VKEY.index("+") :],
        f"+{VKEY.split('+', 1)[1]}",
        VKEY + "\n",
        VKEY[:-1],
        VKEY[:-4],
        "passerelle.example/journal+0138cc45+AgOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4",
    ],
)
def test_a_wrong_key_text_is_refused(vkey: str) -> None:
    """A key whose name, id and bytes do not belong together is not used."""
    with pytest.raises(NoteInvalid) as refused:
        Verifier.parse(vkey)
    assert refused.value.code == "malformed"


def test_every_flipped_bit_of_a_signed_checkpoint_is_refused() -> None:
    """No single-bit change of the note is accepted, in particular not in the unused bits of the last base64 digit."""
    accepted = []
    for at in range(len(note()) * 8):
        raw = bytearray(note())
        raw[at // 8] ^= 1 << at % 8
        try:
            open_checkpoint(bytes(raw), Verifier.parse(VKEY))
        except NoteInvalid:
            continue
        accepted.append(at)
    assert accepted == []


@pytest.mark.parametrize("last", ["d", "e", "f"])
def test_another_spelling_of_the_same_signature_is_refused(last: str) -> None:
    """Lenient decoders give the same bytes for four last digits; only the one that encoding writes is accepted."""
    assert refusal(note(signatures=LOG_LINE.replace("eAc=", f"eA{last}="))) == "malformed"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        TEXT.encode(),
        note(signatures=""),
        note()[:-1],
        note() + b"\n",
        note().replace("—".encode(), b"-"),
        note().replace("— ".encode(), "—  ".encode()),
        note(signatures=LOG_LINE[:-1] + " x\n"),
        note(signatures=f"— {ORIGIN} AAAA\n"),
        note(signatures=f"— a+b {LOG_LINE.split(' ')[2]}"),
        note(signatures=f"— a\u00a0b {LOG_LINE.split(' ')[2]}"),
        note().replace(b"\n3\n", b"\n3\r\n"),
        note().replace(b"journal\n3", b"journal\t\n3"),
        note() + b"\xff\n",
        note(signatures=LOG_LINE * 101),
    ],
)
def test_a_malformed_note_is_refused(raw: bytes) -> None:
    """Whatever is not exactly a note is refused before any signature is looked at."""
    assert refusal(raw) == "malformed"


@pytest.mark.parametrize(
    "lines",
    [
        [ORIGIN, "3"],
        [ORIGIN, "03", encode_base64(ROOT)],
        [ORIGIN, "+3", encode_base64(ROOT)],
        [ORIGIN, "-3", encode_base64(ROOT)],
        [ORIGIN, "٣", encode_base64(ROOT)],
        [ORIGIN, "", encode_base64(ROOT)],
        [ORIGIN, str(2**63), encode_base64(ROOT)],
        [ORIGIN, "3", encode_base64(ROOT[:-1])],
        [ORIGIN, "3", encode_base64(ROOT)[:-1]],
        [ORIGIN, "3", encode_base64(ROOT)[:-2] + "F="],
        [ORIGIN, "3", encode_base64(ROOT), "", "extension"],
        [ORIGIN, "0", encode_base64(ROOT)],
    ],
)
def test_a_well_signed_text_that_is_no_checkpoint_is_refused(lines: list[str]) -> None:
    """A signature does not make up for a wrong size, root or extension."""
    assert refusal(signer().sign("\n".join(lines) + "\n").encode()) == "malformed"


def test_an_extension_line_is_read_and_kept() -> None:
    """Extensions are opaque, and part of what is signed."""
    opened = open_checkpoint(Checkpoint(ORIGIN, 3, ROOT, ("extension",)).signed(signer()).note, Verifier.parse(VKEY))
    assert opened.checkpoint.extensions == ("extension",)


def test_an_empty_log_has_a_checkpoint() -> None:
    """Size 0 goes with the root of the empty tree."""
    assert (
        open_checkpoint(Checkpoint(ORIGIN, 0, EMPTY_ROOT).signed(signer()).note, Verifier.parse(VKEY)).checkpoint.size
        == 0
    )


def test_a_checkpoint_by_another_log_is_refused() -> None:
    """The key's name is the origin: a key cannot speak for another log, nor another key under this name."""
    other = Signer.from_seed("autre.example/journal", bytes(range(32)))
    assert refusal(Checkpoint("autre.example/journal", 3, ROOT).signed(other).note) == "unsigned"
    assert refusal(Checkpoint(ORIGIN, 3, ROOT).signed(Signer.from_seed(ORIGIN, bytes(32))).note) == "unsigned"
    assert refusal(other.sign(TEXT).encode()) == "unsigned"
    with pytest.raises(ValueError, match="bears its origin"):
        Checkpoint(ORIGIN, 3, ROOT).signed(other)


def test_lines_by_unknown_keys_are_ignored_even_when_name_or_id_matches() -> None:
    """Only the pair (name, id) designates a key; the rest of the note is not a fact."""
    name_only = f"— {ORIGIN} {encode_base64(b'xxxx' + bytes(64))}\n"
    id_only = f"— autre {encode_base64(bytes.fromhex('0138cc45') + bytes(64))}\n"
    opened = open_checkpoint(note(signatures=name_only + id_only + LOG_LINE), Verifier.parse(VKEY))
    assert opened.checkpoint.size == 3
    assert opened.cosigned == {}


def test_a_wrong_line_of_a_known_key_refuses_the_whole_note() -> None:
    """A known witness whose line does not verify is not skipped: somebody altered the note."""
    forged = f"— temoin.example/w1 {encode_base64(bytes.fromhex('93538984') + bytes(72))}\n"
    with pytest.raises(NoteInvalid) as refused:
        open_checkpoint(note(signatures=LOG_LINE + forged), Verifier.parse(VKEY), [Verifier.parse(WITNESS)])
    assert refused.value.code == "signature"


def test_a_second_line_of_the_same_key_is_ignored() -> None:
    """The first line of a key counts; what follows under its name cannot spoil or replace it."""
    garbage = f"— {ORIGIN} {encode_base64(bytes.fromhex('0138cc45') + bytes(64))}\n"
    assert open_checkpoint(note(signatures=LOG_LINE + garbage), Verifier.parse(VKEY)).checkpoint.size == 3
    assert refusal(note(signatures=garbage + LOG_LINE)) == "signature"


def test_a_witness_alone_does_not_vouch_for_a_log() -> None:
    """A checkpoint without the log's own line is refused, also when a trusted witness signed it."""
    with pytest.raises(NoteInvalid) as refused:
        open_checkpoint(note(signatures=WITNESS_LINE), Verifier.parse(VKEY), [Verifier.parse(WITNESS)])
    assert refused.value.code == "unsigned"
    with pytest.raises(NoteInvalid):
        open_checkpoint(note(), Verifier.parse(WITNESS))


def test_a_note_text_may_hold_empty_lines() -> None:
    """The signatures start at the last empty line; a text before it is kept whole."""
    assert Note.parse(signer().sign("a\n\nb\n").encode()).text == "a\n\nb\n"


@pytest.mark.parametrize("text", ["", "a", "abc", "ab==\n", " abcd", "a-_d", "YQ", "YR==", "YQ=", "é"])
def test_base64_has_one_spelling(text: str) -> None:
    """No missing padding, no other alphabet, no white space, no unused bits."""
    with pytest.raises(NoteInvalid):
        decode_base64(text)


def test_a_signer_has_a_usable_name() -> None:
    """A name with a space or a + would make lines that nobody can read back."""
    for name in ("", "a b", "a+b", "a\nb"):
        with pytest.raises(NoteInvalid):
            Signer.from_seed(name, bytes(32))
