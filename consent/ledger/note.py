"""
Signed notes: a text and the signatures under it, readable with any editor, verified strictly.

Strict base64 everywhere: an Ed25519 line ends in a digit with two unused bits, so lenient decoders accept four spellings
of the same signature and miss one flipped bit in some thousands.

Source: C2SP signed-note; the cosignature of a witness is C2SP tlog-cosignature (type 0x04).
"""

import re
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ED25519 = 0x01
COSIGNATURE = 0x04
MAX_SIGNATURES = 100
MAX_NOTE = 1_000_000

_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_LATEST = 2**63 - 1


class NoteInvalid(ValueError):
    """
    A note, a key or a base64 text does not follow the format, or a signature by a known key does not verify.

    `code` is stable: `malformed` (not this format), `signature` (a known key's signature is wrong), `unsigned` (no known key
    signed). Whatever was read must not be used.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def decode_base64(text: str) -> bytes:
    """Decode standard base64 with padding, accepting only the one spelling that encoding writes. Raises NoteInvalid."""
    try:
        raw = b64decode(text.encode("ascii"), validate=True)
    except ValueError:  # UnicodeEncodeError and binascii.Error are both ValueError
        raw = b""
    if not text or encode_base64(raw) != text:
        raise NoteInvalid("malformed", "not strict base64")
    return raw


def encode_base64(raw: bytes) -> str:
    """Encode as standard base64 with padding."""
    return b64encode(raw).decode("ascii")


def is_key_name(name: str) -> bool:
    """Tell whether a text may name a key: not empty, no Unicode space, no `+`, no control character."""
    return bool(name) and "+" not in name and not any(char.isspace() for char in name) and not _CONTROL.search(name)


def key_id(name: str, kind: int, public: bytes) -> bytes:
    """The 4 bytes that point a signature line to its key: the start of SHA-256(name, newline, type byte, public key)."""
    return sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()[:4]


@dataclass(frozen=True, slots=True)
class Verifier:
    """One public key that can sign notes: a log's (`kind` 0x01) or a witness's (`kind` 0x04)."""

    name: str
    kind: int
    public: bytes

    @classmethod
    def parse(cls, vkey: str) -> Self:
        """Read a verifier key, `<name>+<8 hex digits>+<base64(type byte, public key)>`. Raises NoteInvalid."""
        parts = vkey.split("+", 2)
        if len(parts) != 3 or not is_key_name(parts[0]) or not re.fullmatch("[0-9a-f]{8}", parts[1]):
            raise NoteInvalid("malformed", "a verifier key is <name>+<8 hexadecimal digits>+<base64>")
        raw = decode_base64(parts[2])
        if len(raw) != 33 or raw[0] not in (ED25519, COSIGNATURE):
            raise NoteInvalid("malformed", "the verifier key is not an Ed25519 key")
        verifier = cls(parts[0], raw[0], raw[1:])
        if verifier.id.hex() != parts[1]:
            raise NoteInvalid("malformed", "the verifier key's name, identifier and key do not belong together")
        return verifier

    @property
    def id(self) -> bytes:
        """The 4-byte key id."""
        return key_id(self.name, self.kind, self.public)

    @property
    def vkey(self) -> str:
        """The text form, to publish."""
        return f"{self.name}+{self.id.hex()}+{encode_base64(bytes([self.kind]) + self.public)}"

    def check(self, text: str, signature: bytes) -> int | None:
        """
        Check one signature over a note text (with its final newline).

        Returns the time of a cosignature in POSIX seconds, None for a log's signature. Raises NoteInvalid.
        """
        message, time = text.encode(), None
        if self.kind == COSIGNATURE:
            time, signature = int.from_bytes(signature[:8], "big"), signature[8:]
            message = _cosigned(text, time)
            if time > _LATEST:
                raise NoteInvalid("signature", f"the cosignature of {self.name} has an impossible time")
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except (InvalidSignature, ValueError):
            raise NoteInvalid("signature", f"the signature of {self.name} does not verify") from None
        return time


class Signer:
    """
    A log's private key: signs notes in its name.

    The caller keeps the key; nothing here writes it or shows it.
    """

    def __init__(self, name: str, key: Ed25519PrivateKey) -> None:
        """`name` is the log's origin: its public address without scheme and without final slash. Raises NoteInvalid."""
        if not is_key_name(name):
            raise NoteInvalid("malformed", "a log's name is not empty and has no space, no control character and no +")
        self._key = key
        self.verifier = Verifier(name, ED25519, key.public_key().public_bytes_raw())

    @classmethod
    def from_seed(cls, name: str, seed: bytes) -> Self:
        """A signer from the 32 bytes of an Ed25519 private key (RFC 8032 section 5.1.5)."""
        return cls(name, Ed25519PrivateKey.from_private_bytes(seed))

    @property
    def name(self) -> str:
        """The log's origin."""
        return self.verifier.name

    @property
    def vkey(self) -> str:
        """The public key in the text form that verifiers take."""
        return self.verifier.vkey

    def sign(self, text: str) -> str:
        """The signed note over `text`, which ends in a newline."""
        if not text.endswith("\n"):
            raise ValueError("a note text ends in a newline")
        return f"{text}\n{Signature(self.name, self.verifier.id, self._key.sign(text.encode())).line}"


