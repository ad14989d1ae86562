"""
The keys that sign access tokens: where they are, and how one follows another without anybody noticing.

A key is published before it signs and stays published after: resource servers that keep the set for five minutes know every
key under which a live token may come. The date from which a key signs is written with it, so that every process changes
over by itself, at the same moment, without being told.

    FileKeys        PEM files of a directory: token-signing.pem, then token-signing-20261201T090000Z.pem (signs from then)
    HeldKeys        keys given at the start, in the environment: PEM blocks, each after a line `from: 2026-12-01T09:00:00Z`
    another         any object that follows `TokenKeys`, named as `package.module:factory`: a KMS or PKCS#11 module, whose
                    private keys never come here
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from time import monotonic
from typing import Final, Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from joserfc.jwk import ECKey
from joserfc.jws import JWSRegistry

ALGORITHM: Final = "ES256"

KEPT: Final = timedelta(minutes=10)
"""How long a key stays published once another one signs: longer than a token lives, than a set is kept, and than clocks differ."""

LEAD: Final = timedelta(minutes=15)
"""How long a new key is published before it signs: longer than sets are kept (5 minutes) and files are looked at."""

_FIRST: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FILE = re.compile(r"token-signing(?:-(\d{8}T\d{6}Z))?\.pem")
_STAMP: Final = "%Y%m%dT%H%M%SZ"
_PEM = re.compile(r"(?:from:\s*(\S+)\s+)?(-----BEGIN [A-Z ]+-----.+?-----END [A-Z ]+-----)", re.DOTALL)
_LOOK: Final = 5.0
"""Seconds between two looks at the directory."""


class TokenKeysUnusable(Exception):
    """No key can sign: the message says which file or variable, and holds nothing of a key."""


class TokenKeys(Protocol):
    """
    What the authorization server asks of whatever holds its keys. Called from several threads at once.

    A KMS or PKCS#11 module implements these two methods, and nothing else of it is seen. `sign` may take its time (it runs
    beside the event loop); `published` is asked at each verification and must not leave the process: keep what it gives, and
    look again now and then. There is no method that gives a private key.
    """

    def published(self, now: datetime) -> Mapping[str, ECKey]:
        """
        Give the public P-256 keys that verify, by `kid`: those that will sign, the one that signs, those that did recently.

        The kid that `sign` will use must have been among them for `LEAD`. Raises `TokenKeysUnusable`.
        """
        ...

    def signing(self, now: datetime) -> str:
        """Name the key that signs at this instant: one of those published. Raises `TokenKeysUnusable`."""
        ...

    def sign(self, kid: str, message: bytes) -> bytes:
        """
        Sign with ES256 and return the 64 bytes of RFC 7518 section 3.4 (R and S, not DER).

        Raises `TokenKeysUnusable`; nothing is tried again, and the client is told to come back.
        """
        ...


@dataclass(frozen=True, slots=True)
class HeldKey:
    """A private key held by this process, and from when it signs."""

    private: ECKey = field(repr=False)
    signs_from: datetime = _FIRST

    @classmethod
    def of(cls, private: EllipticCurvePrivateKey, signs_from: datetime = _FIRST) -> HeldKey:
        """Name a P-256 key by its thumbprint (RFC 7638)."""
        kid = ECKey.import_key(private).thumbprint()
        return cls(ECKey.import_key(private, {"kid": kid}), signs_from)

    @property
    def kid(self) -> str:
        """The name of the key."""
        return str(self.private.kid)


class HeldKeys:
    """Keys held in memory. Raises `TokenKeysUnusable` when there is none, or one that is not a private P-256 key with a kid."""

    def __init__(self, keys: Iterable[HeldKey]) -> None:
        self._keys: Sequence[HeldKey] = sorted(keys, key=lambda key: key.signs_from)
        for key in self._keys:
            if not key.private.is_private or key.private.curve_name != "P-256" or not key.private.kid:
                raise TokenKeysUnusable("a token key must be a private P-256 key with a kid")
        if not self._keys:
            raise TokenKeysUnusable("no token key")
        self._public = {key.kid: ECKey.import_key(key.private.as_dict(private=False)) for key in self._keys}

    @classmethod
    def read(cls, text: str) -> HeldKeys:
        """Read PEM blocks, each optionally after `from:` and a date; raises `TokenKeysUnusable`."""
        return cls(_held(pem, _moment(since)) for since, pem in _PEM.findall(text))

    def published(self, now: datetime) -> Mapping[str, ECKey]:
        """Give all but the keys whose successor has signed for long enough."""
        over = [later.signs_from + KEPT <= now for later in self._keys[1:]] + [False]
        return {key.kid: self._public[key.kid] for key, ended in zip(self._keys, over, strict=True) if not ended}

    def signing(self, now: datetime) -> str:
        """Name the newest key whose time has come."""
        return next((key.kid for key in reversed(self._keys) if key.signs_from <= now), self._keys[0].kid)

    def sign(self, kid: str, message: bytes) -> bytes:
        """Sign with the key of this name."""
        private = next((key.private for key in self._keys if key.kid == kid), None)
        if private is None:
            raise TokenKeysUnusable("this key is not held here")
        return JWSRegistry.algorithms[ALGORITHM].sign(message, private)


class FileKeys:
    """
    Keys in the files of a directory, looked at again every few seconds: a file that appears is published at once.

    A directory that can no longer be read keeps what was read of it. Raises `TokenKeysUnusable` at the start.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._files: frozenset[str] = frozenset()
        self._held = self._read()
        self._looked_at = monotonic()

    def published(self, now: datetime) -> Mapping[str, ECKey]:
        """Give the keys of the files."""
        return self._current().published(now)

    def signing(self, now: datetime) -> str:
        """Name the newest key whose time has come."""
        return self._current().signing(now)

    def sign(self, kid: str, message: bytes) -> bytes:
        """Sign with the key of this name."""
        return self._held.sign(kid, message)

    def _current(self) -> HeldKeys:
        if monotonic() - self._looked_at > _LOOK:
            self._looked_at = monotonic()
            try:
                if _files(self._directory).keys() != self._files:
                    self._held = self._read()
            except (OSError, TokenKeysUnusable):
                pass  # a file half written, or a volume that comes back: what is held is still good
        return self._held

    def _read(self) -> HeldKeys:
        try:
            files = _files(self._directory)
        except OSError as error:
            raise TokenKeysUnusable(f"{self._directory.name}: {type(error).__name__}") from error
        held = HeldKeys(_held_in(self._directory / name, since) for name, since in files.items())
        self._files = frozenset(files)
        return held


