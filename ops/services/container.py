"""
A server in a container of its official image, on a free port of the loopback address, removed at the end.
"""

import shutil
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack, suppress

from ops.services.probe import Unavailable

CLIENT_SECONDS = 20.0
PULL_SECONDS = 600.0


def start_container(image: str, port: int, environment: Mapping[str, str], stack: ExitStack) -> tuple[str, int]:
    """
    Starts `image` and returns its name and the local port that leads to `port`; `stack` removes it.

    Raises `Unavailable` when there is no Docker client, no engine behind it, or when the container does not start.
    """
    if shutil.which("docker") is None:
        raise Unavailable("la commande docker n'est pas installée (no docker command)")
    _docker("version", "--format", "{{.Server.Version}}")
    variables = [part for name, value in environment.items() for part in ("--env", f"{name}={value}")]
    print(f"Démarrage du conteneur {image}…", file=sys.stderr)
    name = _docker(
        "run", "--detach", "--rm", "--publish", f"127.0.0.1::{port}", *variables, image, seconds=PULL_SECONDS
    )
    stack.callback(_remove, name)
    local = _docker("port", name, f"{port}/tcp").splitlines()[0]
    return name, int(local.rpartition(":")[2])


def container_is_alive(name: str) -> bool:
    """
    True while the container runs.
    """
    try:
        return _docker("inspect", "--format", "{{.State.Running}}", name) == "true"
    except Unavailable:
        return False


def _remove(name: str) -> None:
    # The engine may have gone away meanwhile: the tests' own result matters more than this.
    with suppress(Unavailable):
        _docker("rm", "--force", "--volumes", name)


def _docker(*arguments: str, seconds: float = CLIENT_SECONDS) -> str:
    try:
        done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        raise Unavailable(f"docker {arguments[0]} n'a pas répondu en {seconds:.0f} s (no answer)") from None
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["?"])[0]
        raise Unavailable(f"docker {arguments[0]} : {reason}")
    return done.stdout.strip()
