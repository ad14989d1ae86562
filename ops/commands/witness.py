"""
A witness of other gateways' logs, as a process: what `tdu ledger witness` starts.
"""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path

import typer
import uvicorn
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consent.ledger.note import ED25519, Cosigner, NoteInvalid, Verifier
from consent.ledger.witness import Witness
from consent.ledger.witness_memory import SqliteMemory
from gateway import logs
from gateway.http.connections import PatientProtocol
from gateway.http.witness import create_witness_app
from ops.commands import say


def run(directory: Path, name: str, logs_to_witness: list[str], host: str, port: int, *, key_only: bool) -> None:
    """Serve a witness whose key and memory are in `directory`, or only print its public key."""
    directory.mkdir(parents=True, exist_ok=True)
    cosigner = _cosigner(name, directory / "witness-signing.pem")
    if key_only:
        typer.echo(cosigner.verifier.vkey)
        return
    if not logs_to_witness:
        say.fail("Donnez la clé d'au moins un journal : --log.", "Give the key of at least one log: --log.", 2)
    try:
        memory = SqliteMemory(directory / "witness.sqlite")
        served = Witness(cosigner, [_log(vkey) for vkey in logs_to_witness], memory, lambda: int(time.time()))
    except (sqlite3.Error, ValueError) as error:
        say.fail(f"Le témoin ne peut pas démarrer : {error}.", f"The witness cannot start: {error}.", 2)
    logs.set_up("info")
    say.stderr.print(f"Témoin {cosigner.verifier.vkey} : http://{host}:{port}", soft_wrap=True)
    uvicorn.run(
        create_witness_app(served, cosigner.verifier.vkey),
        host=host,
        port=port,
        http=PatientProtocol,
        proxy_headers=False,
        log_config=None,
        server_header=False,
        limit_concurrency=200,
    )


def _log(vkey: str) -> Verifier:
    try:
        key = Verifier.parse(vkey)
    except NoteInvalid:
        key = None
    if key is None or key.kind != ED25519:
        say.fail(f"« {vkey} » n'est pas la clé publique d'un journal.", f"“{vkey}” is not a log's public key.", 2)
    return key


def _cosigner(name: str, path: Path) -> Cosigner:
    """The witness's key, made the first time, readable by its owner only."""
    if not path.exists():
        pem = Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
        if not isinstance(key, Ed25519PrivateKey):
            raise TypeError("not an Ed25519 key")
        return Cosigner(name, key)
    except (OSError, ValueError, TypeError):
        say.fail(
            f"Le nom du témoin ou sa clé {path} ne convient pas (clé Ed25519 en PEM ; nom sans espace ni +).",
            f"The witness's name or its key {path} does not do (an Ed25519 key in PEM; no space nor + in the name).",
            2,
        )