def has_files(directory: Path) -> bool:
    """Whether a directory has a token key."""
    return directory.is_dir() and bool(_files(directory))


def next_file(directory: Path, signs_from: datetime) -> Path:
    """Name the file of a key that will sign from an instant on."""
    return directory / f"token-signing-{signs_from.astimezone(UTC).strftime(_STAMP)}.pem"


def ended_files(directory: Path, now: datetime) -> list[Path]:
    """The files of keys that no live token can name any more."""
    ordered = sorted(_files(directory).items(), key=lambda file: file[1])
    return [directory / name for (name, _), (_, later) in pairwise(ordered) if later + KEPT <= now]


def _files(directory: Path) -> dict[str, datetime]:
    """The key files of a directory, and from when each signs."""
    matches = [match for path in directory.iterdir() if (match := _FILE.fullmatch(path.name))]
    return {
        match[0]: datetime.strptime(match[1], _STAMP).replace(tzinfo=UTC) if match[1] else _FIRST for match in matches
    }


def _held_in(path: Path, since: datetime) -> HeldKey:
    try:
        return _held(path.read_text(), since)
    except (OSError, UnicodeDecodeError, TokenKeysUnusable) as error:
        raise TokenKeysUnusable(f"{path.name} must hold an EC private key on P-256") from error


def _held(pem: str, since: datetime) -> HeldKey:
    try:
        private = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise TokenKeysUnusable("a token key cannot be read") from error
    if not isinstance(private, EllipticCurvePrivateKey) or not isinstance(private.curve, SECP256R1):
        raise TokenKeysUnusable("a token key must be an EC private key on P-256")
    return HeldKey.of(private, since)


def _moment(text: str) -> datetime:
    if not text:
        return _FIRST
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError as error:
        raise TokenKeysUnusable("the date after from: must be ISO 8601") from error
