"""A partner starts in minutes: what is printed runs as it is, and the connection test says in French what fails."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ops.cli import app
from ops.demo.gateway_process import GatewayProcess, started
from ops.services.authority import Authority

SIRET = "99900001100018"


def tdu(gateway: GatewayProcess, *words: str) -> Any:
    """Run a command of the gateway's operator, or of a partner, in this process: a new one costs seconds."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in gateway.environment.items():
            patch.setenv(name, value)
        return CliRunner().invoke(app, list(words))


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway with one partner, registered as an operator does; its keys are in the folder of the log."""
    with started(tmp_path_factory.mktemp("onboarding")) as found:
        folder = found.log.parent
        made = tdu(found, "partner", "keygen", str(folder / "cle.pem"))
        (folder / "jwks.json").write_text(made.stdout)
        added = tdu(found, "partner", "add", SIRET, "CAF de Valombre", "--jwks", str(folder / "jwks.json"))
        assert 0 == added.exit_code, added.stderr
        yield found


def register(gateway: GatewayProcess, client_id: str, *options: str, keys: bool = True) -> Any:
    """Register a system; gives the result and what was shown."""
    with_keys = ["--jwks", str(gateway.log.parent / "jwks.json")] if keys else []
    done = tdu(gateway, "system", "add", client_id, SIRET, "Logiciel", *with_keys, *options)
    assert 0 == done.exit_code, done.stderr
    return json.loads(done.stdout), done.stderr


@pytest.mark.parametrize("options", [(), ("--sandbox",), ("--profile", "smart")], ids=["DPoP", "trial", "SMART"])
def test_the_python_program_runs_as_it_is_printed(gateway: GatewayProcess, options: tuple[str, ...]) -> None:
    """Beside the private key, with two packages: a token and a first call."""
    client = "caf" + "".join(options).strip("-")
    told, shown = register(gateway, client, *options)
    assert told["token_endpoint"] == f"{gateway.address}/oauth2/token"
    program = tdu(gateway, "system", "snippet", client).stdout
    assert program.splitlines()[-1] in shown and "cle.pem" in program
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=gateway.log.parent, capture_output=True, text=True, check=False
    )
    assert 0 == done.returncode, done.stderr
    assert {"exchanges": [], "next": None} == json.loads(done.stdout)


def test_the_curl_lines_run_as_they_are_printed(gateway: GatewayProcess) -> None:
    """For a trial with a secret: two lines of shell, and the secret is shown once."""
    told, shown = register(gateway, "caf-curl", "--sandbox", "--method", "client_secret_basic", keys=False)
    lines = shown[shown.index("TOKEN=") :]
    assert told["client_secret"] in lines
    done = subprocess.run(["sh", "-c", lines], capture_output=True, text=True, check=False)
    assert {"exchanges": [], "next": None} == json.loads(done.stdout), done.stderr
    again = tdu(gateway, "system", "snippet", "caf-curl").stdout
    assert told["client_secret"] not in again and "<secret>" in again


def test_a_program_refused_says_why_in_french(gateway: GatewayProcess) -> None:
    """The printed program ends with the gateway's sentence."""
    register(gateway, "caf-coupe")
    tdu(gateway, "system", "disable", "caf-coupe")
    program = tdu(gateway, "system", "snippet", "caf-coupe").stdout
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=gateway.log.parent, capture_output=True, text=True, check=False
    )
    assert 1 == done.returncode and "désactivé" in done.stderr


