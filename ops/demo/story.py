"""
The story that `tdu demo` tells: every step is a real exchange over HTTP, every figure is counted.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

import httpx
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from adapters.cnaf_rsa.fictitious import FictitiousPerson, fictitious_flow, fictitious_people
from ops.demo.documents import consent, event_of, referral, status, subject
from ops.demo.figures import Figures
from ops.demo.gateway_process import GatewayProcess
from ops.demo.partner import Partner, PartnerFailed, of_kind

HOUSEHOLDS = 400
SEED = 2026
CONSENTS = 60
OBJECTIONS = 3
CCAS = "99900004500016"
_POINTERS = 9
_TOGETHER = 8

T = TypeVar("T")

_PARTNERS = (
    ("99900001100018", "CAF de Valombre", "caf-valombre", "shared-json"),
    ("99900002900010", "Département de Valombre", "departement-valombre", "webrsa-orientation"),
    ("99900003700013", "Association Le Relais de Valombre", "relais-valombre", "shared-json"),
)


class Story:
    """One telling: a gateway, three partners, one figure after the other."""

    def __init__(self, gateway: GatewayProcess, directory: Path, console: Console, households: int) -> None:
        """Tell on `console`, with a working `directory` for the exported log."""
        self._gateway = gateway
        self._directory = directory
        self._console = console
        self._households = households
        self._people = fictitious_people(households, SEED)
        self.figures = Figures(households=households, people=len(self._people))
        self._agreements: dict[FictitiousPerson, str] = {}
        self._expected: Counter[str] = Counter()

    async def tell(self) -> Figures:
        """Go through the eight steps; raises `PartnerFailed` when the gateway answers otherwise than it should."""
        async with httpx.AsyncClient() as http:
            self._say(1, "La passerelle démarre", f"SQLite, bus embarqué, HTTP : {self._gateway.address}")
            caf, departement, association = await self._register(http)
            self._say(2, "Les conventions sont déposées, puis signées par la clé de chaque partie")
            await self._conventions(caf, departement, association)
            self._say(3, "Des personnes donnent leur accord, d'autres s'opposent ; la CAF dépose son flux RSA")
            await self._consents(association)
            await self._objections(departement)
            taken = await self._flow(caf)
            self._say(4, "La porte décide, champ par champ")
            await self._refused_without_convention(caf)
            self._decisions(taken)
            self._say(5, "Le département relève sa boîte, en CSV, et répond")
            await self._exchange(caf, departement, association)
            self._say(6, "Une personne retire son accord")
            await self._withdrawal(caf, departement, association)
            self._say(7, "Un tiers vérifie le journal hors ligne")
            self._verification()
            return self.figures

    def table(self) -> Table:
        """(8) The indicators, as a table."""
        figures = self.figures
        table = Table(title="Indicateurs (comptés pendant cette démonstration)", title_justify="left")
        table.add_column("Indicateur")
        table.add_column("Nombre", justify="right")
        rows: list[tuple[str, int | str]] = [
            ("Foyers du flux RSA", figures.households),
            ("Personnes du flux", figures.people),
            ("Orientations prises en charge", figures.referrals),
            ("Bilans de droits pris en charge", figures.bilans),
            ("Transmissions refusées", figures.refused),
            *((f"  dont : {code}", count) for code, count in figures.refusals.most_common()),
            ("Remises aux partenaires", figures.delivered),
            ("Remises acquittées", figures.acknowledged),
            ("Droits ouverts", figures.rights_opened),
            ("Retraits acquittés", figures.withdrawals_acknowledged),
            ("Événements au journal", figures.ledger_size),
            ("Journal vérifié hors ligne", "oui" if figures.ledger_verified else "NON"),
            ("Altération détectée", "oui" if figures.tampering_detected else "NON"),
        ]
        for name, value in rows:
            table.add_row(name, str(value))
        return table

    async def _register(self, http: httpx.AsyncClient) -> tuple[Partner, Partner, Partner]:
        caf, departement, association = [await Partner.registered(self._gateway, http, *words) for words in _PARTNERS]
        for partner in (caf, departement, association):
            self._console.print(f"   {partner.name} ({partner.siret}) : clés créées chez lui, clé publique enregistrée")
        return caf, departement, association

    async def _conventions(self, *partners: Partner) -> None:
        for file in sorted((files("consent") / "models").iterdir(), key=lambda entry: entry.name):
            if not file.name.endswith(".yaml"):
                continue
            text = file.read_bytes()
            parties = [partner for partner in partners if partner.siret.encode() in text]
            await parties[0].propose(text)
            states = [await partner.sign(text) for partner in parties]
            self._console.print(f"   {file.name} : {' → '.join(['proposed', *states])}")
        for partner in partners:
            partner.token = None

    async def _consents(self, association: Partner) -> None:
        adults = self._adults()[:CONSENTS]

        async def record(person: FictitiousPerson) -> None:
            document = consent(person, association, _PARTNERS[1][0])
            answer = await association.call("POST", "/v1/consents", json=document)
            self._agreements[person] = str(answer.json()["id"])

        await self._each("accords recueillis par l'association", adults, record)
        self._console.print(f"   {len(self._agreements)} accords enregistrés, chacun avec son texte et sa preuve")

    async def _objections(self, departement: Partner) -> None:
        people = self._adults()[CONSENTS : CONSENTS + OBJECTIONS]
        for person in people:
            await departement.call("POST", "/v1/objections", json={"subject": subject(person)})
        self._console.print(f"   {len(people)} oppositions enregistrées au guichet du département")

    def _adults(self) -> list[FictitiousPerson]:
        """The adults of the flow whose birth date is complete: without a NIR, nobody else can be recognised for sure."""
        return [person for person in self._people if person.rights_and_duties and "-00" not in person.birth_date]

    async def _flow(self, caf: Partner) -> dict[str, Any]:
        flow = fictitious_flow(self._households, SEED)
        size = f"{len(flow):,}".replace(",", "\u202f")
        self._console.print(f"   flux RSA : {size} octets, XML en windows-1252, {self._households} foyers")
        headers = {"Content-Type": "application/xml"}
        with self._console.status("   envoi du flux à POST /v1/inbound/cnaf-rsa…"):
            taken = (await caf.call("POST", "/v1/inbound/cnaf-rsa", content=flow, headers=headers)).json()
        again = (await caf.call("POST", "/v1/inbound/cnaf-rsa", content=flow, headers=headers)).json()
        self._count(taken)
        self._console.print(
            f"   {taken['documents']} documents : {taken['accepted']} acceptés, {taken['refused']} refusés partout ; "
            f"le même fichier renvoyé : {again['already_received']} reconnus, {again['accepted']} de plus"
        )
        return dict(taken)

    def _count(self, taken: dict[str, Any]) -> None:
        for exchange in taken["exchanges"]:
            self._expected.update(
                each["siret"] for each in exchange.get("recipients", []) if each["state"] == "permitted"
            )
            if exchange["state"] == "accepted":
                self.figures.referrals += exchange["kind"] == "referral"
                self.figures.bilans += exchange["kind"] == "bilan"
            for recipient in exchange.get("recipients", []):
                if recipient["state"] == "refused":
                    self.figures.refused += 1
                    self.figures.refusals[recipient["reasons"][0]["code"]] += 1

    async def _refused_without_convention(self, caf: Partner) -> None:
        person = self._adults()[0]
        taken = (await caf.call("POST", "/v1/referrals", json=referral(person, caf, CCAS))).json()
        self._count(taken)
        reason = taken["exchanges"][0]["recipients"][0]["reasons"][0]
        self._console.print(f"   orientation vers un CCAS : refusée. « {reason['message']} »")

    def _decisions(self, taken: dict[str, Any]) -> None:
        told: set[str] = set()
        for exchange in taken["exchanges"]:
            for recipient in exchange.get("recipients", []):
                for reason in recipient["reasons"]:
                    if recipient["state"] == "refused" and reason["code"] not in told:
                        told.add(reason["code"])
                        self._console.print(f"   refus « {reason['code']} » : {reason['message']}")

    async def _exchange(self, caf: Partner, departement: Partner, association: Partner) -> None:
        with self._console.status("   remise…"):
            received = await self._pull(departement)
            consented = await self._pull(association)
        csv = next(of_kind(received, "referral"))
        self._console.print(
            f"   le département a reçu et acquitté {len(received)} documents, dont des CSV au format WebRSA :"
        )
        self._console.print(f"      {csv['content'].splitlines()[0][:100]}…", style="dim")
        self._console.print(
            f"   l'association a reçu et acquitté {len(consented)} documents, ceux des personnes qui ont dit oui"
        )
        await self._show_one(departement, association, csv, consented)
        await self._answers(caf, departement, list(of_kind(received, "referral")))

    async def _pull(self, partner: Partner) -> list[dict[str, Any]]:
        """Take exactly what was permitted for a partner: nothing lost, nothing twice."""
        received = await partner.pull(self._expected.pop(partner.siret, 0))
        self.figures.delivered += len(received)
        self.figures.acknowledged += len(received)
        return received

    async def _show_one(
        self, departement: Partner, association: Partner, csv: dict[str, Any], consented: list[dict[str, Any]]
    ) -> None:
        for partner, delivery in ((departement, csv), (association, next(of_kind(consented, "referral")))):
            body = event_of(await partner.receipt(delivery["exchange"]))["body"]
            self._console.print(f"   pour une personne, vers {partner.name} :")
            for title, pointers in (("sont partis", body["left"]), ("retenus", body["withheld"])):
                some = ", ".join(pointers[:_POINTERS]) + (", …" if len(pointers) > _POINTERS else "")
                self._console.print(f"      {len(pointers)} champs {title} : {some}", style="dim")

    async def _answers(self, caf: Partner, departement: Partner, referrals: list[dict[str, Any]]) -> None:

        async def reply(numbered: tuple[int, dict[str, Any]]) -> None:
            rank, delivery = numbered
            path = f"/v1/referrals/{delivery['document_id']}/status"
            self._count((await departement.call("POST", path, json=status(rank))).json())

        await self._each("réponses du département", list(enumerate(referrals)), reply)
        received = await self._pull(caf)
        statuses = [delivery["document"] for delivery in of_kind(received, "status")]
        self.figures.rights_opened += sum(
            1 for status in statuses if status.get("outcome", {}).get("state") == "opened"
        )
        self._console.print(
            f"   la CAF voit {len(statuses)} réponses, dont {self.figures.rights_opened} droits ouverts"
        )

    async def _withdrawal(self, caf: Partner, departement: Partner, association: Partner) -> None:
        person = self._adults()[0]
        agreement = self._agreements[person]
        answer = (
            await association.call("POST", f"/v1/consents/{agreement}/withdraw", json={"channel": "in_person"})
        ).json()
        self._expected.update(notice["recipient"] for notice in answer["notices"])
        self._console.print(
            f"   retrait enregistré ; à prévenir, pour avoir reçu ses données : {len(answer['notices'])} partenaires"
        )
        for partner in (association, departement):
            notices = list(of_kind(await self._pull(partner), "consent"))
            self.figures.withdrawals_acknowledged += len(notices)
        if self.figures.withdrawals_acknowledged != len(answer["notices"]):
            raise PartnerFailed("a recipient was not told of the withdrawal")
        self._console.print(f"   {self.figures.withdrawals_acknowledged} logiciels prévenus ont accusé réception")
        taken = (await caf.call("POST", "/v1/referrals", json=referral(person, caf, association.siret))).json()
        self._count(taken)
        recipient = taken["exchanges"][0]["recipients"][0]
        if recipient["state"] != "refused":
            raise PartnerFailed("an exchange was accepted after the withdrawal")
        self._console.print(f"   l'échange suivant est refusé : « {recipient['reasons'][0]['message']} »")

    def _verification(self) -> None:
        log = self._directory / "journal"
        exported = json.loads(_output(self._gateway.command("ledger", "export", str(log))))
        self.figures.ledger_size = exported["size"]
        verified = self._gateway.command("ledger", "verify", str(log), "--vkey", exported["vkey"])
        self.figures.ledger_verified = verified.returncode == 0
        self._console.print(_indented(verified.stdout))
        tampered = self._directory / "journal-altere"
        shutil.copytree(log, tampered)
        _flip_one_byte(tampered)
        self._console.print("   un octet d'une copie est changé :")
        refused = self._gateway.command("ledger", "verify", str(tampered), "--vkey", exported["vkey"])
        self.figures.tampering_detected = refused.returncode == 1
        self._console.print(_indented(refused.stdout))

    def _say(self, number: int, title: str, detail: str = "") -> None:
        self._console.print(f"\n[bold]{number}. {title}[/bold]")
        if detail:
            self._console.print(f"   {detail}")

    async def _each(self, title: str, items: Sequence[T], work: Callable[[T], Awaitable[None]]) -> None:
        """Do the same for each item, some at a time, under a progress bar."""
        with Progress(console=self._console, transient=True) as progress:
            bar = progress.add_task(f"   {title}", total=len(items))
            for start in range(0, len(items), _TOGETHER):
                group = items[start : start + _TOGETHER]
                await asyncio.gather(*(work(item) for item in group))
                progress.advance(bar, len(group))


def _output(process: Any) -> str:
    if process.returncode != 0:
        raise PartnerFailed(process.stderr[-500:])
    return str(process.stdout)


def _indented(text: str) -> str:
    return "\n".join(f"      {line}" for line in text.splitlines())


def _flip_one_byte(log: Path) -> None:
    """Change one bit in the middle of the log's first file of hashes."""
    tile = min(path for path in (log / "tile" / "0").rglob("*") if path.is_file())
    content = bytearray(tile.read_bytes())
    content[len(content) // 2] ^= 1
    tile.write_bytes(content)
