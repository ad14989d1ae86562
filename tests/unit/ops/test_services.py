"""The finder of real servers: what it takes, what it says, what it leaves behind."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import NullPool, make_url, text
from sqlalchemy.ext.asyncio import create_async_engine

PRINT_URLS = (
    "import json, os; print(json.dumps([os.environ['TDU_TEST_POSTGRES_URL'], os.environ['TDU_TEST_AMQP_URL']]))"
)


POSTGRESQL = os.environ.get("TDU_TEST_POSTGRES_URL", "postgresql+asyncpg://postgres@127.0.0.1:5432/postgres")
RABBITMQ = os.environ.get("TDU_TEST_AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/")


def find_and_run(*command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the finder with both addresses given, but for what `variables` changes."""
    given = {"TDU_TEST_POSTGRES_URL": POSTGRESQL, "TDU_TEST_AMQP_URL": RABBITMQ}
    return subprocess.run(
        [sys.executable, "-m", "ops.services", "--", *command],
        env=os.environ | given | variables,
        capture_output=True,
        text=True,
        check=False,
    )


def run_sql(statement: str) -> None:
    """Run one statement on the tests' PostgreSQL."""

    async def execute() -> None:
        engine = create_async_engine(POSTGRESQL, poolclass=NullPool)
        async with engine.begin() as connection:
            await connection.execute(text(statement))

    asyncio.run(execute())


def silent_port() -> int:
    """A port where nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_given_addresses_reach_the_command() -> None:
    """The command gets both addresses, and each server has its line with its version and its origin, on stderr."""
    done = find_and_run(sys.executable, "-c", PRINT_URLS)
    assert (0, [POSTGRESQL, RABBITMQ]) == (done.returncode, json.loads(done.stdout))
    postgresql, rabbitmq = done.stderr.splitlines()
    assert postgresql.startswith("PostgreSQL ")
    assert postgresql.endswith(" : adresse donnée par TDU_TEST_POSTGRES_URL")
    assert rabbitmq.endswith(" : adresse donnée par TDU_TEST_AMQP_URL")


def test_the_exit_code_is_the_commands() -> None:
    """What the tests answer is what make sees."""
    assert 7 == find_and_run(sys.executable, "-c", "raise SystemExit(7)").returncode


def test_a_command_ended_by_a_signal_is_a_failure() -> None:
    """A test run that was killed never passes for a success; the code is the one that a shell gives."""
    killed = find_and_run(sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert 128 + signal.SIGKILL == killed.returncode


@pytest.mark.parametrize(
    ("variable", "url", "server"),
    [
        ("TDU_TEST_POSTGRES_URL", "postgresql+asyncpg://postgres:secret@127.0.0.1:{port}/postgres", "PostgreSQL"),
        ("TDU_TEST_AMQP_URL", "amqp://guest:secret@127.0.0.1:{port}/", "RabbitMQ"),
    ],
)
def test_an_address_that_does_not_answer_stops_everything(tmp_path: Path, variable: str, url: str, server: str) -> None:
    """The command is not run, the exit code is 3, and the message says what to do in both languages, without the password."""
    trace = tmp_path / "ran"
    done = find_and_run("touch", str(trace), **{variable: url.format(port=silent_port())})
    assert (3, "", False) == (done.returncode, done.stdout, trace.exists())
    assert f"{server} introuvable" in done.stderr
    assert f"donnez son adresse dans {variable}" in done.stderr
    assert f"give its address in {variable}" in done.stderr
    assert "secret" not in done.stderr


def test_another_program_on_the_port_is_not_taken_for_a_server() -> None:
    """A port where something else answers is refused with a reason, not believed."""
    elsewhere = make_url(POSTGRESQL).set(port=make_url(RABBITMQ).port)
    done = find_and_run("true", TDU_TEST_POSTGRES_URL=elsewhere.render_as_string(hide_password=False))
    assert (3, True) == (done.returncode, "PostgreSQL introuvable" in done.stderr)


def test_a_role_that_cannot_create_databases_is_refused() -> None:
    """The tests make databases of their own: a role that cannot would fail them one by one, later and obscurely."""
    role = f"tdu_without_rights_{os.getpid()}"
    run_sql(f"create role {role} login password 'local' nocreatedb")
    try:
        url = make_url(POSTGRESQL).set(username=role, password="local")
        done = find_and_run("true", TDU_TEST_POSTGRES_URL=url.render_as_string(hide_password=False))
    finally:
        run_sql(f"drop role {role}")
    assert (3, True) == (done.returncode, "this role may not create databases" in done.stderr)


def test_without_a_command_it_says_how_to_use_it() -> None:
    """No command is a mistake of the caller: exit code 2 and the usage."""
    done = find_and_run()
    assert (2, True) == (done.returncode, done.stderr.startswith("Usage"))
