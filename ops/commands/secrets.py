"""
Making the key files that are missing, for the commands that may.
"""

from __future__ import annotations

from gateway.settings import Settings
from ops import configuration
from ops.commands import say


def make_keys(settings: Settings) -> None:
    """Make the keys that are missing and tell which, or say that a lost one cannot be replaced."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    try:
        made = say.run(configuration.make_keys(settings))
    except configuration.SecretLost:
        say.fail(
            f"La base est scellée avec un secret « kek » qui n'est plus à sa place ({settings.kek}). Aucun autre ne peut l'ouvrir : "
            "remettez sa copie hors ligne.",
            f"The database is sealed with a secret “kek” that is no longer there ({settings.kek}). No other one opens it: put its "
            "offline copy back.",
            2,
        )
    for path in made:
        say.stderr.print(
            f"Clé créée : {path}. Gardez-en une copie hors ligne. / Key made: keep a copy offline.", soft_wrap=True
        )
