"""People planted in a story are looked for everywhere that is not meant to know them, in every way they may be written."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aio_pika
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from adapters.cnaf_rsa.fictitious import fictitious_flow, fictitious_people
from gateway.bus.base import DELIVERIES
from gateway.store.database import Database
from schemas.identity import fold, nir_key

CAF, DEPARTEMENT, ASSOCIATION = "99900001100018", "99900002900010", "99900003700013"
SIRETS = {"caf": CAF, "departement": DEPARTEMENT, "association": ASSOCIATION}
JSON, XML, CSV = ({"Content-Type": kind} for kind in ("application/json", "application/xml", "text/csv"))
Found = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Planted:
    """Somebody who does not exist, under traits that stand nowhere else."""

    birth_name: str
    used_name: str
    given_name: str
    birth_date: str
    nir: str
    matricule: str
    phone: str
    email: str

    @classmethod
    def make(cls, rank: int) -> Planted:
        """One of several, all different."""
        first13 = f"231029977{rank}{100 + rank}"
        word = ("vair", "brône", "cœuil", "gnarde")[rank]
        return cls(
            f"Zéphyrindel{word}", f"Quercymont{word}", f"Yblinette{word}", f"1931-02-1{rank}",
            first13 + nir_key(first13), f"771355{rank}", f"+3363998877{rank}", f"z.{rank}@quercymont.example",
        )  # fmt: skip

    def subject(self, *names: str) -> dict[str, Any]:
        """The person as the shared format says it, with some of the further traits."""
        traits = {
            "nir": self.nir,
            "identifiers": [{"scheme": "caf_matricule", "value": self.matricule}],
            "phones": [self.phone],
            "emails": [self.email],
            "used_name": self.used_name,
        }
        civil = {
            "birth_name": self.birth_name,
            "given_names": [self.given_name],
            "birth_date": self.birth_date,
            "sex": "female",
        }
        return civil | {name: traits[name] for name in names}

    def needles(self) -> Iterator[tuple[str, str]]:
        """Each way in which a trait may be written, with the name of the trait."""
        nir, (year, month, day) = self.nir, self.birth_date.split("-")
        spaced = f"{nir[0]} {nir[1:3]} {nir[3:5]} {nir[5:7]} {nir[7:10]} {nir[10:13]}"
        for written in (
            nir[:13],
            nir,
            spaced,
            spaced.replace(" ", "."),
            spaced.replace(" ", "-"),
            f"{spaced} {nir[13:]}",
        ):
            yield "nir", written
        for written in (self.birth_date, f"{day}/{month}/{year}", f"{year}{month}{day}", f"{day}-{month}-{year}"):
            yield "birth date", written
        for trait in ("birth_name", "used_name", "given_name"):
            name = getattr(self, trait)
            for written in {name, name.upper(), name.lower(), fold(name), fold(name).upper()}:
                yield trait, written
        for trait in ("matricule", "phone", "email"):
            yield trait, getattr(self, trait)


PEOPLE = tuple(Planted.make(rank) for rank in range(3))
NOBODY = Planted.make(3)
"""Planted where the look must find it, and nowhere else."""


def _encoded(text: str) -> Iterator[bytes]:
    """The bytes that a text becomes in files, logs, addresses, databases and tokens."""
    plain = text.encode()
    yield from (plain, text.encode("cp1252"), text.encode("utf-16-le"), plain.hex().encode(), quote(text).encode())
    yield json.dumps(text)[1:-1].encode()
    for lost in range(3):  # in base64 a text has three forms, by its place; its edges mix with what is beside it
        whole = plain[lost : lost + (len(plain) - lost) // 3 * 3]
        yield from (base64.b64encode(whole), base64.urlsafe_b64encode(whole))


def _forms(*people: Planted) -> dict[bytes, str]:
    """What to look for, with the trait that it is."""
    written = ((trait, text) for person in people for trait, text in person.needles())
    return {form: trait for trait, text in written for form in _encoded(text) if len(form) >= 7}


NEEDLES = _forms(*PEOPLE)


def look(places: Iterable[tuple[str, bytes]], needles: Mapping[bytes, str] = NEEDLES) -> Found:
    """Every planted trait found, with the place where it stands."""
    known = list(places)
    everything = b"\n".join(content for _, content in known)
    hits = [form for form in needles if form in everything]
    return sorted({(place, needles[form]) for form in hits for place, content in known if form in content})


@dataclass(slots=True)
class Trail:
    """What the story left: answers that may speak of people, answers that may not, messages seen on the queue."""

    documents: list[tuple[str, bytes]] = field(default_factory=list)
    answers: list[tuple[str, bytes]] = field(default_factory=list)
    messages: list[tuple[str, bytes]] = field(default_factory=list)
    expected: Counter[str] = field(default_factory=Counter)
    """Deliveries on their way to each partner (SIRET)."""


@pytest.fixture(scope="module")
def trail(desk: Any, amqp_url: str, new_referral: Any, new_consent: Any) -> Trail:
    """The whole crossing with planted people, then every kind of error about them."""
    trail = Trail()

    def call(who: str, method: str, path: str, **options: Any) -> Any:
        entitled = options.pop("entitled", False)
        answer = desk.call(who, method, path, **options)
        content = str(answer.headers).encode() + answer.content
        (trail.documents if entitled else trail.answers).append(
            (f"{method} {path[:40]}: {answer.status_code}", content)
        )
        if answer.is_success and method == "POST":
            trail.expected.update(_sent(answer.json()))
        return answer

    for who in SIRETS:  # what other tests left on its way is not counted
        while (left := desk.done(who, "GET", "/v1/mailbox?limit=200&wait=2"))["deliveries"]:
            desk.done(who, "POST", f"/v1/mailbox/{left['lease']}/ack")
    with _tapped(desk, amqp_url, trail):
        _cross(trail, call, new_referral, new_consent)
    _err(call, new_referral, new_consent)
    for who in ("caf", "departement", "association"):
        call(who, "GET", "/v1/exchanges?limit=500")
    return trail


def test_the_look_finds_what_is_planted(desk: Any, tmp_path: Path) -> None:
    """Each trait is found in each of its forms: in a text, in a file, in every type of column of a table."""
    needles = _forms(NOBODY)
    for form, trait in needles.items():
        assert ("here", trait) in look([("here", b'{"a": "' + form + b'"}')], needles)
    columns = [sa.Column("a_text", sa.Text), sa.Column("a_json", sa.JSON), sa.Column("some_bytes", sa.LargeBinary)]
    scratch = sa.Table(f"scratch_{uuid.uuid4().hex[:8]}", sa.MetaData(), *columns)
    row = {"a_text": NOBODY.nir, "a_json": {"x": [NOBODY.used_name]}, "some_bytes": NOBODY.birth_name.encode()}
    asyncio.run(_write(desk.gateway.database, scratch, row))
    found = look(_cells(desk), needles)
    asyncio.run(_write(desk.gateway.database, scratch, None))
    expected = {("a_text", "nir"), ("a_json", "used_name"), ("some_bytes", "birth_name")}
    assert {(f"{scratch.name}.{column}", trait) for column, trait in expected} == set(found)
    (tmp_path / "gateway.log").write_text(f'{{"message": "{NOBODY.given_name}"}}\n')
    assert [("gateway.log", "given_name")] == look(_files(tmp_path), needles)


def test_those_entitled_were_told_of_the_people(trail: Trail) -> None:
    """The look below would prove nothing if the people had not been through."""
    told = {trait for _, trait in look(trail.documents)}
    assert {"nir", "birth_name", "used_name", "given_name", "birth date", "matricule", "phone", "email"} == told


def test_no_answer_speaks_of_them(trail: Trail) -> None:
    """Neither the acceptances, nor the follow-up, nor the receipts, nor the problems of any kind; headers included."""
    statuses = {place[-3:] for place, _ in trail.answers}
    assert {"200", "201", "202", "400", "401", "403", "404", "409", "413", "415", "422"} <= statuses
    assert [] == look(trail.answers)


def test_no_message_on_the_queue_speaks_of_them(desk: Any, trail: Trail) -> None:
    """A message holds references; the embedded bus is rows of the database, looked at with all others."""
    if "TDU_BUS_URL" in desk.gateway.environment:
        assert any(b"delivery_id" in content for _, content in trail.messages)
    assert [] == look(trail.messages)


def test_no_cell_of_the_database_speaks_of_them(desk: Any, trail: Trail) -> None:
    """Every column of every table, text, JSON and bytes."""
    cells = list(_cells(desk))
    tables = {place.split(".")[0] for place, _ in cells}
    assert {
        "documents",
        "deliveries",
        "agreements",
        "objections",
        "quarantine",
        "idempotency_keys",
        "ledger_events",
    } <= tables
    assert [] == look(cells)


def test_no_file_speaks_of_them(desk: Any, trail: Trail, tmp_path: Path) -> None:
    """The log at level debug, the spans, the exported ledger, and the embedded database down to its freed pages."""
    exported = desk.gateway.command("ledger", "export", str(tmp_path / "journal"))
    assert 0 == exported.returncode, exported.stderr
    assert "debug" == desk.gateway.environment["TDU_LOG_LEVEL"]
    assert b'"span_id"' in desk.gateway.log.read_bytes()
    files = [*_files(desk.gateway.log.parent), *_files(tmp_path), ("stdout", exported.stdout.encode())]
    assert any("tile" in place for place, _ in files)
    assert [] == look(files)


def _cross(trail: Trail, call: Any, new_referral: Any, new_consent: Any) -> None:
    """A file, documents, an agreement, deliveries, answers, FHIR, an objection, a withdrawal and their notices."""
    first, second, third = PEOPLE
    flow = _flow(first)
    assert 202 == call("caf", "POST", "/v1/inbound/cnaf-rsa", content=flow, headers=XML).status_code
    later = call("caf", "POST", "/v1/inbound/cnaf-rsa", content=flow, headers=XML | {"Prefer": "respond-async"}).json()
    while call("caf", "GET", later["progress"]).json()["finished_at"] is None:
        time.sleep(0.1)
    assert 1 < len(call("caf", "GET", later["report"]).text.splitlines())
    call("caf", "POST", "/v1/adapters/cnaf-rsa/translate", content=flow, headers=XML, entitled=True)
    everything = ("nir", "identifiers", "phones", "emails", "used_name")
    consent = new_consent(CAF, [ASSOCIATION, DEPARTEMENT, CAF], subject=second.subject())
    assert 201 == call("caf", "POST", "/v1/consents", json=consent).status_code
    for person in (second, third):
        document = new_referral(
            subject=person.subject(*everything),
            notes=f"{person.given_name}, {person.phone}",
            reference=f"VAL-{person.matricule}",
            recipients=[{"siret": DEPARTEMENT}, {"siret": ASSOCIATION}],
        )
        key = {"Idempotency-Key": f"{person.nir}-{person.matricule}"}
        taken = call("caf", "POST", "/v1/referrals", json=document, headers=key)
        assert '"state":"accepted"' in taken.text, taken.text
    exchange = taken.json()["exchanges"][0]
    received = [delivery for who in ("departement", "association") for delivery in _pull(trail, call, who)]
    [referral, *_] = [
        item for item in received if item["kind"] == "referral" and item["exchange"] == exchange["exchange"]
    ]
    local = {"status": f"Rendez-vous de {third.birth_name}"}
    status = {"status": "accepted", "local": local}
    assert 202 == call("departement", "POST", f"/v1/referrals/{exchange['document']}/status", json=status).status_code
    _pull(trail, call, "caf")
    for path in (f"/fhir/R4/ServiceRequest/{exchange['document']}", f"/fhir/R4/Task/{referral['id']}"):
        assert 200 == call("departement", "GET", path, entitled=True).status_code
    call("caf", "GET", f"/v1/consents/{consent['id']}", entitled=True)
    for body in ({"subject": third.subject("nir")}, {"subject": third.subject(), "recipient": DEPARTEMENT}):
        assert 201 == call("departement", "POST", "/v1/objections", json=body).status_code
    for status_code in (200, 409):
        assert status_code == call("caf", "POST", f"/v1/consents/{consent['id']}/withdraw", json={}).status_code
    notices = [
        item for who in ("departement", "association") for item in _pull(trail, call, who) if item["kind"] == "consent"
    ]
    assert len(notices) >= 3
    refused = call("caf", "POST", "/v1/referrals", json=new_referral(subject=third.subject("nir")))
    assert "refused" == refused.json()["exchanges"][0]["state"]
    call("caf", "GET", f"/v1/exchanges/{exchange['exchange']}")
    call("caf", "GET", f"/v1/exchanges/{exchange['exchange']}/receipt")


def _err(call: Any, new_referral: Any, new_consent: Any) -> None:
    """Every kind of error, with somebody in the body, in the address, in the headers."""
    person = PEOPLE[2]
    flow, words = _flow(person), f"{person.nir} {person.birth_name} {person.birth_date}"
    for content in (
        flow[:2000],
        flow.replace(b"00000001<", b"00000002<"),
        f"<{person.given_name}/>".encode(),
        words.encode(),
    ):
        call("caf", "POST", "/v1/inbound/cnaf-rsa", content=content, headers=XML)
    call("caf", "POST", "/v1/inbound/cnaf-rsa", content=flow.replace(b"<NOM>", b"</NOM>"), headers=XML)
    rows = f"{person.nir};{person.birth_name};{person.birth_date}\n{person.matricule};{person.given_name};\n"
    call("caf", "POST", "/v1/inbound/webrsa-orientation", content=rows.encode(), headers=CSV)
    for content in (
        f'{{"{person.birth_name}": NaN}}',
        f'{{"{person.nir}": 1, "{person.nir}": 2}}',
        words,
        f'["{words}"]',
    ):
        for path in (
            "/v1/referrals",
            "/v1/consents",
            "/v1/objections",
            "/v1/inbound/shared-json",
            "/v1/validate/referral",
        ):
            call("caf", "POST", path, content=content.encode(), headers=JSON)
    wrong = {
        person.nir: person.birth_name,
        "kind": person.nir,
        "purpose": words,
        "subject": {person.birth_name: 1, "nir": words},
    }
    for document in (
        wrong,
        new_referral(subject=person.subject() | {"sex": words, "nir": f"{person.nir}0"}),
        new_referral(subject=person.subject(), notes=words, reference=words),
    ):
        for path in ("/v1/referrals", "/v1/validate/referral", "/v1/consents", "/v1/objections", "/v1/conventions"):
            call("caf", "POST", path, json=document)
        call("caf", "POST", "/v1/inbound/shared-json", json=document | {"kind": "referral"})
    call("caf", "POST", "/v1/consents", json=new_consent(ASSOCIATION, [CAF], subject=person.subject("nir")))
    call("caf", "POST", "/v1/objections", json={"subject": person.subject(), "purpose": words, person.nir: 1})
    call("caf", "POST", "/v1/referrals", content=words.encode() * 100_000, headers=JSON)
    call("caf", "POST", "/v1/referrals", json={}, headers={"Content-Type": person.nir})
    # In the address, by somebody's mistake: neither the answer, nor the log, nor the spans keep it.
    for path in (
        f"exchanges/{person.nir}",
        f"exchanges?cursor={person.nir}",
        f"consents/{quote(person.birth_name)}",
        quote(words),
    ):
        call("caf", "GET", f"/v1/{path}")
    call("caf", "GET", f"/v1/exchanges?updated_after={quote(words)}&limit={person.nir}")
    call("caf", "POST", f"/v1/inbound/{person.nir}", content=b"{}")
    headers = {
        "User-Agent": words,
        "traceparent": words,
        "tracestate": f"a={words}",
        "baggage": f"nir={person.nir}",
    }
    headers = {name: quote(value) for name, value in headers.items()} | {
        "Idempotency-Key": f"{person.nir} {person.matricule}"
    }
    call("caf", "POST", "/v1/referrals", json=new_referral(), headers=headers)
    call(
        "caf",
        "GET",
        "/v1/exchanges",
        headers={"Authorization": f"Bearer {person.nir}.{person.matricule}.{person.birth_date}"},
    )
    call(
        "caf",
        "POST",
        "/oauth2/token",
        data={"grant_type": person.nir, "client_id": person.matricule, "scope": quote(words)},
    )


def _flow(person: Planted) -> bytes:
    """A flow of one household, whose first person is the one planted."""
    seed = next(seed for seed in range(100) if fictitious_people(1, seed)[0].rights_and_duties)
    text = fictitious_flow(1, seed).decode("cp1252")
    changes = {
        "MATRICULE": person.matricule.ljust(15, "0"),
        "NOM": person.used_name.upper(),
        "NOMNAI": person.birth_name.upper(),
        "PRENOM": person.given_name.upper(),
        "DTNAI": person.birth_date,
        "NIR": person.nir[:13],
    }
    for tag, value in changes.items():
        text, changed = re.subn(f"<{tag}>[^<]*</{tag}>", f"<{tag}>{value}</{tag}>", text, count=1)
        assert 1 == changed, tag
    return text.encode("cp1252")


def _sent(answer: dict[str, Any]) -> Iterator[str]:
    """The partners to whom an acceptance, a withdrawal or an objection sends something, as often as it does."""
    for exchange in answer.get("exchanges", []):
        yield from (to["siret"] for to in exchange.get("recipients", []) if to["state"] == "permitted")
    yield from (notice["recipient"] for notice in answer.get("notices", []))


def _pull(trail: Trail, call: Any, who: str) -> list[dict[str, Any]]:
    """Everything that is on its way to a partner, acknowledged."""
    siret, taken = SIRETS[who], []
    while len(taken) < trail.expected[siret]:
        mailbox = call(who, "GET", "/v1/mailbox?limit=200&wait=5", entitled=True).json()
        taken += mailbox["deliveries"]
        assert mailbox["deliveries"], f"{who} waits for {trail.expected[siret] - len(taken)} deliveries"
        assert 200 == call(who, "POST", f"/v1/mailbox/{mailbox['lease']}/ack").status_code
    trail.expected[siret] = 0
    return taken


@contextmanager
def _tapped(desk: Any, amqp_url: str, trail: Trail) -> Iterator[None]:
    """Beside the courier, another consumer of the broker's queue: it looks at each message it is given, and gives it back."""
    if "TDU_BUS_URL" not in desk.gateway.environment:
        yield
        return
    ready, over = threading.Event(), threading.Event()

    async def look_at(message: aio_pika.abc.AbstractIncomingMessage) -> None:
        trail.messages.append(
            (str(message.message_id), repr((message.headers, message.info())).encode() + message.body)
        )
        await message.nack(requeue=True)

    async def tap() -> None:
        async with await aio_pika.connect(amqp_url) as connection:
            channel = await connection.channel()
            await channel.set_qos(prefetch_count=1)
            queue = await channel.get_queue(f"{desk.queues}.{DELIVERIES}")
            await queue.consume(look_at)
            ready.set()
            await asyncio.to_thread(over.wait)

    thread = threading.Thread(target=asyncio.run, args=(tap(),))
    thread.start()
    try:
        assert ready.wait(10)
        yield
    finally:
        over.set()
        thread.join()


def _cells(desk: Any) -> Iterator[tuple[str, bytes]]:
    """Every cell of every table, under the name of its column."""

    async def read() -> list[tuple[str, bytes]]:
        found = []
        database = Database(desk.gateway.database)
        async with database.read() as tx:
            for table in await tx.run_sync(lambda sync: sa.inspect(sync).get_table_names()):
                for row in (await tx.execute(sa.text(f'SELECT * FROM "{table}"'))).mappings():
                    found += [(f"{table}.{column}", _bytes(value)) for column, value in row.items()]
        await database.close()
        return found

    yield from asyncio.run(read())


def _bytes(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    return value.encode() if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False).encode()


def _files(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Every file of a folder, as bytes."""
    for path in folder.rglob("*"):
        if path.is_file():
            yield str(path.relative_to(folder)), path.read_bytes()


async def _write(database: str, table: sa.Table, row: dict[str, Any] | None) -> None:
    """Make a table with one row, or drop it (None)."""
    engine = create_async_engine(database)
    async with engine.begin() as connection:
        if row is None:
            await connection.run_sync(table.drop)
        else:
            await connection.run_sync(table.create)
            await connection.execute(sa.insert(table), [row])
    await engine.dispose()
