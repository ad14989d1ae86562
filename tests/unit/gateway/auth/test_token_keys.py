"""Keys that sign tokens follow each other without anybody noticing, wherever they are held."""

from __future__ import annotations

import base64
import json
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, SECP384R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc.jwk import ECKey
from joserfc.jws import JWSRegistry
from typer.testing import CliRunner

from gateway.auth import token_keys as module
from gateway.auth.access_token import LIFETIME, SKEW, AccessTokens
from gateway.auth.jose import Unreadable
from gateway.auth.profile import TRIAL
from gateway.auth.registry import System
from gateway.auth.token_grant import Mandate
from gateway.auth.token_keys import KEPT, LEAD, FileKeys, HeldKey, HeldKeys, TokenKeysUnusable, ended_files, next_file
from gateway.keys import KeysMissing, generate, token_keys
from gateway.settings import Settings
from ops.commands.keys import app

ISSUER = "https://passerelle.example.org"
NOW = datetime(2026, 12, 1, 9, tzinfo=UTC)
SYSTEM = System("caf", "99900001100018", "Logiciel", {"keys": []}, frozenset(), "a", TRIAL)
MANDATE = Mandate("99900001100018", "validate", ISSUER)


class Hand:
    """A clock moved by hand."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        """The time."""
        return self.now


def pem(curve: Any = None) -> bytes:
    """A private key in PEM."""
    key = generate_private_key(curve or SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def kid_of(token: str) -> str:
    """Which key a token says it was signed with."""
    head = token.split(".", maxsplit=1)[0]
    return str(json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))["kid"])


def test_a_key_is_published_before_it_signs_and_kept_after(tmp_path: Path) -> None:
    """Minute by minute across a change of key: every token verifies, with the set that was published five minutes before too."""
    (tmp_path / "token-signing.pem").write_bytes(pem())
    next_file(tmp_path, NOW + LEAD).write_bytes(pem())
    clock = Hand()
    tokens = AccessTokens(ISSUER, FileKeys(tmp_path), clock)
    sets: list[frozenset[str]] = []
    live: list[str] = []
    signers = []
    for _minute in range(40):
        sets.append(frozenset(str(key["kid"]) for key in tokens.jwks()["keys"]))
        live.append(tokens.issue(SYSTEM, MANDATE))
        signers.append(kid_of(live[-1]))
        assert signers[-1] in sets[max(0, len(sets) - 6)], "signed with a key that nobody could know yet"
        for token in live[-(LIFETIME // 60) :]:
            assert tokens.read(token).caller.client_id == "caf"
        clock.now += timedelta(minutes=1)
    assert 2 == len(set(signers)) and signers == sorted(signers, key=signers.index)
    assert [2, 1] == [len(sets[0]), len(sets[-1])]
    assert timedelta(seconds=LIFETIME + SKEW) < KEPT


def test_a_key_that_is_over_verifies_nothing(tmp_path: Path) -> None:
    """Its last token has expired for long: whatever comes with its name is refused."""
    old, new = HeldKey.of(generate_private_key(SECP256R1())), HeldKey.of(generate_private_key(SECP256R1()), NOW)
    clock = Hand()
    forged = AccessTokens(ISSUER, HeldKeys([old]), lambda: NOW + KEPT)
    clock.now = NOW + KEPT
    with pytest.raises(Unreadable):
        AccessTokens(ISSUER, HeldKeys([old, new]), clock).read(forged.issue(SYSTEM, MANDATE))


def test_a_file_that_appears_is_seen_by_a_running_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is restarted; a file half written, or a directory that vanishes for a moment, changes nothing."""
    (tmp_path / "token-signing.pem").write_bytes(pem())
    keys = FileKeys(tmp_path)
    first = keys.signing(NOW)
    real = time.monotonic()
    monkeypatch.setattr(module, "monotonic", lambda: real + 10)
    broken = next_file(tmp_path, NOW - timedelta(hours=1))
    broken.write_bytes(b"-----BEGIN PRIVATE KEY-----\n")
    assert first == keys.signing(NOW)
    monkeypatch.setattr(module, "monotonic", lambda: real + 20)
    broken.write_bytes(pem())
    assert first != keys.signing(NOW) and first in keys.published(NOW - timedelta(minutes=55))
    monkeypatch.setattr(module, "monotonic", lambda: real + 30)
    second = keys.signing(NOW)
    tmp_path.rename(tmp_path.with_name("ailleurs"))
    assert second == keys.signing(NOW)


@pytest.mark.parametrize(
    "content", [b"", b"texte", pem(SECP384R1()), b"\xff", pem()[:60]], ids=["empty", "text", "P-384", "bytes", "cut"]
)
def test_a_file_that_holds_no_such_key_stops_the_start(tmp_path: Path, content: bytes) -> None:
    """The gateway does not start with a key that it cannot sign with, and says which file."""
    (tmp_path / "token-signing.pem").write_bytes(content)
    with pytest.raises(TokenKeysUnusable, match=r"token-signing\.pem"):
        FileKeys(tmp_path)


def test_without_any_key_there_is_no_start(tmp_path: Path) -> None:
    """Neither an empty directory nor one that does not exist."""
    for directory in (tmp_path, tmp_path / "absent"):
        with pytest.raises(TokenKeysUnusable):
            FileKeys(directory)


