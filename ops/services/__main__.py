"""
`python -m ops.services -- COMMAND...`: see the package's own text.

Exit code: the command's own; 2 when no command is given; 3 when a server cannot be had.
"""

import os
import signal
import subprocess
import sys
from contextlib import ExitStack, suppress
from types import FrameType
from typing import NoReturn

from ops.services.probe import Unavailable, as_ordinary_role
from ops.services.sources import POSTGRESQL, RABBITMQ, Found, Service, container, given, own, running

NO_COMMAND = 2
CANNOT_BE_HAD = 3


def find(service: Service, stack: ExitStack) -> Found:
    """
    The server, from the first way that gives one; what must be undone is left on `stack`.

    Raises `Unavailable` with the reason of every way that was tried. An address given in the environment is used or refused,
    never replaced: whoever gave it wants that server and no other.
    """
    if os.environ.get(service.variable):
        return given(service, stack)
    reasons = []
    for way, label in ((running, "déjà en marche"), (container, "conteneur"), (own, "serveur temporaire")):
        try:
            return way(service, stack)
        except Unavailable as unavailable:
            reasons.append(f"  - {label} : {unavailable}")
    raise Unavailable("\n".join(["aucun moyen n'a marché (no way worked)", *reasons]))


def main(arguments: list[str]) -> int:
    """
    Finds the servers, runs the command, cleans up; returns the exit code.
    """
    command = arguments[1:] if arguments[:1] == ["--"] else arguments
    if not command:
        _say("Usage : python -m ops.services -- COMMANDE…")
        return NO_COMMAND
    signal.signal(signal.SIGTERM, _leave)
    with ExitStack() as stack:
        urls = {}
        for service in (POSTGRESQL, RABBITMQ):
            try:
                found = find(service, stack)
            except Unavailable as unavailable:
                _explain(service, unavailable)
                return CANNOT_BE_HAD
            _say(f"{service.name} {found.version} : {found.origin}")
            urls[service.variable] = as_ordinary_role(found.url) if service is POSTGRESQL else found.url
        return _run(command, urls)


def _run(command: list[str], urls: dict[str, str]) -> int:
    with subprocess.Popen(command, env=os.environ | urls) as process:
        try:
            while True:
                # Ctrl-C reaches the command too: it decides when it is over, and only then are the servers stopped.
                with suppress(KeyboardInterrupt):
                    code = process.wait()
                    return 128 - code if code < 0 else code  # as a shell says "ended by signal -code"
        finally:
            process.terminate()


def _explain(service: Service, unavailable: Unavailable) -> None:
    _say(f"{service.name} introuvable : {unavailable}")
    _say(
        f"Les tests parlent à de vrais serveurs. Démarrez {service.name}, donnez son adresse dans {service.variable}, démarrez "
        f"Docker, ou installez le paquet {service.package}."
    )
    _say(
        f"The tests talk to real servers. Start {service.name}, give its address in {service.variable}, start Docker, or install "
        f"the package {service.package}."
    )


def _leave(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + signal.SIGTERM)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