class Cosigner:
    """
    A witness's private key: states that it saw a log's head, and when.

    The statement does not name the witness: one key per witness, never shared, never a log's key.
    """

    def __init__(self, name: str, key: Ed25519PrivateKey) -> None:
        """`name` is the witness's own, such as its address without scheme. Raises NoteInvalid."""
        if not is_key_name(name):
            raise NoteInvalid(
                "malformed", "a witness's name is not empty and has no space, no control character and no +"
            )
        self._key = key
        self.verifier = Verifier(name, COSIGNATURE, key.public_key().public_bytes_raw())

    def cosign(self, text: str, time: int) -> str:
        """The signature line over a note text (with its final newline), at `time` in POSIX seconds."""
        if not 0 < time <= _LATEST:
            raise ValueError("a cosignature bears the time at which it was made")
        signature = time.to_bytes(8, "big") + self._key.sign(_cosigned(text, time))
        return Signature(self.verifier.name, self.verifier.id, signature).line


def _cosigned(text: str, time: int) -> bytes:
    return f"cosignature/v1\ntime {time}\n{text}".encode()


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line: the name and id of a key, and what it signed with. Nothing is verified yet."""

    name: str
    id: bytes
    signature: bytes

    @property
    def line(self) -> str:
        """The line as it stands in a note, with its newline."""
        return f"— {self.name} {encode_base64(self.id + self.signature)}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A note that was read but not verified: its text, with its final newline, and its signature lines."""

    text: str
    signatures: tuple[Signature, ...]

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Read a note. Raises NoteInvalid."""
        if len(raw) > MAX_NOTE:
            raise NoteInvalid("malformed", f"the note has more than {MAX_NOTE} bytes")
        try:
            whole = raw.decode("utf-8")
        except UnicodeDecodeError:
            raise NoteInvalid("malformed", "the note is not valid UTF-8") from None
        if _CONTROL.search(whole):
            raise NoteInvalid("malformed", "the note has a control character")
        text, blank, block = whole.rpartition("\n\n")
        if not blank or not block.endswith("\n"):
            raise NoteInvalid("malformed", "the note has no complete block of signatures after an empty line")
        lines = block[:-1].split("\n")
        if len(lines) > MAX_SIGNATURES:
            raise NoteInvalid("malformed", f"the note has more than {MAX_SIGNATURES} signatures")
        return cls(text + "\n", tuple(_signature(line) for line in lines))

    def verify(self, verifiers: Sequence[Verifier]) -> "dict[Verifier, int | None]":
        """
        Check the signatures by the keys that are known, and say which keys signed (with the time of a cosignature).

        Lines by unknown keys are ignored, even when the name or the id alone matches: they are not facts. Raises NoteInvalid
        when a known key's line is wrong or when no known key signed.
        """
        known = {(verifier.name, verifier.id): verifier for verifier in verifiers}
        verified = dict[Verifier, int | None]()
        for line in self.signatures:
            verifier = known.get((line.name, line.id))
            if verifier is not None and verifier not in verified:
                verified[verifier] = verifier.check(self.text, line.signature)
        if not verified:
            raise NoteInvalid("unsigned", "no key that is trusted here signed this note")
        return verified

    def lines_by(self, verifiers: Sequence[Verifier]) -> list[str]:
        """The first signature line of each of these keys, in the order of the note; verify them apart."""
        known = {(verifier.name, verifier.id) for verifier in verifiers}
        lines = dict[tuple[str, bytes], str]()
        for line in self.signatures:
            if (line.name, line.id) in known:
                lines.setdefault((line.name, line.id), line.line)
        return list(lines.values())

    def with_lines(self, lines: Sequence[str]) -> bytes:
        """The note with further signature lines, by keys that have none here yet."""
        added = Note.parse(f"{self.text}\n{''.join(lines)}".encode()).signatures if lines else ()
        present = {(line.name, line.id) for line in self.signatures}
        fresh = [line for line in added if (line.name, line.id) not in present]
        return f"{self.text}\n{''.join(line.line for line in (*self.signatures, *fresh))}".encode()


def _signature(line: str) -> Signature:
    parts = line.split(" ")
    if len(parts) != 3 or parts[0] != "—" or not is_key_name(parts[1]):
        raise NoteInvalid("malformed", "a signature line is an em dash, a key name and base64, separated by one space")
    raw = decode_base64(parts[2])
    if len(raw) < 5:
        raise NoteInvalid("malformed", "a signature line is too short")
    return Signature(parts[1], raw[:4], raw[4:])
