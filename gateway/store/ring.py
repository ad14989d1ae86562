"""
The secrets of the sealing, in one file: the keys that wrap data keys, those of the blind indexes, and those that never change.

A new gateway has one root secret of 32 bytes, from which all the others come. The first rotation writes each of them on its
own, so that the keys that were replaced can be destroyed, and the root with them.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

KEPT: Final = ("pseudonym", "document id", "request digest", "message signing", "own data", "proofs", "file digest")
"""The secrets that stay: partners hold what is made with them, or nothing personal is under them."""

_FORMAT: Final = "trait-dunion/keys@v1"
_ROOT: Final = 32
_WRAPPING: Final = 64


class RingUnreadable(ValueError):
    """The file of the secrets is neither a root secret nor a ring of keys."""


def expand(key: bytes, use: str, context: str = "") -> bytes:
    """Derive a 32-byte key from `key` for one `use` (HKDF-Expand with SHA-256, RFC 5869 section 2.3, one block)."""
    return hmac.digest(key, associated(use, context) + b"\x01", hashlib.sha256)


def associated(*parts: str) -> bytes:
    """Encode a list of texts so that no two lists encode alike: each part preceded by its uint32 length."""
    return b"".join(len(raw).to_bytes(4) + raw for raw in (part.encode() for part in parts))


@dataclass(frozen=True, slots=True)
class Ring:
    """
    `wrapping` holds the 64-byte keys that wrap data keys, by name, and `current` names the one that wraps new ones; `indexes`
    the 32-byte keys of the blind indexes, by version (1 to 255): every version is written and looked up.
    """

    wrapping: Mapping[str, bytes] = field(repr=False)
    current: str
    indexes: Mapping[int, bytes] = field(repr=False)
    kept: Mapping[str, bytes] = field(repr=False)

    @classmethod
    def of_root(cls, root: bytes) -> Ring:
        """The ring that comes from one root secret of 32 bytes."""
        if len(root) != _ROOT:
            raise RingUnreadable("the root secret must have 32 bytes")
        name = hashlib.sha256(b"tdu kek id" + root).hexdigest()[:8]
        wrapping = {name: expand(root, "kek", "1") + expand(root, "kek", "2")}
        return cls(wrapping, name, {1: expand(root, "blind index")}, {use: expand(root, use) for use in KEPT})

    @classmethod
    def parse(cls, raw: bytes) -> Ring:
        """Read the file: a root secret in base64, or a ring. Raises RingUnreadable, which repeats nothing of it."""
        try:
            if not raw.lstrip().startswith(b"{"):
                return cls.of_root(base64.b64decode(raw.strip(), validate=True))
            told = json.loads(raw)
            ring = cls(
                _decoded(told["wrapping"]),
                str(told["current"]),
                {int(version): key for version, key in _decoded(told["indexes"]).items()},
                _decoded(told["kept"]),
            )
        except RingUnreadable:
            raise
        except (ValueError, KeyError, TypeError, AttributeError):
            raise RingUnreadable("neither 32 bytes in base64 nor a ring of keys") from None
        ring.check(told.get("format"))
        return ring

    def check(self, form: Any) -> None:
        """Raise RingUnreadable unless every key has its length and the current one is there."""
        lengths = (
            {len(key) for key in self.wrapping.values()},
            {len(key) for key in (*self.indexes.values(), *self.kept.values())},
        )
        if form != _FORMAT or lengths != ({_WRAPPING}, {_ROOT}) or self.current not in self.wrapping:
            raise RingUnreadable("the ring of keys is incomplete")
        if not self.indexes or not all(0 < version < 256 for version in self.indexes):
            raise RingUnreadable("the ring of keys has no index key")

    def encode(self) -> bytes:
        """The file of the ring."""
        told = {
            "format": _FORMAT,
            "current": self.current,
            "wrapping": _encoded(self.wrapping),
            "indexes": _encoded({str(version): key for version, key in self.indexes.items()}),
            "kept": _encoded(self.kept),
        }
        return json.dumps(told, indent=2).encode() + b"\n"

    def secret(self, use: str) -> bytes:
        """One of the secrets that stay; one that this ring does not name comes from the gateway's own."""
        return self.kept.get(use) or expand(self.kept["own data"], use)

    def with_wrapping(self) -> Ring:
        """Add a new key that wraps; it wraps nothing before it is the current one."""
        key = os.urandom(_WRAPPING)
        name = hashlib.sha256(b"tdu kek id" + key).hexdigest()[:8]
        return replace(self, wrapping={**self.wrapping, name: key})

    @property
    def newest(self) -> str:
        """The name of the key that was added last."""
        return list(self.wrapping)[-1]

    def promoted(self) -> Ring:
        """Make the newest key the one that wraps."""
        return replace(self, current=self.newest)

    def with_index(self) -> Ring:
        """Add a new key of the blind indexes, under the next version."""
        return replace(self, indexes={**self.indexes, max(self.indexes) + 1: os.urandom(_ROOT)})

    def without(self, *, wrapping: str | None = None, index: int | None = None) -> Ring:
        """Leave out a key that nothing uses any more."""
        return replace(
            self,
            wrapping={name: key for name, key in self.wrapping.items() if name != wrapping},
            indexes={version: key for version, key in self.indexes.items() if version != index},
        )


def _decoded(told: Mapping[str, str]) -> dict[str, bytes]:
    return {name: base64.b64decode(text, validate=True) for name, text in told.items()}


def _encoded(keys: Mapping[str, bytes]) -> dict[str, str]:
    return {name: base64.b64encode(key).decode() for name, key in keys.items()}
