"""
`tdu keys sealing`: replace the keys that seal personal data while the gateway works. Keys never leave their file.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from gateway.keys import write_ring
from gateway.rotation import Rotation, StillUsed
from gateway.settings import Settings
from gateway.store.crypto import Vault
from gateway.store.database import Database
from gateway.store.ring import Ring
from ops.commands import say

app = typer.Typer(no_args_is_help=True, help="Les clés du scellement. / The keys of the sealing.")

_T = TypeVar("_T")

Index = Annotated[
    bool, typer.Option("--index", help="La clé de recherche des personnes. / The key that people are found by.")
]
To = Annotated[
    Path | None,
    typer.Option(
        help="Où écrire le fichier, s'il est distribué autrement. / Where to write the file, if not in place."
    ),
]


@app.command("status")
def status() -> None:
    """Les clés, par leur nom, et combien de lignes sont sous chacune. / The keys by name, and what is under each."""
    settings = say.settings()
    ring = say.keys(settings).ring
    used = say.run(_with(settings, ring, lambda rotation: rotation.used()))
    say.result(
        {
            "file": str(settings.kek),
            "current": ring.current,
            "wrapping": {name: used["wrapping"].get(name, 0) for name in {**ring.wrapping, **used["wrapping"]}},
            "indexes": {str(each): used["indexes"].get(str(each), 0) for each in sorted(ring.indexes)},
        }
    )


@app.command("add")
def add(index: Index = False, to: To = None) -> None:
    """Ajouter une clé, pour la distribuer avant qu'elle serve. / Add a key, to be distributed before it is used."""
    settings = say.settings()
    ring = say.keys(settings).ring
    made = ring.with_index() if index else ring.with_wrapping()
    _write(to or settings.kek, made)
    say.result({"file": str(to or settings.kek), "added": max(made.indexes) if index else made.newest})


@app.command("rotate")
def rotate(index: Index = False, to: To = None) -> None:
    """Changer de clé et tout refaire sous la nouvelle, sans arrêt. / Change keys, everything redone under the new one."""
    settings = say.settings()
    ring = say.keys(settings).ring
    now = datetime.now(UTC)
    if index:
        if len(ring.indexes) == 1:
            ring = ring.with_index()
            _write(to or settings.kek, ring)
        left = say.run(_with(settings, ring, lambda rotation: rotation.reindex(now)))
        say.result({"version": max(ring.indexes), "left": left})
        return
    used = say.run(_with(settings, ring, lambda rotation: rotation.used()))["wrapping"]
    if not used.keys() - {ring.current}:  # else a rotation was cut short: it is finished first
        ring = (ring if ring.newest != ring.current else ring.with_wrapping()).promoted()
        _write(to or settings.kek, ring)
    done = say.run(_with(settings, ring, lambda rotation: rotation.rewrap(now)))
    say.result({"current": ring.current, "rewrapped": done})


@app.command("retire")
def retire(index: Index = False, to: To = None) -> None:
    """Détruire les anciennes clés, quand plus rien n'en dépend. / Destroy the old keys, once nothing depends on them."""
    settings = say.settings()
    ring = say.keys(settings).ring
    now = datetime.now(UTC)

    async def work(rotation: Rotation) -> Ring:
        kept = ring
        if index:
            for version in sorted(ring.indexes)[:-1]:
                await rotation.retire_index(version, now)
                kept = kept.without(index=version)
            return kept
        await rotation.rewrap(now)  # what was written since by a process that had not read the file again
        for name in [name for name in ring.wrapping if name != ring.current]:
            await rotation.retire_wrapping(name, now)
            kept = kept.without(wrapping=name)
        return kept

    try:
        kept = say.run(_with(settings, ring, work))
    except StillUsed as error:
        say.fail(
            f"Rien n'a été détruit : {error.count} ligne(s) dépendent encore d'une ancienne clé. Refaites « tdu keys sealing rotate ».",
            f"Nothing was destroyed: {error.count} row(s) still depend on an old key. Run “tdu keys sealing rotate” again.",
        )
    _write(to or settings.kek, kept)
    say.result({"wrapping": sorted(kept.wrapping), "indexes": sorted(kept.indexes)})


async def _with(settings: Settings, ring: Ring, work: Callable[[Rotation], Awaitable[_T]]) -> _T:
    database = Database(settings.database)
    try:
        return await work(Rotation(database, Vault(ring), settings.operator_siret))
    finally:
        await database.close()


def _write(path: Path, ring: Ring) -> Any:
    try:
        write_ring(path, ring)
    except OSError as error:
        say.fail(
            f"{path} ne peut pas être écrit ({type(error).__name__}) : donnez --to, puis distribuez le fichier.",
            f"{path} cannot be written ({type(error).__name__}): give --to, then distribute the file.",
            2,
        )
