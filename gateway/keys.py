"""
The gateway's own keys: the root secret of the sealing, the key that signs tokens, the key that signs the ledger's checkpoints.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.auth.token_keys import FileKeys, HeldKey, HeldKeys, TokenKeys, TokenKeysUnusable, has_files
from gateway.settings import Settings
from gateway.store.ring import Ring, RingUnreadable

_TOKEN, _LEDGER = "token-signing.pem", "ledger-signing.pem"


class KeysMissing(Exception):
    """A key file is absent or unreadable; `tdu init` makes them, `tdu doctor` says which."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The secrets of one gateway; never logged, never sent."""

    ring: Ring
    ledger: Ed25519PrivateKey

    @classmethod
    def load(cls, settings: Settings) -> Keys:
        """Read the key files named by `settings`; raises `KeysMissing` naming the file."""
        ledger = _read_pem(settings.keys / _LEDGER)
        if not isinstance(ledger, Ed25519PrivateKey):
            raise KeysMissing(f"{_LEDGER} must hold an Ed25519 private key")
        return cls(read_ring(settings.kek), ledger)


def token_keys(settings: Settings) -> TokenKeys:
    """
    Find the keys that sign tokens, where `settings` says: files, the environment, or another holder. Raises `KeysMissing`.
    """
    try:
        match settings.token_keys.partition(":"):
            case ("", _, _):
                return FileKeys(settings.keys)
            case ("env", _, _):
                return HeldKeys.read(settings.token_keys_pem.get_secret_value())
            case (module, _, name):
                holder: TokenKeys = getattr(import_module(module), name)()
                holder.signing(datetime.now(UTC))
                return holder
    except (TokenKeysUnusable, ImportError, AttributeError, ValueError) as error:
        raise KeysMissing(str(error) or type(error).__name__) from error


def generate(settings: Settings) -> list[Path]:
    """Make the key files that do not exist yet, readable by their owner only; returns those that were made."""
    wanted: dict[Path, Callable[[], bytes]] = {
        settings.kek: lambda: base64.b64encode(os.urandom(32)) + b"\n",
        settings.keys / _TOKEN: lambda: _pem(generate_ec_key(SECP256R1())),
        settings.keys / _LEDGER: lambda: _pem(Ed25519PrivateKey.generate()),
    }
    if settings.token_keys or has_files(settings.keys):
        del wanted[settings.keys / _TOKEN]
    made = []
    for path, content in wanted.items():
        if path.exists():
            continue
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write(path, content())
        made.append(path)
    return made


def new_token_key(path: Path) -> str:
    """Make a key that signs tokens in a new file, readable by its owner only, and return its name (kid); raises `OSError`."""
    key = generate_ec_key(SECP256R1())
    _write(path, _pem(key))
    return HeldKey.of(key).kid


def replace_ledger_key(directory: Path, kept: str) -> None:
    """
    Put a new key that signs the ledger in the place of the one in use, which is kept beside it under the name `kept`.

    There is a key in place at every moment. Raises `OSError`, FileExistsError among them when `kept` is there already.
    """
    current, fresh = directory / _LEDGER, directory / f".{_LEDGER}.new"
    fresh.unlink(missing_ok=True)
    _write(fresh, _pem(Ed25519PrivateKey.generate()))
    (directory / kept).hardlink_to(current)
    fresh.replace(current)


def kept_ledger_keys(directory: Path) -> list[Ed25519PrivateKey]:
    """The keys that signed the ledger before the one in use, where their files are kept. Raises `KeysMissing` naming the file."""
    keys = [_read_pem(path) for path in sorted(directory.glob(f"{Path(_LEDGER).stem}-*.pem"))]
    return [key for key in keys if isinstance(key, Ed25519PrivateKey)]


def _write(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def _pem(key: EllipticCurvePrivateKey | Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _read_pem(path: Path) -> object:
    try:
        return serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise KeysMissing(f"{path.name}: {type(error).__name__}") from error


def read_ring(path: Path) -> Ring:
    """Read the secrets of the sealing; raises `KeysMissing` naming the file."""
    try:
        return Ring.parse(path.read_bytes())
    except OSError as error:
        raise KeysMissing(f"{path.name}: {type(error).__name__}") from error
    except RingUnreadable as error:
        raise KeysMissing(f"{path.name}: {error}") from error


def write_ring(path: Path, ring: Ring) -> None:
    """Replace the secrets of the sealing: whole or not at all, readable by their owner only. Raises OSError."""
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(ring.encode())
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
