"""
The State's hub HubEE, for the tests: an HTTPS server on this machine that does what its interface v1 says (folders 1.2.7) and what
its documents say of it: one queue of notifications an organisation, whatever the process; files gone from IN_PROGRESS on; states
that only follow each other in one order.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from ops.services.receiver import Call, Receiver, Response

STEPS: Final[Mapping[str, frozenset[str]]] = {
    "HUBEE_NOTIFIED": frozenset({"SENT", "SI_RECEIVED", "SI_INTG_ERROR"}),
    "SENT": frozenset({"SI_RECEIVED", "SI_INTG_ERROR", "IN_PROGRESS", "DONE", "REFUSED"}),
    "SI_RECEIVED": frozenset({"IN_PROGRESS", "SI_INTG_ERROR", "DONE", "REFUSED", "CLOSED"}),
    "IN_PROGRESS": frozenset({"ADD_AWAITING", "DONE", "REFUSED", "CLOSED"}),
    "ADD_AWAITING": frozenset({"IN_PROGRESS", "DONE", "REFUSED", "CLOSED"}),
    "DONE": frozenset({"CLOSED"}),
    "REFUSED": frozenset({"CLOSED"}),
}
_PATH: Final = re.compile(r"/teledossiers/v1((?:/[\w-]+)+)")


@dataclass(frozen=True, slots=True)
class Account:
    """A pair of identifiers: of one organisation, or of an editor that serves several, in one role."""

    client_id: str
    secret: str
    role: str
    organisations: tuple[str, ...]


@dataclass
class HubServer:
    """What the hub holds; `faults` are statuses to answer with, once each, before anything else is looked at."""

    name: str
    accounts: list[Account] = field(default_factory=list)
    folders: dict[str, dict[str, Any]] = field(default_factory=dict)
    cases: dict[str, dict[str, Any]] = field(default_factory=dict)
    contents: dict[str, bytes] = field(default_factory=dict)
    notifications: list[dict[str, Any]] = field(default_factory=list)
    tokens: dict[str, Account] = field(default_factory=dict)
    faults: list[int] = field(default_factory=list)
    altered: bool = False

    def __post_init__(self) -> None:
        """Make the server that answers."""
        self.receiver = Receiver(self.name, answer=self.answer)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"https://{self.name}:{self.receiver.port}"

    def calls(self, method: str, ending: str) -> list[Call]:
        """The calls of a method to a path that ends so."""
        return [each for each in self.receiver.calls if each.method == method and each.path.split("?")[0].endswith(ending)]  # fmt: skip

    def answer(self, call: Call) -> Response:  # noqa: PLR0911 (one line an address)
        """Answer one call."""
        if self.faults:
            return _error(self.faults.pop(0), "fault")
        where = urlsplit(call.path)
        if where.path == "/token":
            return self._token(call)
        account = self.tokens.get(call.headers.get("authorization", "").removeprefix("Bearer "))
        if account is None:
            return _error(401, "Invalid Credentials")
        matched = _PATH.fullmatch(where.path)
        if matched is None or "editorname" not in call.headers:
            return _error(400, "Bad request")
        match (call.method, *matched[1].strip("/").split("/")):
            case ("GET", "notifications"):
                return self._listed(account, parse_qs(where.query))
            case ("DELETE", "notifications", ident):
                return self._deleted(account, ident)
            case ("POST", "folders"):
                return self._created(account, call)
            case ("GET", "folders", ident) if ident in self.folders and account.role == "OSL":
                return _json(200, self.folders[ident])
            case ("PUT", "folders", folder, "attachments", ident) if folder in self.folders:
                return self._stored(self.folders[folder], ident, call)
            case ("PATCH", "folders", ident) if ident in self.folders and account.role == "OSL":
                return self._completed(self.folders[ident], call.event)
            case (method, "cases", ident, *more) if ident in self.cases:
                return self._case(account, method, self.cases[ident], more, call)
        return _error(404, "not found")

    def _token(self, call: Call) -> Response:
        asked = parse_qs(call.body.decode())
        given = base64.b64decode(call.headers.get("authorization", "").removeprefix("Basic ")).decode()
        for account in self.accounts:
            if given == f"{account.client_id}:{account.secret}" and asked.get("scope") == [account.role]:
                token = uuid.uuid4().hex
                self.tokens[token] = account
                return _json(200, {"access_token": token, "token_type": "Bearer", "expires_in": 3600})
        return _error(401, "Invalid Credentials")

    def _listed(self, account: Account, query: Mapping[str, list[str]]) -> Response:
        """Those of the organisation, whatever the process of the account: a filter is only asked for."""
        wanted, most = query.get("processCode"), int(query.get("maxResult", ["100"])[0])
        mine = [
            each
            for each in self.notifications
            if each["recipient"]["companyRegister"] in account.organisations
            and each["recipient"]["type"] == account.role
            and (wanted is None or each["processCode"] in wanted)
        ]
        return _json(200, mine[:most])

    def _deleted(self, account: Account, ident: str) -> Response:
        kept = [each for each in self.notifications if each["id"] != ident]
        if len(kept) == len(self.notifications):
            return _error(404, "Notification is not found")
        self.notifications = kept
        return 204, {}, b""

    def _created(self, account: Account, call: Call) -> Response:
        folder = call.event
        missing = {"processCode", "externalId", "applicant", "cases", "attachments"} - folder.keys()
        long = len(folder.get("externalId", "")) > 30 or any(len(each["externalId"]) > 30 for each in folder["cases"])
        if account.role != "OSL" or missing or long or not folder["cases"] or not folder["attachments"]:
            return _error(400, "Bad Request : Validation failed.")
        ident, now = str(uuid.uuid4()), _now()
        sender = {"type": "OSL", "companyRegister": account.organisations[0], "branchCode": "0"}
        attachments = [{**each, "id": str(uuid.uuid4()), "status": "PENDING"} for each in folder["attachments"]]
        cases = [{**each, "id": str(uuid.uuid4()), "status": "HUBEE_NOTIFIED"} for each in folder["cases"]]
        made = {**folder, "id": ident, "globalStatus": "HUBEE_RECEIVED", "createDateTime": now, "updateDateTime": None}
        self.folders[ident] = made | {"cases": cases, "attachments": attachments}
        for case in cases:
            mine = [each for each in attachments if case["externalId"] in each["recipients"]]
            common = {"processCode": folder["processCode"], "applicant": folder["applicant"], "createDateTime": now}
            self.cases[case["id"]] = {**case, **common, "attachments": mine, "events": [], "_sender": sender}
        return _json(201, self.folders[ident])

    def _stored(self, folder: Mapping[str, Any], ident: str, call: Call) -> Response:
        for each in folder["attachments"]:
            if each["id"] == ident:
                right = call.headers.get("digest") == base64.b64encode(hashlib.sha256(call.body).digest()).decode()
                each["status"] = "RECEIVED" if right and len(call.body) == each["size"] else "REJECTED"
                self.contents[ident] = call.body
                return 204, {}, b""
        return _error(404, "Attachment is not found")

    def _completed(self, folder: dict[str, Any], change: Mapping[str, Any]) -> Response:
        if change.get("globalStatus") != "HUBEE_COMPLETED" or any(
            each["status"] != "RECEIVED" for each in folder["attachments"]
        ):
            return _error(400, "Bad request")
        folder["globalStatus"] = "HUBEE_COMPLETED"
        for case in folder["cases"]:
            self._notify(self.cases[case["id"]], case["recipient"])
        return 204, {}, b""

    def _case(self, account: Account, method: str, case: dict[str, Any], more: list[str], call: Call) -> Response:  # noqa: PLR0911 (one line an address)
        side = case["recipient"] if account.role == "SI" else case["_sender"]
        if side["companyRegister"] not in account.organisations:
            return _error(403, "Unauthorized user")
        match (method, *more):
            case ("GET",):
                return _json(200, {name: value for name, value in case.items() if name != "_sender"})
            case ("PATCH",):
                return self._moved(case, call.event["status"])
            case ("GET", "attachments", ident) if ident in self.contents:
                content = self.contents[ident] + (b" " if self.altered else b"")
                digest = base64.b64encode(hashlib.sha256(self.contents[ident]).digest()).decode()
                return 200, {"Content-Type": "application/octet-stream", "Digest": digest}, content
            case ("POST", "events"):
                return self._event_added(account, case, call.event)
            case ("GET", "events", ident):
                return _json(200, next(each for each in case["events"] if each["id"] == ident))
            case ("PATCH", "events", ident):
                next(each for each in case["events"] if each["id"] == ident)["status"] = call.event["status"]
                return 204, {}, b""
        return _error(404, "not found")

    def _moved(self, case: dict[str, Any], status: str) -> Response:
        if status not in STEPS.get(case["status"], ()):
            return _error(400, "Bad request : status")
        case["status"] = status
        if status == "IN_PROGRESS":
            for each in case["attachments"]:
                each["status"] = "DELETED"
                self.contents.pop(each["id"], None)
        return 204, {}, b""

    def _event_added(self, account: Account, case: dict[str, Any], event: Mapping[str, Any]) -> Response:
        if not {"actionType", "notification"} <= event.keys() or len(event.get("message") or "") > 1000:
            return _error(400, "Bad request")
        me, other = case["recipient"], case["_sender"]
        if account.role == "OSL":
            me, other = other, me
        given = {"id": str(uuid.uuid4()), "transmitter": me, "status": "SENT", "createDateTime": _now(), "updateDateTime": None}  # fmt: skip
        made = {"caseNewStatus": None, "attachments": [], **event, **given}
        case["events"].append(made)
        if event["notification"]:
            self._notify(case, other, made["id"])
        return _json(201, made)

    def _notify(self, case: Mapping[str, Any], to: Mapping[str, Any], event: str | None = None) -> None:
        sender = case["_sender"] if to is case["recipient"] or to == case["recipient"] else case["recipient"]
        ident = {"id": str(uuid.uuid4()), "caseId": case["id"], "eventId": event, "dateTime": _now()}
        self.notifications.append({**ident, "processCode": case["processCode"], "recipient": to, "transmitter": sender})


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _json(status: int, body: Any) -> Response:
    return status, {"Content-Type": "application/json"}, json.dumps(body).encode()


def _error(status: int, message: str) -> Response:
    return _json(status, {"errors": [{"code": status, "message": message}]})
