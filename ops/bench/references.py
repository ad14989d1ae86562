"""
What the gateway's ingest is compared with: two applications that keep the same body in the same PostgreSQL, and do far less.

`bare`: one committed insert per request by the driver, nothing else. `usual`: how such a service is usually written, FastAPI with a
pydantic model, a bearer token whose signature is checked, and one transaction of SQLAlchemy's ORM.
"""

import os
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from typing import Annotated, Any

import asyncpg
from fastapi import Depends, FastAPI, Header, HTTPException
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey
from pydantic import BaseModel, ConfigDict
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

DATABASE = "TDU_BENCH_DATABASE"
"""Environment variable: the address of a PostgreSQL database, with its driver."""

KEY = "TDU_BENCH_KEY"
"""Environment variable: the P-256 key (PEM) that signs bearer tokens."""

POOL = 16

Message = MutableMapping[str, Any]


def bare() -> Callable[..., Awaitable[None]]:
    """An ASGI application: read the body, insert it, commit, answer 202."""
    pool: asyncpg.Pool | None = None

    async def app(
        scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        nonlocal pool
        if scope["type"] == "lifespan":
            await receive()
            url = make_url(os.environ[DATABASE]).set(drivername="postgresql").render_as_string(hide_password=False)
            pool = await asyncpg.create_pool(url, min_size=POOL, max_size=POOL)
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await pool.close()
            await send({"type": "lifespan.shutdown.complete"})
            return
        assert pool is not None
        body = (await receive())["body"]
        await pool.execute("INSERT INTO bench_bare (id, body) VALUES ($1, $2)", uuid.uuid4(), body.decode())
        headers = [(b"content-type", b"application/json"), (b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 202, "headers": headers})
        await send({"type": "http.response.body", "body": b"{}"})

    return app


class _Base(DeclarativeBase):
    """The tables of `usual`."""


class _Row(_Base):
    __tablename__ = "bench_usual"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    kind: Mapped[str]
    body: Mapped[dict[str, Any]] = mapped_column(JSONB)


class _Subject(BaseModel):
    model_config = ConfigDict(extra="allow")
    birth_name: str
    given_names: list[str]
    birth_date: str


class _Right(BaseModel):
    right: str
    state: str


class _Referral(BaseModel):
    model_config = ConfigDict(extra="allow")
    kind: str
    id: uuid.UUID
    purpose: str
    subject: _Subject
    rights: list[_Right]


def usual() -> FastAPI:
    """The same insert the way most services are written."""
    engine = create_async_engine(os.environ[DATABASE], pool_size=POOL)
    sessions = async_sessionmaker(engine, expire_on_commit=False)
    key = ECKey.import_key(os.environ[KEY])

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        await engine.dispose()

    async def bearer(authorization: Annotated[str, Header()]) -> dict[str, Any]:
        try:
            return jwt.decode(authorization.removeprefix("Bearer "), key, algorithms=["ES256"]).claims
        except JoseError as error:
            raise HTTPException(401) from error

    async def session() -> AsyncIterator[AsyncSession]:
        async with sessions() as opened, opened.begin():
            yield opened

    app = FastAPI(lifespan=lifespan)

    @app.post("/v1/referrals", status_code=202)
    async def post(
        referral: _Referral,
        _claims: Annotated[dict[str, Any], Depends(bearer)],
        database: Annotated[AsyncSession, Depends(session, scope="function")],
    ) -> dict[str, str]:
        database.add(_Row(id=uuid.uuid4(), kind=referral.kind, body=referral.model_dump(mode="json")))
        await database.flush()
        return {"id": str(referral.id)}

    return app


async def prepare(url: str) -> None:
    """Make both tables in an empty database."""
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await connection.exec_driver_sql("CREATE TABLE bench_bare (id uuid PRIMARY KEY, body jsonb NOT NULL)")
        await connection.run_sync(_Base.metadata.create_all)
    await engine.dispose()
