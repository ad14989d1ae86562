"""
Sealing of personal data: one data key per subject, wrapped by a key-encryption key; erasing a person deletes the data key.

AES-256-GCM under HKDF-Expand(data key, use); AES-SIV (RFC 5297) wraps data keys; blind indexes and pseudonyms are
HMAC-SHA-256 under their own keys, because a bare hash of a NIR can be reversed by enumeration.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV

OWN = "gateway"
"""The name of the gateway's own data key, for what is about nobody."""

_VERSION = b"\x01"
_NONCE = 12


class Unreadable(Exception):
    """The sealed value cannot be opened: its key was destroyed, or it was moved or altered."""


def expand(key: bytes, use: str, context: str = "") -> bytes:
    """Derive a 32-byte key from `key` for one `use` (HKDF-Expand with SHA-256, RFC 5869 section 2.3, one block)."""
    return hmac.digest(key, _associated(use, context) + b"\x01", hashlib.sha256)


@dataclass(frozen=True, slots=True)
class DataKey:
    """The data key of one subject: seals what is known about the person, and opens ledger commitments."""

    subject_id: str
    secret: bytes = field(repr=False)

    def seal(self, plain: bytes, place: str) -> bytes:
        """Encrypt `plain` for one `place` (table and row); moved elsewhere it no longer opens."""
        nonce = os.urandom(_NONCE)
        cipher = AESGCM(expand(self.secret, "field"))
        return _VERSION + nonce + cipher.encrypt(nonce, plain, _associated(self.subject_id, place))

    def open(self, sealed: bytes, place: str) -> bytes:
        """Decrypt what `seal` wrote at the same `place`; raises `Unreadable`."""
        if sealed[:1] != _VERSION:
            raise Unreadable("unknown sealing version")
        cipher = AESGCM(expand(self.secret, "field"))
        try:
            return cipher.decrypt(sealed[1 : 1 + _NONCE], sealed[1 + _NONCE :], _associated(self.subject_id, place))
        except InvalidTag as error:
            raise Unreadable("altered, moved or sealed under another key") from error

    def opening(self, event_id: str) -> bytes:
        """Derive the 32-byte opening of one event's commitment: disclosing it opens that event and no other."""
        return expand(self.secret, "commit", event_id)

    def label(self) -> bytes:
        """Derive the 32 bytes that name the subject's list in the ledger's index: nobody finds it without the data key."""
        return expand(self.secret, "list")


class Vault:
    """
    Holds the key-encryption key and the gateway's own secrets, all derived from one root secret of 32 bytes.

    Pure computation: rows are read and written by `gateway.store.subjects`.
    """

    def __init__(self, root: bytes) -> None:
        if len(root) != 32:
            raise ValueError("the root secret must have 32 bytes")
        self.kek_id = hashlib.sha256(b"tdu kek id" + root).hexdigest()[:8]
        self._wrap = AESSIV(expand(root, "kek", "1") + expand(root, "kek", "2"))
        self._index = expand(root, "blind index")
        self._pseudonym = expand(root, "pseudonym")
        self._documents = expand(root, "document id")
        self._requests = expand(root, "request digest")
        self._messages = expand(root, "message signing")
        self.own = DataKey(OWN, expand(root, "own data"))

    def message_key(self) -> Ed25519PrivateKey:
        """The key that signs what is sent over HTTP (RFC 9421): it proves the sender, and is made again from the root secret."""
        return Ed25519PrivateKey.from_private_bytes(self._messages)

    def new_key(self, subject_id: str) -> DataKey:
        """Make a fresh data key for a new subject."""
        return DataKey(subject_id, os.urandom(32))

    def wrap(self, key: DataKey) -> bytes:
        """Encrypt a data key for the table `subject_data_keys`, bound to its subject."""
        return self._wrap.encrypt(key.secret, [key.subject_id.encode()])

    def unwrap(self, subject_id: str, wrapped: bytes) -> DataKey:
        """Decrypt a data key; raises `Unreadable` if it belongs to another subject or key-encryption key."""
        try:
            return DataKey(subject_id, self._wrap.decrypt(wrapped, [subject_id.encode()]))
        except InvalidTag as error:
            raise Unreadable("data key wrapped under another key-encryption key") from error

    def blind(self, kind: str, value: str) -> bytes:
        """Compute the blind index of an identity (`nir` or `pivot`): 33 bytes, equal for equal people, meaningless without the key."""
        return _VERSION + hmac.digest(self._index, _associated(kind, value), hashlib.sha256)

    def pseudonym(self, subject_id: str, partner: str) -> str:
        """Name a subject for one partner: two partners cannot join their pseudonyms."""
        digest = hmac.digest(self._pseudonym, _associated(subject_id, partner), hashlib.sha256)
        return "p-" + digest[:16].hex()

    def document_id(self, sender: str, business_key: str) -> str:
        """Give the document of a sender's business key its stable id: a UUID version 8 (RFC 9562) that reveals nothing of the key."""
        raw = bytearray(hmac.digest(self._documents, _associated(sender, business_key), hashlib.sha256)[:16])
        raw[6] = (raw[6] & 0x0F) | 0x80
        raw[8] = (raw[8] & 0x3F) | 0x80
        text = raw.hex()
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def request_digest(self, *parts: bytes) -> bytes:
        """Digest a request for idempotency: keyed, because a body is personal data and a bare hash could be guessed."""
        return hmac.digest(self._requests, b"".join(len(part).to_bytes(4) + part for part in parts), hashlib.sha256)


def _associated(*parts: str) -> bytes:
    """Encode a list of texts so that no two lists encode alike: each part preceded by its uint32 length."""
    return b"".join(len(raw).to_bytes(4) + raw for raw in (part.encode() for part in parts))
