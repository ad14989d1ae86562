"""
What we put in HubEE for a partner's system.

    role OSL    a referral is a folder with one case for the recipient: described, its files sent (the document, then what is
                attached to it), then completed, which tells the recipient
    role SI     a status is an event of the case that the referral came by, and the case's new state

The hub takes the folder's number from nobody: it is kept before the folder is completed, so that a handing over that was cut goes on
with the same folder. One that was cut before that leaves a folder of which nobody was told. The hub's word counts for the
recipient's: from then on it keeps the document.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from time import monotonic
from typing import Any, Final

import orjson

from gateway.delivery.attached import Attached, Awaited, File
from gateway.delivery.base import Answer, Configuration, Endpoint, Outcome, Result, invalid
from gateway.handover import Handover, Parcel
from gateway.hubee.access import Access, AccessInvalid, configured
from gateway.hubee.client import Hub, Tokens
from gateway.hubee.elsewhere import reference, remember
from gateway.hubee.names import case_number, folder_number
from gateway.outgoing import SafeClient
from gateway.sources.base import PullFailed
from gateway.store.database import Database
from schemas import Document, Kind

_FILE: Final = "orientation.json"
_MARK: Final = "livraison="
_LONGEST: Final = 1000
"""Characters of a message."""


class HubeeTransport:
    """The contract `gateway.delivery.base.Transport` over HubEE."""

    batch = 8
    patience = timedelta(0)
    look_every = None

    def __init__(
        self, client: SafeClient, database: Database, attached: Attached, clock: Callable[[], datetime]
    ) -> None:
        """`client` is the only way out; `database` keeps what our deliveries are called in the hub."""
        self._client, self._database, self._attached, self._clock = client, database, attached, clock
        self._tokens = Tokens(clock)

    def configure(self, asked: Mapping[str, Any], current: Endpoint) -> Configuration:
        """See `Transport.configure`: the account, with one process; the sender's one for OSL, the recipient's own for SI."""
        kept = current.secrets if current.transport == "hubee" else {}
        try:
            made = configured(asked, kept, current.allowance, {})
        except AccessInvalid as error:
            raise invalid(error.message_fr, error.message_en) from error
        if made.settings["role"] == "OSL" and (len(made.settings["processes"]) != 1 or "branch" not in made.settings):
            raise invalid(
                "Pour émettre, donnez une seule démarche (« processes ») et le guichet du destinataire (« branch »)",
                "To send, give one process only (“processes”) and the recipient's counter (“branch”)",
            )
        return made

    def rotate(self, current: Endpoint, overlap: timedelta) -> Configuration:
        """See `Transport.rotate`: the hub makes the secrets."""
        raise invalid(
            "Le secret est celui que HubEE a donné : changez-le là-bas, puis réglez de nouveau la remise",
            "The secret is the one that HubEE gave: replace it there, then set the delivery again",
        )

    async def hand_over(self, endpoint: Endpoint, handed: Handover) -> Mapping[str, Outcome]:
        """See `Transport.hand_over`: one after the other."""
        hub = self._hub(endpoint)
        return {parcel.taken.delivery_id: await self._carry(hub, endpoint, parcel) for parcel in handed.parcels}

    async def collect(self, endpoint: Endpoint) -> Sequence[Answer]:
        """See `Transport.collect`: what the recipient does after comes as events (`gateway.hubee.connector`)."""
        return ()

    async def test(self, endpoint: Endpoint) -> Outcome:
        """See `Transport.test`: the account opens, and its notifications can be looked at."""
        began = monotonic()
        try:
            await self._hub(endpoint).notifications(1)
        except PullFailed as failure:
            return Outcome(Result.FAILED, failure.code, milliseconds=_since(began))
        return Outcome(Result.TAKEN, "http_200", milliseconds=_since(began))

    async def tell_suspended(self, endpoint: Endpoint) -> Outcome | None:
        """See `Transport.tell_suspended`: there is nowhere else to tell it."""
        return None

    async def close(self) -> None:
        """See `Transport.close`: the client belongs to the process."""

    def _hub(self, endpoint: Endpoint) -> Hub:
        access = Access.of(endpoint.settings, endpoint.secrets, endpoint.partner, endpoint.allowance)
        return Hub(self._client, access, self._tokens)

    async def _carry(self, hub: Hub, endpoint: Endpoint, parcel: Parcel) -> Outcome:
        began, kind = monotonic(), parcel.taken.kind
        try:
            if hub.access.role == "OSL" and kind is Kind.REFERRAL:
                await self._file(hub, endpoint, parcel)
            elif hub.access.role == "SI" and kind is Kind.STATUS:
                if not await self._tell(hub, parcel):
                    return Outcome(Result.REFUSED, "not_in_hub", milliseconds=_since(began), final=True)
            else:
                return Outcome(Result.REFUSED, "kind_not_carried", milliseconds=_since(began), final=True)
        except Awaited:
            return Outcome(Result.REFUSED, "attachment_awaited", milliseconds=_since(began))
        except PullFailed as failure:
            its_own = failure.code in {"http_400", "http_404"}
            return Outcome(Result.REFUSED if its_own else Result.FAILED, failure.code, milliseconds=_since(began))
        return Outcome(Result.TAKEN, "http_200", milliseconds=_since(began))

    async def _file(self, hub: Hub, endpoint: Endpoint, parcel: Parcel) -> None:
        delivery, content = parcel.taken.delivery_id, orjson.dumps(_document(parcel))
        # The hub takes the list of the files with the folder: what the document announces must be there first.
        files = {_name(rank, file): file for rank, file in enumerate(await self._attached.files(endpoint, delivery), 1)}
        known = await reference(self._database, delivery)
        folder = await hub.folder(known) if known else None
        if folder is None:
            folder = await hub.create_folder(_folder(hub.access, parcel, len(content), files))
            await remember(self._database, delivery, parcel.taken.recipient, str(folder["id"]), self._clock())
        if folder.get("globalStatus") != "HUBEE_RECEIVED":
            return  # completed before the last handing over was cut
        for each in folder.get("attachments") or []:
            if each.get("status") != "RECEIVED":
                file = files.get(str(each.get("fileName")))
                body = await self._attached.content(endpoint, file) if file else content
                await hub.put_attachment(str(folder["id"]), str(each["id"]), body)
        await hub.complete_folder(str(folder["id"]))

    async def _tell(self, hub: Hub, parcel: Parcel) -> bool:
        """Say a status in the case of its referral; False when the referral did not come by the hub."""
        document, mark = _document(parcel), _MARK + parcel.taken.delivery_id
        case_id = await reference(self._database, str(document.get("referral_id")))
        if case_id is None:
            return False
        case, said = await hub.case(case_id), _event_said(parcel)
        status = said.get("caseNewStatus")
        if not any(
            isinstance(each, dict) and each.get("partnerAttributes") == mark for each in case.get("events") or []
        ):
            event = {
                "actionType": "STATUS_UPDATE" if status else "SENDING_MESSAGE",
                "author": str(document.get("sender", {}).get("name", ""))[:255],
                "message": str(said.get("message") or "")[:_LONGEST],
                "notification": True,
                "caseCurrentStatus": case.get("status"),
                "partnerAttributes": mark,
            }
            await hub.add_event(case_id, event | ({"caseNewStatus": status} if status else {}))
        if status and status != case.get("status"):
            await hub.set_case_status(case_id, str(status))
        return True


def _document(parcel: Parcel) -> Document:
    assert parcel.taken.projection is not None
    return parcel.taken.projection.document


def _event_said(parcel: Parcel) -> Mapping[str, Any]:
    """The event as the recipient's adapter wrote it; a status in the shared format is only a message."""
    written = orjson.loads(parcel.content)
    record = written[0] if isinstance(written, list) and written else written
    event = record.get("Event") if isinstance(record, dict) else None
    return event if isinstance(event, dict) else {"message": record.get("comment") if isinstance(record, dict) else ""}


