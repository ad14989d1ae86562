"""What a process loads before it works: a command reads its own file, and a role what it needs, because reading costs seconds."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

from typer.main import get_command

from ops.cli import COMMANDS


def _loaded(program: str) -> set[str]:
    """The packages that a fresh interpreter holds once it ran `program`."""
    told = "import sys; print(*{name.split('.')[0] for name in sys.modules})"
    code = f"{program}\n{told}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_the_list_of_commands_reads_no_command() -> None:
    """`tdu --help` shows the titles with neither a web server, nor a database, nor a file of any command."""
    loaded = _loaded(
        "from typer.testing import CliRunner\nfrom ops.cli import app\nCliRunner().invoke(app, ['--help'])"
    )
    assert {"typer", "ops"} <= loaded
    assert loaded.isdisjoint({"gateway", "adapters", "consent", "schemas", "fastapi", "sqlalchemy", "pydantic"})


def test_the_list_of_commands_says_what_the_commands_say() -> None:
    """The title of each command in the list is the one that its own help begins with."""
    own = {
        name: get_command(getattr(import_module(f"ops.commands.{entry.module}"), entry.name)).help
        for name, entry in COMMANDS.items()
    }
    assert own == {name: entry.title for name, entry in COMMANDS.items()}


def _made(role: str, parts: str) -> set[str]:
    """What a process holds once its application is made, and the loops of its role."""
    return _loaded(
        "import pathlib, tempfile\n"
        "import ops.commands.serve\n"
        "from gateway.app import create_app\n"
        "from gateway.composition import Role, assemble\n"
        "from gateway.keys import Keys, generate\n"
        "from gateway.settings import Settings\n"
        "settings = Settings(data_dir=pathlib.Path(tempfile.mkdtemp()))\n"
        "generate(settings)\n"
        "runtime = assemble(settings, Keys.load(settings))\n"
        f"create_app(runtime, Role('{role}'))\n"
        f"print({parts})"
    )


def test_a_relay_and_a_sequencer_load_neither_formats_nor_identity_nor_the_deliveries() -> None:
    """Nothing of FHIR, of partners' formats and transports, of OAuth, of FastAPI, nor of the database's history."""
    loaded = _made("sequencer", "runtime.relay, runtime.sequencer, runtime.indexer")
    assert {"gateway", "sqlalchemy", "starlette"} <= loaded
    unread = {"adapters", "alembic", "asyncssh", "authlib", "fastapi", "fhir", "httpx", "jinja2", "lxml", "reportlab"}
    assert loaded.isdisjoint(unread)


def test_a_courier_and_a_keeper_load_neither_the_api_nor_its_pages() -> None:
    """Formats and transports, but neither FastAPI, nor FHIR, nor what draws pages."""
    courier = _made("courier", "runtime.courier, runtime.dispatcher, runtime.collector, runtime.flows")
    keeper = _made("keeper", "runtime.keeper")
    assert "asyncssh" in courier and "gateway" in keeper
    assert (courier | keeper).isdisjoint({"alembic", "fastapi", "fhir", "httpx", "jinja2", "reportlab"})
