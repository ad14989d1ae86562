"""
A server of our own, from the programs installed on this machine: temporary folder, free port of the loopback address, stopped
and erased at the end. No existing cluster, node, account or configuration file is touched.

    start_postgresql, start_rabbitmq    for the time of a block
    postgresql_in, rabbitmq_in          in a folder that the caller keeps: whoever kills a server starts it again there
"""

import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

from ops.services.probe import Unavailable

STOP_SECONDS = 30.0
INSTALL_SECONDS = 900.0


class NotInstalled(Unavailable):
    """
    A program that a package would bring is missing.
    """


@dataclass(frozen=True, slots=True)
class Server:
    """How a server is started, again if need be: its address, its program, and the folder and account it works in."""

    url: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    folder: Path
    user: str | None

    def start(self) -> subprocess.Popen[bytes]:
        """Start it; its words go to a file of its folder. It still needs a moment before it answers."""
        with (self.folder / f"{Path(self.command[0]).name}.log").open("ab") as log:
            return subprocess.Popen(
                self.command,
                cwd=self.folder,
                env=os.environ | dict(self.environment),
                user=self.user,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the tests: the servers are stopped after them
            )

    def start_on(self, stack: ExitStack) -> subprocess.Popen[bytes]:
        """Start it until `stack` is left."""
        process = self.start()
        stack.callback(stop, process)
        return process


def start_postgresql(stack: ExitStack) -> tuple[str, subprocess.Popen[bytes]]:
    """
    Makes a cluster and starts it; returns its address (superuser `postgres`, no password) and its process.

    Raises `NotInstalled` when the programs are missing, `Unavailable` when they refuse. The server still needs a moment before it answers.
    """
    server = postgresql_in(_folder(stack))
    return server.url, server.start_on(stack)


def start_rabbitmq(stack: ExitStack) -> tuple[str, subprocess.Popen[bytes]]:
    """
    Starts a node with its own name, cookie and port mapper; returns its address and its process.

    Raises `NotInstalled` when the programs are missing. The server still needs a moment before it answers.
    """
    mapper, server = rabbitmq_in(_folder(stack))
    mapper.start_on(stack)
    return server.url, server.start_on(stack)


def postgresql_in(folder: Path) -> Server:
    """
    A cluster in `folder`, made if it is not there; raises as `start_postgresql`.
    """
    initdb = _program("initdb", "/usr/lib/postgresql/*/bin")
    user = _owned(folder, "postgres")
    cluster = folder / "cluster"
    if not (cluster / "PG_VERSION").exists():
        options = ("--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C")
        command = [str(initdb), "--pgdata", str(cluster), *options]
        made = subprocess.run(command, capture_output=True, text=True, check=False, user=user, cwd=folder)
        if made.returncode:
            raise Unavailable(f"initdb : {(made.stderr.strip().splitlines() or ['?'])[-1]}")
    port = _free_port()
    command = [str(initdb.with_name("postgres")), "-D", str(cluster), "-p", str(port), "-h", "127.0.0.1"]
    url = f"postgresql+asyncpg://postgres@127.0.0.1:{port}/postgres"
    return Server(url, (*command, "-k", str(folder)), {}, folder, user)


def rabbitmq_in(folder: Path) -> tuple[Server, Server]:
    """
    A node in `folder`, after the port mapper that it needs; raises as `start_rabbitmq`.
    """
    # The program itself, not the packages' wrapper of the same name, which insists on the system's own folders.
    program = _program("rabbitmq-server", "/usr/lib/rabbitmq/bin", "/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin")
    mapper = _program("epmd", "/usr/lib/erlang/erts-*/bin")
    user = _owned(folder, "rabbitmq")
    (folder / "empty").touch()
    port, mapper_port = _free_port(), _free_port()
    environment = {
        "HOME": str(folder),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": str(mapper_port),
        "RABBITMQ_CONF_ENV_FILE": str(folder / "empty"),
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq"),
        "RABBITMQ_DIST_PORT": str(_free_port()),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_MNESIA_BASE": str(folder / "data"),
        "RABBITMQ_NODENAME": f"tdu-{crc32(bytes(folder)):08x}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
    }
    command = (str(mapper), "-port", str(mapper_port), "-address", "127.0.0.1")
    url = f"amqp://guest:guest@127.0.0.1:{port}/"
    return (
        Server("", command, environment, folder, user),
        Server(url, (str(program),), environment, folder, user),
    )


def install_debian_package(package: str) -> None:
    """
    Installs `package` with apt-get. Raises `Unavailable` when this is not Debian, when we are not root, or when it fails.
    """
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise Unavailable(
            f"le paquet Debian {package} n'est pas installé, et il faut être root pour l'installer (not root)"
        )
    print(f"Installation du paquet Debian {package}…", file=sys.stderr)
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    # Another installation may be under way on this machine: it is waited for.
    patient = ["-o", "DPkg::Lock::Timeout=300"]
    for words in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", package]):
        done = subprocess.run(
            ["apt-get", *patient, *words], stdout=sys.stderr, env=environment, check=False, timeout=INSTALL_SECONDS
        )
    if done.returncode:
        raise Unavailable(f"apt-get install {package} a échoué (failed)")


def _program(name: str, *folders: str) -> Path:
    """
    The newest program of that name in `folders` (patterns from the root), else the one that the shell would run.
    """
    for pattern in folders:
        found = sorted(Path("/").glob(f"{pattern.removeprefix('/')}/{name}"), key=lambda path: (len(str(path)), path))
        if found:
            return found[-1]
    path = shutil.which(name)
    if path is None:
        raise NotInstalled(f"le programme {name} n'est pas installé (not installed)")
    return Path(path)


def _account(name: str) -> str | None:
    """
    The account to run the server under: the package's own when we are root (PostgreSQL refuses root), else ours.
    """
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(name).pw_name
    except KeyError:
        raise Unavailable(f"le compte {name} n'existe pas (no such account)") from None


def _folder(stack: ExitStack) -> Path:
    return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tdu-", ignore_cleanup_errors=True)))


def _owned(folder: Path, account: str) -> str | None:
    """Give a folder to the account that the server runs under."""
    user = _account(account)
    if user is not None:
        shutil.chown(folder, user)
    return user


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ask a server to end, and end it when it does not."""
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