REFUSED = {
    "bearer outside the sandbox": ("--binding", "bearer"),
    "a secret outside the sandbox": ("--method", "client_secret_basic"),
    "an address that is not https": ("--jwks-uri", "http://caf.example/jwks"),
    "a limit that is none": ("--limit", "requests=beaucoup"),
    "a pair that is none": ("--limit", "requests"),
    "a certificate without name": ("--method", "tls_client_auth"),
    "an unknown format": ("--adapter", "fax"),
    "an unknown profile": ("--profile", "banque"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_registered_is_told(gateway: GatewayProcess, case: str) -> None:
    """In French, with an exit code, and nothing is registered."""
    keys = str(gateway.log.parent / "jwks.json")
    done = tdu(gateway, "system", "add", "caf-refuse", SIRET, "Logiciel", "--jwks", keys, *REFUSED[case])
    assert 0 != done.exit_code and not done.stdout and "Traceback" not in done.stderr
    assert 0 != tdu(gateway, "system", "snippet", "caf-refuse").exit_code


def tried(gateway: GatewayProcess, issuer: str, *options: str) -> dict[str, tuple[bool, str]]:
    """Run the connection test; gives each step."""
    done = tdu(gateway, "connect", "test", issuer, "--json", *options)
    steps = {step["name"]: (step["good"], step["message"]) for step in json.loads(done.stdout)}
    assert (0 if all(good for good, _ in steps.values()) else 1) == done.exit_code
    return steps


def test_the_connection_test_passes_where_all_is_well(gateway: GatewayProcess) -> None:
    """From the name to a first call; without a key, what needs none."""
    register(gateway, "caf-teste")
    key = str(gateway.log.parent / "cle.pem")
    steps = tried(gateway, gateway.address, "--client-id", "caf-teste", "--key", key)
    assert all(good for good, _ in steps.values()), steps
    assert ["nom", "connexion", "TLS", "horloge", "description", "clé", "jeton", "appel"] == list(steps)
    assert ["nom", "connexion", "TLS", "horloge", "description"] == list(tried(gateway, gateway.address))
    shown = tdu(gateway, "connect", "test", gateway.address).stdout
    assert "bon" in shown and "à l'heure" in shown


def test_the_connection_test_says_what_fails(gateway: GatewayProcess, tmp_path: Path) -> None:
    """The last step is the one to correct, and its sentence says how."""
    register(gateway, "caf-essai")
    key, port = str(gateway.log.parent / "cle.pem"), gateway.address.rsplit(":", 1)[1]
    (tmp_path / "autre.pem").write_bytes(b"")
    other = tdu(gateway, "partner", "keygen", str(tmp_path / "autre-cle.pem"))
    assert 0 == other.exit_code
    cases: dict[str, tuple[str, tuple[str, ...], str, str]] = {
        "final slash": (gateway.address + "/", (), "adresse", "sans barre oblique"),
        "no name": ("https://absente.invalid", (), "nom", "n'existe pas"),
        "closed port": ("http://127.0.0.1:1", (), "connexion", "pare-feu"),
        "another name of the same": (f"http://localhost:{port}", (), "description", gateway.address),
        "no key": (gateway.address, ("--client-id", "caf-essai", "--key", str(tmp_path / "autre.pem")), "clé", "PEM"),
        "another key": (
            gateway.address,
            ("--client-id", "caf-essai", "--key", str(tmp_path / "autre-cle.pem")),
            "jeton",
            "signature fausse",
        ),
        "another kid": (gateway.address, ("--client-id", "caf-essai", "--key", key, "--kid", "2"), "jeton", "kid"),
        "unknown system": (gateway.address, ("--client-id", "personne", "--key", key), "jeton", "Système inconnu"),
    }
    for case, (issuer, options, name, says) in cases.items():
        steps = tried(gateway, issuer, *options)
        last, (good, message) = list(steps.items())[-1]
        assert (name, False) == (last, good) and says in message, f"{case}: {steps}"


class Elsewhere(BaseHTTPRequestHandler):
    """A server that is no gateway and whose clock is wrong."""

    def do_GET(self) -> None:
        """Answer something else."""
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>")

    def date_time_string(self, timestamp: float | None = None) -> str:
        """A minute late."""
        return super().date_time_string(int(time.time()) - 60)

    def log_message(self, *_args: Any) -> None:
        """Say nothing."""


def test_a_wrong_clock_and_a_wrong_certificate_are_told(gateway: GatewayProcess, tmp_path: Path) -> None:
    """What a token refused for its dates would not explain, and what a network that opens TLS looks like."""
    for secured in (False, True):
        server = HTTPServer(("127.0.0.1", 0), Elsewhere)
        if secured:
            server.socket = Authority(tmp_path).context("localhost").wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            scheme = "https" if secured else "http"
            steps = tried(gateway, f"{scheme}://localhost:{server.server_port}")
        finally:
            server.shutdown()
            thread.join()
            server.server_close()
        if secured:
            assert not steps["TLS"][0] and "certificat" in steps["TLS"][1]
        else:
            assert not steps["horloge"][0] and "votre horloge avance de" in steps["horloge"][1]
            assert not steps["description"][0] and "n'est pas celle d'une passerelle" in steps["description"][1]