def _name(rank: int, file: File) -> str:
    """What a file is called in its folder, where two may have one name."""
    return f"{rank}-{file.name}"[:255]


def _folder(access: Access, parcel: Parcel, size: int, files: Mapping[str, File]) -> dict[str, Any]:
    document, delivery = _document(parcel), parcel.taken.delivery_id
    person = document["subject"]
    emails = person.get("emails") or []
    recipient = {"type": "SI", "companyRegister": parcel.taken.recipient, "branchCode": access.branch}
    described = [
        (_FILE, size, "application/json"),
        *((name, each.size, each.media_type) for name, each in files.items()),
    ]
    return {
        "processCode": access.processes[0],
        "externalId": folder_number(delivery),
        "applicant": {
            "firstName": " ".join(person.get("given_names") or ["-"])[:255],
            "lastName": str(person.get("birth_name") or "-")[:255],
            **({"email": emails[0]} if emails else {}),
        },
        "cases": [{"externalId": case_number(delivery), "recipient": recipient}],
        "attachments": [
            {
                "fileName": name,
                "type": access.processes[0],
                "size": bytes_of,
                "mimeType": media_type,
                "recipients": [case_number(delivery)],
            }
            for name, bytes_of, media_type in described
        ],
    }


def _since(began: float) -> int:
    return int((monotonic() - began) * 1000)
