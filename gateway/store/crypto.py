"""
Sealing of personal data: one data key per subject, wrapped by a key-encryption key; erasing a person deletes the data key.

AES-256-GCM under HKDF-Expand(data key, use); AES-SIV (RFC 5297) wraps data keys; blind indexes and pseudonyms are
HMAC-SHA-256 under their own keys, because a bare hash of a NIR can be reversed by enumeration.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV

from gateway.store.ring import Ring, associated, expand

OWN = "gateway"
"""The name of the gateway's own data key, for what is about nobody."""

_VERSION = b"\x01"
_NONCE = 12


class Unreadable(Exception):
    """The sealed value cannot be opened: its key was destroyed, or it was moved or altered."""


@dataclass(frozen=True, slots=True)
class DataKey:
    """The data key of one subject: seals what is known about the person, and opens ledger commitments."""

    subject_id: str
    secret: bytes = field(repr=False)

    def seal(self, plain: bytes, place: str) -> bytes:
        """Encrypt `plain` for one `place` (table and row); moved elsewhere it no longer opens."""
        nonce = os.urandom(_NONCE)
        cipher = AESGCM(expand(self.secret, "field"))
        return _VERSION + nonce + cipher.encrypt(nonce, plain, associated(self.subject_id, place))

    def open(self, sealed: bytes, place: str) -> bytes:
        """Decrypt what `seal` wrote at the same `place`; raises `Unreadable`."""
        if sealed[:1] != _VERSION:
            raise Unreadable("unknown sealing version")
        cipher = AESGCM(expand(self.secret, "field"))
        try:
            return cipher.decrypt(sealed[1 : 1 + _NONCE], sealed[1 + _NONCE :], associated(self.subject_id, place))
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
    Holds the keys of the ring: those that wrap data keys, those of the blind indexes, and the gateway's own secrets.

    Pure computation: rows are read and written by `gateway.store.subjects`. A key that it does not know is looked for again in
    the ring's file, if it was told where that is: it may have been replaced since.
    """

    def __init__(self, ring: Ring, again: Callable[[], Ring] | None = None) -> None:
        """`again` reads the ring from its file."""
        self._again = again
        self._use(ring)

    def _use(self, ring: Ring) -> None:
        self.ring = ring
        self._wrapping = {name: AESSIV(key) for name, key in ring.wrapping.items()}
        self._index = sorted(ring.indexes.items(), reverse=True)
        self._pseudonym = ring.secret("pseudonym")
        self._documents = ring.secret("document id")
        self._requests = ring.secret("request digest")
        self._digests = ring.secret("file digest")
        self._messages = ring.secret("message signing")
        self.own = DataKey(OWN, ring.secret("own data"))

    @property
    def kek_id(self) -> str:
        """The name of the key that wraps new data keys."""
        return self.ring.current

    def knows(self, kek: str) -> bool:
        """Whether the ring has a key that wraps, having read its file again if need be."""
        if kek not in self._wrapping:
            self.read_again()
        return kek in self._wrapping

    def read_again(self) -> None:
        """Take the ring as its file is now."""
        if self._again is not None:
            self._use(self._again())

    def message_key(self) -> Ed25519PrivateKey:
        """The key that signs what is sent over HTTP (RFC 9421): it proves the sender, and is made again from the root secret."""
        return Ed25519PrivateKey.from_private_bytes(self._messages)

    def new_key(self, subject_id: str) -> DataKey:
        """Make a fresh data key for a new subject."""
        return DataKey(subject_id, os.urandom(32))

    def wrap(self, key: DataKey) -> bytes:
        """Encrypt a data key for the table `subject_data_keys` under the key `kek_id`, bound to its subject."""
        return self._wrapping[self.kek_id].encrypt(key.secret, [key.subject_id.encode()])

    def unwrap(self, subject_id: str, kek: str, wrapped: bytes) -> DataKey:
        """Decrypt a data key that the key `kek` wraps; raises `Unreadable` when it belongs to another subject or is unknown."""
        if not self.knows(kek):
            raise Unreadable("data key wrapped under a key that this ring does not have")
        try:
            return DataKey(subject_id, self._wrapping[kek].decrypt(wrapped, [subject_id.encode()]))
        except InvalidTag as error:
            raise Unreadable("data key altered, or of another subject") from error

    def blinds(self, kind: str, value: str) -> tuple[bytes, ...]:
        """
        Compute the blind indexes of an identity (`nir`, `pivot`…), under each version of the key, the newest first.

        33 bytes each: the version, and HMAC-SHA-256. Equal for equal people, meaningless without the key.
        """
        return tuple(
            bytes([version]) + hmac.digest(key, associated(kind, value), hashlib.sha256) for version, key in self._index
        )

    def blind(self, kind: str, value: str) -> bytes:
        """Compute the blind index of something that is nobody's identity (the digest of a file): its key does not change."""
        return _VERSION + hmac.digest(self._digests, associated(kind, value), hashlib.sha256)

    def pseudonym(self, subject_id: str, partner: str) -> str:
        """Name a subject for one partner: two partners cannot join their pseudonyms."""
        digest = hmac.digest(self._pseudonym, associated(subject_id, partner), hashlib.sha256)
        return "p-" + digest[:16].hex()

    def document_id(self, sender: str, business_key: str) -> str:
        """Give the document of a sender's business key its stable id: a UUID version 8 (RFC 9562) that reveals nothing of the key."""
        raw = bytearray(hmac.digest(self._documents, associated(sender, business_key), hashlib.sha256)[:16])
        raw[6] = (raw[6] & 0x0F) | 0x80
        raw[8] = (raw[8] & 0x3F) | 0x80
        text = raw.hex()
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def request_digest(self, *parts: bytes) -> bytes:
        """Digest a request for idempotency: keyed, because a body is personal data and a bare hash could be guessed."""
        return hmac.digest(self._requests, b"".join(len(part).to_bytes(4) + part for part in parts), hashlib.sha256)