def test_a_held_key_must_be_private_and_named(keys: Any) -> None:
    """The gateway signs with a private P-256 key that has a kid."""
    public = ECKey.import_key(keys.gateway.as_dict(private=False))
    for key in (keys.es384, public, ECKey.generate_key("P-256")):
        with pytest.raises(TokenKeysUnusable):
            HeldKeys([HeldKey(key)])
    with pytest.raises(TokenKeysUnusable):
        HeldKeys([HeldKey(keys.gateway)]).sign("another", b"x")


def test_keys_come_from_the_environment(tmp_path: Path) -> None:
    """PEM blocks one after the other, each after its date: the container has no file of keys."""
    text = pem().decode() + "\nfrom: 2026-12-01T10:00:00Z\n" + pem().decode()
    settings = Settings(data_dir=tmp_path, token_keys="env", token_keys_pem=text)
    found = token_keys(settings)
    assert 2 == len(found.published(NOW))
    assert found.signing(NOW) != found.signing(NOW + timedelta(hours=2))
    assert "BEGIN" not in repr(settings)
    generate(settings)
    assert not (settings.keys / "token-signing.pem").exists()


@pytest.mark.parametrize("text", ["", "texte", "from: hier\n" + pem().decode(), pem(SECP384R1()).decode()])
def test_an_environment_without_key_is_told(tmp_path: Path, text: str) -> None:
    """`tdu doctor` and `tdu serve` name the fault, and show nothing of the variable."""
    with pytest.raises(KeysMissing) as missing:
        token_keys(Settings(data_dir=tmp_path, token_keys="env", token_keys_pem=text))
    assert "PRIVATE" not in str(missing.value)


class Safe:
    """What a hardware module looks like from here: it names its public keys and signs, and gives no private key."""

    def __init__(self) -> None:
        self._key = ECKey.generate_key("P-256", {"kid": "module-1"})

    def published(self, now: datetime) -> Mapping[str, ECKey]:
        """Its public keys."""
        return {"module-1": ECKey.import_key(self._key.as_dict(private=False))}

    def signing(self, now: datetime) -> str:
        """The one that signs."""
        return "module-1"

    def sign(self, kid: str, message: bytes) -> bytes:
        """Sign inside."""
        return JWSRegistry.algorithms["ES256"].sign(message, self._key)


def test_another_holder_is_named_in_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module of the operator's own, for a KMS or PKCS#11: what it signs verifies with what it publishes."""
    plugged = ModuleType("coffre_de_test")
    plugged.open_safe = Safe  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "coffre_de_test", plugged)
    held = token_keys(Settings(data_dir=tmp_path, token_keys="coffre_de_test:open_safe"))
    tokens = AccessTokens(ISSUER, held, Hand())
    token = tokens.issue(SYSTEM, MANDATE)
    assert ("module-1", "caf") == (kid_of(token), tokens.read(token).caller.client_id)
    for wrong in ("coffre_de_test:absent", "nulle.part:coffre", "coffre_de_test", "os:getcwd"):
        with pytest.raises(KeysMissing):
            token_keys(Settings(data_dir=tmp_path, token_keys=wrong))


def test_the_command_rotates_and_cleans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new key, published now and signing later; the file of a key that is over goes, the one in use never does."""
    monkeypatch.setenv("TDU_DATA_DIR", str(tmp_path))
    settings = Settings(data_dir=tmp_path)
    generate(settings)
    run = CliRunner()
    before = json.loads(run.invoke(app, ["show"]).stdout)
    assert [True] == [key["signs"] for key in before]
    made = json.loads(run.invoke(app, ["rotate", "token"]).stdout)
    assert [] == made["deleted"]
    path = settings.keys / made["file"]
    assert 0o600 == path.stat().st_mode & 0o777
    shown = {key["kid"]: key["signs"] for key in json.loads(run.invoke(app, ["show"]).stdout)}
    assert {before[0]["kid"]: True, made["kid"]: False} == shown
    assert datetime.fromisoformat(made["signs_from"]) - datetime.now(UTC) > LEAD - timedelta(minutes=1)

    (settings.keys / "token-signing.pem").rename(next_file(settings.keys, NOW - timedelta(days=90)))
    next_file(settings.keys, datetime.now(UTC) - timedelta(days=30)).write_bytes(pem())
    assert 1 == len(ended_files(settings.keys, datetime.now(UTC)))
    again = json.loads(run.invoke(app, ["rotate", "token", "--in", "30"]).stdout)
    assert 1 == len(again["deleted"]) and 3 == len(FileKeys(settings.keys).published(datetime.now(UTC)))
    generate(settings)
    assert not (settings.keys / "token-signing.pem").exists()


def test_the_command_leaves_alone_what_is_held_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys in the environment or in a module are rotated there; an unusable one is told."""
    monkeypatch.setenv("TDU_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("TDU_TOKEN_KEYS", "env")
    for command in (["rotate", "token"], ["show"]):
        assert 0 != CliRunner().invoke(app, command).exit_code
    assert not (tmp_path / "keys").exists()
