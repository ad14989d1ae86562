"""
The household's address, without the third parties that it may name.
"""

import re

from adapters.cnaf_rsa.blocks import Block
from adapters.cnaf_rsa.values import HOUSEHOLD, Local, Values, clean
from schemas import Document
from schemas.identity import commune_is_valid

_ADDRESS = f"{HOUSEHOLD}/DonneesAdministratives/Adresse"
_THIRD_PARTY = re.compile(r"(?:CHEZ|C/O|S/C|AUX? BONS SOINS)\b", re.IGNORECASE)
_POSTCODE = re.compile(r"[0-9A-Z -]{3,10}")


def last_address(household: Block, values: Values, local: Local) -> Document:
    """
    The address of rank 1 (the last one), or the lowest rank there is; without a third party's name.
    """
    addresses = household.at("DonneesAdministratives").all("Adresse")
    if not addresses:
        return {}
    address = min(addresses, key=_rank)
    common, french, foreign = (
        address.at(name) for name in ("TroncCommunAdresse", "AdresseDetailleeFrance", "AdresseHorsFrance")
    )
    texts = french.texts
    street = " ".join(texts[name] for name in ("NUMVOIE", "LIBTYPEVOIE", "NOMVOIE") if name in texts)
    lines = [texts.get("COMPLADR", ""), street, texts.get("LIEUDIST", "")]
    lines += [foreign.texts.get(f"LIBLIG{number}ADR", "") for number in range(3, 8)]
    written: Document = {"lines": _without_third_parties(lines, values, address.line)}
    if _POSTCODE.fullmatch(postcode := texts.get("CODEPOS", "")):
        written["postcode"] = postcode
    if commune_is_valid(cog := texts.get("NUMCOM", "")):
        written["cog_commune"] = cog
    written["commune"] = clean(texts.get("NOMCOM", ""))
    written["country"] = "FR" if common.texts.get("PAYS") == "FRA" else None
    written["residence_kind"] = values.code(common, f"{_ADDRESS}/TroncCommunAdresse", "TYPEADR", local)
    return {name: value for name, value in written.items() if value}


def _rank(address: Block) -> int:
    rank = address.at("TroncCommunAdresse").texts.get("RGADR", "")
    return int(rank) if rank.isascii() and rank.isdigit() and len(rank) <= 2 else 99


def _without_third_parties(lines: list[str], values: Values, line: int) -> list[str]:
    kept = []
    for text in filter(None, map(clean, lines)):
        if _THIRD_PARTY.match(text):
            values.tell(
                "third_party_withheld",
                _ADDRESS,
                "Une ligne de l'adresse nomme un tiers (« chez… ») : elle n'est pas reprise.",
                "A line of the address names a third party (“care of…”): it is not used.",
                line,
            )
        else:
            kept.append(text)
    return kept
