"""
Whether a server really answers: one real connection, one real command, with a time limit.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from time import monotonic, sleep
from typing import Any

import aio_pika
from sqlalchemy import NullPool, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

ANSWER_SECONDS = 5.0
START_SECONDS = 90.0

_POSTGRESQL_QUESTION = """
    select current_setting('server_version'), rolsuper or rolcreatedb from pg_roles where rolname = current_user
"""


ORDINARY_ROLE = "tdu_test"

_IS_SUPERUSER = "select rolsuper or rolbypassrls from pg_roles where rolname = current_user"
_HAS_ORDINARY_ROLE = "select count(*) from pg_roles where rolname = :role"
_ORDINARY_ROLE = "select format('create role %I login createdb createrole password %L', cast(:role as text), cast(:password as text))"


class Unavailable(Exception):
    """
    A server cannot be had in one way; the text says why, French first, without any address (it may hold a password).
    """


def postgresql_version(url: str) -> str:
    """
    Connects and returns the version, such as "15.8".

    `url` is in SQLAlchemy's form, `postgresql+asyncpg://user@host:port/database`. Raises `Unavailable` when nothing answers
    there, or when the role may not create the databases that the tests need.
    """
    return asyncio.run(_answer(_ask_postgresql(url)))


def as_ordinary_role(url: str) -> str:
    """
    The same server by a role that row-level security binds, as in production: a superuser's is made one, which is left there.
    """
    return asyncio.run(_as_ordinary_role(url))


def rabbitmq_version(url: str) -> str:
    """
    Connects, opens a channel and returns the version, such as "3.10.8". Raises `Unavailable` when nothing answers at `url`.
    """
    return asyncio.run(_answer(_ask_rabbitmq(url)))


def wait_for(version: Callable[[str], str], url: str, alive: Callable[[], bool]) -> str:
    """
    Asks until the server at `url` answers, and returns its version. Raises `Unavailable` with the last reason as soon as
    `alive` says that the server died, or after 90 seconds.
    """
    deadline = monotonic() + START_SECONDS
    while True:
        try:
            return version(url)
        except Unavailable:
            if monotonic() > deadline or not alive():
                raise
            sleep(0.3)


async def _answer(question: Coroutine[Any, Any, str]) -> str:
    try:
        return await asyncio.wait_for(question, ANSWER_SECONDS)
    except Unavailable:
        raise
    except TimeoutError:
        raise Unavailable(f"pas de réponse en {ANSWER_SECONDS:.0f} s (no answer)") from None
    except Exception as error:  # a driver may raise anything at all when something else listens on the port
        reason = (str(error).strip().splitlines() or ["?"])[0]
        raise Unavailable(f"{type(error).__name__}: {reason}") from error


async def _ask_postgresql(url: str) -> str:
    engine = create_async_engine(url, poolclass=NullPool, connect_args={"timeout": ANSWER_SECONDS})
    async with engine.connect() as connection:
        version, may_create = (await connection.execute(text(_POSTGRESQL_QUESTION))).one()
    if not may_create:
        raise Unavailable("ce rôle ne peut pas créer de base de données (this role may not create databases)")
    return str(version).partition(" ")[0]


async def _as_ordinary_role(url: str) -> str:
    address = make_url(url)
    engine = create_async_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        if not (await connection.execute(text(_IS_SUPERUSER))).scalar_one():
            return url
        if not (await connection.execute(text(_HAS_ORDINARY_ROLE), {"role": ORDINARY_ROLE})).scalar_one():
            made = await connection.execute(text(_ORDINARY_ROLE), {"role": ORDINARY_ROLE, "password": address.password})
            try:
                await connection.execute(text(made.scalar_one()))
            except DBAPIError as error:  # made meanwhile by somebody who starts at the same moment
                if getattr(error.orig, "sqlstate", "") != "42710":
                    raise
    return address.set(username=ORDINARY_ROLE).render_as_string(hide_password=False)


async def _ask_rabbitmq(url: str) -> str:
    # The driver logs each failed attempt itself; here a failed attempt is an ordinary answer.
    logging.getLogger("aio_pika").setLevel(logging.CRITICAL)
    logging.getLogger("aiormq").setLevel(logging.CRITICAL)
    connection = await aio_pika.connect(url, timeout=ANSWER_SECONDS)
    async with connection:
        await connection.channel()
        transport = connection.transport
        properties = transport.connection.server_properties if transport else {}
        return str(properties.get("version", "?"))
