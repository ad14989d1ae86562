"""
Somebody else's software at the State's hub, for the tests: it files folders for an organisation, as the interface v1 says.
"""

from __future__ import annotations

import base64
import hashlib
import json
import uuid
from collections.abc import Mapping
from typing import Any, Final

from ops.services.hub import Account, HubServer
from ops.services.receiver import Call

FORM: Final = "FormulaireQF"
SENDER: Final = "99900003700011"
_KINDS: Final[Mapping[str, str]] = {"json": "application/json", "pdf": "application/pdf", "xml": "application/xml"}


def form(person: Mapping[str, Any]) -> bytes:
    """The JSON file of a form about the quotient familial."""
    pivot = {"family_name": person["birth_name"], "given_name": "Camille", "gender": "female"}
    pivot |= {"birthdate": person["birth_date"], "birthplace": "75107", "birthcountry": "99100"}
    amount = {"fournisseur": "CNAF", "valeur": 538, "annee": 2026, "mois": 2, "annee_calcul": 2026, "mois_calcul": 1}
    return json.dumps({"external_id": "X", "pivot_identity": pivot, "quotient_familial_v3": {"quotient_familial": amount}}).encode()  # fmt: skip


def file_case(hub: HubServer, to: str, person: Mapping[str, Any], process: str = FORM, **files: bytes) -> str:
    """File a folder with one case for an organisation (SIRET), by default a form and its PDF; gives the case."""
    number = f"VAL-{uuid.uuid4().hex[:16]}"
    contents = files or {"formulaire.json": form(person), "formulaire.pdf": b"%PDF-1.4\n" + number.encode()}
    case_number = f"{number}-01"
    described = [
        {
            "fileName": name,
            "type": process,
            "size": len(content),
            "mimeType": _KINDS[name.rpartition(".")[2]],
            "recipients": [case_number],
        }
        for name, content in contents.items()
    ]
    recipient = {"type": "SI", "companyRegister": to, "branchCode": "39990"}
    folder = {
        "processCode": process,
        "externalId": number,
        "applicant": {"firstName": "Camille", "lastName": person["birth_name"]},
        "cases": [{"externalId": case_number, "recipient": recipient}],
        "attachments": described,
    }
    made = _call(hub, "POST", "/folders", json.dumps(folder).encode())
    for each, content in zip(made["attachments"], contents.values(), strict=True):
        digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
        _call(hub, "PUT", f"/folders/{made['id']}/attachments/{each['id']}", content, digest=digest)
    _call(hub, "PATCH", f"/folders/{made['id']}", b'{"globalStatus": "HUBEE_COMPLETED"}')
    return str(made["cases"][0]["id"])


def _call(hub: HubServer, method: str, path: str, body: bytes, **more: str) -> Any:
    hub.tokens["osl"] = Account("osl", "osl", "OSL", (SENDER,))
    headers = {"authorization": "Bearer osl", "editorname": "Autre"}
    status, _, content = hub.answer(Call(method, f"/teledossiers/v1{path}", headers | more, body))
    if status >= 300:
        raise ValueError(f"the hub refused: {status}")
    return json.loads(content) if content else None
