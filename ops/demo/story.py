"""
The story that `tdu demo` tells: every step is a real exchange over HTTP, every figure is counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import httpx
from rich.console import Console

from adapters.cnaf_rsa.fictitious import FictitiousPerson, fictitious_flow, fictitious_people
from consent.reasons import CATALOGUE
from gateway.auth.profile import Security
from ops.demo.documents import consent, event_of, referral, status, subject
from ops.demo.figures import Figures
from ops.demo.gateway_process import GatewayProcess
from ops.demo.narrator import Narrator
from ops.demo.partner import Partner, PartnerFailed, of_kind
from ops.demo.tables import Passage, fields_table, indicators_table
from ops.demo.verification import altered_copy, exported, verified
from schemas import Document, Kind

HOUSEHOLDS = 400
SEED = 2026
CONSENTS = 60
OBJECTIONS = 3
CCAS = "99900004500016"

_PARTNERS = (
    ("99900001100018", "CAF de Valombre", "caf-valombre", "shared-json"),
    ("99900002900010", "Département de Valombre", "departement-valombre", "webrsa-orientation"),
    ("99900003700013", "Association Le Relais de Valombre", "relais-valombre", "shared-json"),
)

_STATES = {"proposed": "elle attend les autres signatures", "valid": "elle est valable"}


class Story:
    """One telling: a gateway, three partners, one figure after the other."""

    def __init__(self, gateway: GatewayProcess, directory: Path, console: Console, households: int) -> None:
        """Tell on `console` of a flow of so many `households`, with a working `directory` for the exported log."""
        self._gateway = gateway
        self._log = directory / "journal"
        self._narrator = Narrator(console)
        self._flow = fictitious_flow(households, SEED)
        # Without a NIR, and without a birth date known to the day, nobody else would recognise a person for sure.
        people = fictitious_people(households, SEED)
        self._adults = [person for person in people if person.rights_and_duties and "-00" not in person.birth_date]
        self._agreements: dict[FictitiousPerson, str] = {}
        self._expected: Counter[str] = Counter()
        self.partners: tuple[Partner, ...] = ()
        self.figures = Figures(households=self._flow.count(b"<InfosFoyerRSA>"), people=self._flow.count(b"<Personne>"))

    async def tell(self) -> Figures:
        """Go through the eight steps; raises `PartnerFailed` when the gateway answers otherwise than it should."""
        say = self._narrator
        async with httpx.AsyncClient() as http:
            say.step(1, "La passerelle démarre, trois partenaires la rejoignent")
            caf, departement, association = await self._registration(http)
            say.step(2, "Les conventions sont déposées, puis signées par la clé de chaque partie")
            await self._conventions()
            say.step(3, "Des personnes donnent leur accord, d'autres s'opposent ; la CAF dépose son flux RSA")
            await self._agreements_of(association)
            await self._objections(departement)
            await self._deposit(caf)
            say.step(4, "La porte décide, destinataire par destinataire et champ par champ")
            await self._refused_without_convention(caf)
            self._decisions()
            say.step(5, "Les partenaires relèvent leur boîte ; le département répond")
            referrals = await self._deliveries(departement, association)
            await self._answers(caf, departement, referrals)
            say.step(6, "Une personne retire son accord")
            await self._withdrawal(caf, departement, association)
            say.step(7, "Un tiers vérifie le journal hors ligne, avec la seule clé publique")
            self._verification()
            say.step(8, "Les indicateurs")
            self.figures.acknowledged = sum(partner.acknowledged for partner in self.partners)
            say.table(indicators_table(self.figures))
            return self.figures

    async def _registration(self, http: httpx.AsyncClient) -> tuple[Partner, ...]:
        self._narrator.tell(f"SQLite, bus embarqué, HTTP : {self._gateway.address}")
        # As in production: private_key_jwt, and tokens bound to a key (DPoP).
        made = [await Partner.registered(self._gateway, http, *words, security=Security()) for words in _PARTNERS]
        self.partners = tuple(made)
        for partner in self.partners:
            self._narrator.tell(f"{partner.name} ({partner.siret}) : clés créées chez lui, clé publique enregistrée")
        return self.partners

    async def _conventions(self) -> None:
        for file in sorted((files("consent") / "models").iterdir(), key=lambda entry: entry.name):
            if not file.name.endswith(".yaml"):
                continue
            text = file.read_bytes()
            parties = [partner for partner in self.partners if partner.siret.encode() in text]
            await parties[0].propose(text)
            for partner in parties:
                state = await partner.sign(text)
                self._narrator.tell(f"{file.name} : signée par {partner.name}, {_STATES.get(state, state)}")
        for partner in self.partners:
            partner.token = None  # the next one has the scopes that the conventions give

    async def _agreements_of(self, association: Partner) -> None:
        async def record(person: FictitiousPerson) -> None:
            document = consent(person, association, _PARTNERS[1][0])
            answer = await association.call("POST", "/v1/consents", json=document)
            self._agreements[person] = str(answer.json()["id"])

        await self._narrator.each("accords recueillis par l'association", self._adults[:CONSENTS], record)
        self._narrator.tell(f"{len(self._agreements)} accords enregistrés, chacun avec son texte et sa preuve")

    async def _objections(self, departement: Partner) -> None:
        recorded = 0
        for person in self._adults[CONSENTS : CONSENTS + OBJECTIONS]:
            await departement.call("POST", "/v1/objections", json={"subject": subject(person)})
            recorded += 1
        self._narrator.tell(f"{recorded} oppositions enregistrées au guichet du département")

    async def _deposit(self, caf: Partner) -> None:
        token = await caf.signed_in()
        self._narrator.tell(
            f"jeton OAuth2 de la CAF, par private_key_jwt, lié à sa clé (DPoP) : portées {', '.join(sorted(token.scopes))}"
        )
        size = f"{len(self._flow):,}".replace(",", "\u202f")
        self._narrator.tell(f"flux RSA : {size} octets, XML en windows-1252, {self.figures.households} foyers")
        headers = {"Content-Type": "application/xml"}
        with self._narrator.waiting("envoi du flux à POST /v1/inbound/cnaf-rsa…"):
            taken = (await caf.call("POST", "/v1/inbound/cnaf-rsa", content=self._flow, headers=headers)).json()
        again = (await caf.call("POST", "/v1/inbound/cnaf-rsa", content=self._flow, headers=headers)).json()
        self._count(taken)
        self._narrator.tell(
            f"{taken['documents']} documents : {taken['accepted']} acceptés, {taken['refused']} refusés partout ; "
            f"le même fichier renvoyé : {again['already_received']} reconnus, {again['accepted']} de plus"
        )

    def _count(self, taken: Document) -> None:
        for exchange in taken["exchanges"]:
            if exchange["state"] == "accepted":
                self.figures.referrals += exchange["kind"] == "referral"
                self.figures.bilans += exchange["kind"] == "bilan"
            for recipient in exchange.get("recipients", []):
                if recipient["state"] == "permitted":
                    self._expected[recipient["siret"]] += 1
                elif recipient["state"] == "refused":
                    self.figures.refused += 1
                    self.figures.refusals[recipient["reasons"][0]["code"]] += 1

    async def _refused_without_convention(self, caf: Partner) -> None:
        answer = await caf.call("POST", "/v1/referrals", json=referral(self._adults[0], caf, CCAS))
        self._count(answer.json())
        self._narrator.tell("la CAF envoie aussi une orientation à un CCAS, avec qui elle n'a pas de convention")

    def _decisions(self) -> None:
        self._narrator.tell(f"{self._expected.total()} envois permis, {self.figures.refused} refusés :")
        for code, count in self.figures.refusals.most_common():
            self._narrator.tell(f"   {count} × « {CATALOGUE[code].message_fr} »")

    async def _deliveries(self, departement: Partner, association: Partner) -> list[Document]:
        with self._narrator.waiting("remise…"):
            received, consented = await self._pull(departement), await self._pull(association)
        referrals = list(of_kind(received, "referral"))
        self._narrator.tell(
            f"{departement.name} : {len(received)} documents reçus et acquittés, "
            f"dont {len(referrals)} orientations en CSV aux colonnes de WebRSA :"
        )
        self._narrator.show(f"{referrals[0]['content'].splitlines()[0][:100]}…")
        self._narrator.tell(
            f"{association.name} : {len(consented)} documents reçus et acquittés, des personnes qui ont dit oui"
        )
        await self._show_one([(departement, referrals), (association, list(of_kind(consented, "referral")))])
        return referrals

    async def _pull(self, partner: Partner) -> list[Document]:
        """Take exactly what was permitted for a partner: nothing lost, nothing twice."""
        received = await partner.pull(self._expected.pop(partner.siret, 0))
        self.figures.delivered += len(received)
        return received

    async def _show_one(self, received: Sequence[tuple[Partner, list[Document]]]) -> None:
        """What each recipient got of one person's referral, read in the receipts of its disclosures."""
        ids = [{delivery["document_id"] for delivery in deliveries} for _, deliveries in received]
        shared = min(set.intersection(*ids))
        passages = {}
        for partner, deliveries in received:
            exchange = next(each["exchange"] for each in deliveries if each["document_id"] == shared)
            passages[partner.name] = Passage.of(event_of(await partner.receipt(exchange))["body"])
        self._narrator.tell("la même orientation d'une même personne, chez chacun, d'après les reçus :")
        self._narrator.table(fields_table(Kind.REFERRAL, passages))

    async def _answers(self, caf: Partner, departement: Partner, referrals: list[Document]) -> None:
        async def reply(numbered: tuple[int, Document]) -> None:
            rank, delivery = numbered
            path = f"/v1/referrals/{delivery['document_id']}/status"
            self._count((await departement.call("POST", path, json=status(rank))).json())

        await self._narrator.each("réponses du département", list(enumerate(referrals)), reply)
        statuses = [delivery["document"] for delivery in of_kind(await self._pull(caf), "status")]
        opened = [each for each in statuses if each.get("outcome", {}).get("state") == "opened"]
        self.figures.rights_opened += len(opened)
        self._narrator.tell(f"{caf.name} voit {len(statuses)} réponses, dont {len(opened)} droits ouverts")

    async def _withdrawal(self, caf: Partner, departement: Partner, association: Partner) -> None:
        person = self._adults[0]
        path = f"/v1/consents/{self._agreements[person]}/withdraw"
        told = (await association.call("POST", path, json={"channel": "in_person"})).json()["notices"]
        self._expected.update(notice["recipient"] for notice in told)
        self._narrator.tell(f"retrait enregistré ; à prévenir, pour avoir reçu ses données : {len(told)} partenaires")
        for partner in (association, departement):
            self.figures.withdrawals_acknowledged += len(list(of_kind(await self._pull(partner), "consent")))
        if self.figures.withdrawals_acknowledged != len(told):
            raise PartnerFailed("a recipient was not told of the withdrawal")
        self._narrator.tell(f"{self.figures.withdrawals_acknowledged} logiciels prévenus ont accusé réception")
        taken = (await caf.call("POST", "/v1/referrals", json=referral(person, caf, association.siret))).json()
        self._count(taken)
        recipient = taken["exchanges"][0]["recipients"][0]
        if recipient["state"] != "refused":
            raise PartnerFailed("an exchange was accepted after the withdrawal")
        self._narrator.tell(f"l'échange suivant est refusé : « {recipient['reasons'][0]['message']} »")

    def _verification(self) -> None:
        self.figures.ledger_size, vkey = exported(self._gateway, self._log)
        sound = verified(self._gateway, self._log, vkey)
        self.figures.ledger_verified = sound.code == 0
        self._narrator.show(sound.text)
        self._narrator.tell("un octet d'une copie est changé :")
        altered = verified(self._gateway, altered_copy(self._log), vkey)
        self.figures.tampering_detected = altered.code == 1
        self._narrator.show(altered.text)
