"""
How a partner's system is known to HubEE: set once by the partner, for what is taken there and for what is put there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from gateway.delivery.base import Configuration
from gateway.outgoing_addresses import Allowance, OutgoingRefused, check

Role = Literal["OSL", "SI"]
"""What HubEE calls the sender of folders, and their recipient."""

_SECRET: Final = "client_secret"  # noqa: S105 (the name of a setting)
_HEALTH: Final = frozenset({"GRO", "SGR", "DSG"})
_DEBTS: Final = frozenset({"RSAFIM", "RSAFIX", "MSAFIM", "RSACTM"})
_PROCESS: Final = re.compile(r"[\w.-]{1,30}")
_BRANCH: Final = re.compile(r"[0-9A-Z-]{1,10}")
_ADAPTERS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("RSABEI-RSABAI", "RSABEM-RSABAM", "RSABEX-RSABAX", "IRSACG-IRSDCG"), "cnaf-rsa"),
    **dict.fromkeys(("MSABEI", "MSABEM", "MSABEX"), "cnaf-rsa"),
    "ContactsAllocataires-BRSA": "cnaf-contacts",
}
"""The processes whose files are the content; of the others, the case itself is."""


class AccessInvalid(Exception):
    """What a partner set cannot be used: says why in French and in English, without the full stop."""

    def __init__(self, message_fr: str, message_en: str) -> None:
        super().__init__(message_en)
        self.message_fr, self.message_en = message_fr, message_en


@dataclass(frozen=True, slots=True)
class Access:
    """
    An account of HubEE: one pair of identifiers for one or several processes of one organisation (`partner`, a SIRET).

    `branch` is its counter (`branchCode`); None when it has one only. With an account of an editor, which acts for several
    organisations, what concerns the others is neither read nor deleted.
    """

    api_url: str
    token_url: str
    client_id: str
    client_secret: str = field(repr=False)
    role: Role
    partner: str
    processes: tuple[str, ...]
    branch: str | None
    allowance: Allowance

    @classmethod
    def of(cls, settings: Mapping[str, Any], secrets: Mapping[str, Any], partner: str, allowance: Allowance) -> Access:
        """Read what `configured` kept."""
        return cls(
            api_url=str(settings["api_url"]).rstrip("/"),
            token_url=str(settings["token_url"]),
            client_id=str(settings["client_id"]),
            client_secret=str(secrets[_SECRET]),
            role="OSL" if settings["role"] == "OSL" else "SI",
            partner=partner,
            processes=tuple(settings["processes"]),
            branch=settings.get("branch"),
            allowance=allowance,
        )

    def concerns(self, organisation: object) -> bool:
        """Whether an organisation of the hub is this one; a notification may not say, and the case then does."""
        if not isinstance(organisation, Mapping):
            return True
        same = str(organisation.get("companyRegister", "")) == self.partner
        return same and (self.branch is None or str(organisation.get("branchCode", "")) == self.branch)


def adapter_of(process: str) -> str:
    """The adapter that reads what a process brings."""
    return _ADAPTERS.get(process, "hubee")


def configured(
    asked: Mapping[str, Any], kept: Mapping[str, Any], allowance: Allowance, more: Mapping[str, Any]
) -> Configuration:
    """
    Check the settings of an account; `kept` are its secrets so far, `more` the settings that only one direction has.

    The secret stays when it is not given again. Raises `AccessInvalid`.
    """
    known = {"api_url", "token_url", "client_id", _SECRET, "role", "processes", "branch", *more}
    if not asked.keys() <= known:
        names = ", ".join(sorted(known))
        raise AccessInvalid(f"Réglages possibles ici : {names}", f"Possible settings here: {names}")
    settings = {**more, **{name: value for name, value in asked.items() if name != _SECRET}}
    for name in ("api_url", "token_url"):
        try:
            check(str(settings.get(name, "")), allowance)
        except OutgoingRefused as refused:
            raise AccessInvalid(
                f"{name} : {refused.message_fr.rstrip('.')}", f"{name}: {refused.message_en.rstrip('.')}"
            ) from refused
    _demand(settings.get("role") in {"OSL", "SI"}, "« role » vaut OSL (émetteur) ou SI (destinataire)", "“role” is OSL (sender) or SI (recipient)")  # fmt: skip
    processes = settings.get("processes")
    named = isinstance(processes, list) and processes and all(_is(_PROCESS, each) for each in processes)
    _demand(named, "Donnez « processes », les codes des démarches", "Give “processes”, the codes of the processes")
    assert isinstance(processes, list)
    _demand(not _HEALTH & {*processes}, "Les flux de grossesses (GRO, SGR, DSG) sont des données de santé : ils ne passent pas ici", "The flows about pregnancies (GRO, SGR, DSG) are health data: they do not pass here")  # fmt: skip
    _demand(not _DEBTS & {*processes}, "Les flux comptables du RSA disent des dettes : ils ne passent pas ici", "The accounting flows of the RSA tell debts: they do not pass here")  # fmt: skip
    _demand("branch" not in settings or _is(_BRANCH, settings["branch"]), "« branch » est un code guichet", "“branch” is a branch code")  # fmt: skip
    _demand(_is(re.compile(r"\S{1,200}"), settings.get("client_id")), "Donnez client_id", "Give client_id")
    secret = asked.get(_SECRET) or kept.get(_SECRET)
    _demand(isinstance(secret, str) and secret, "Donnez client_secret", "Give client_secret")
    return Configuration(settings, {_SECRET: secret}, {})


def _is(form: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and form.fullmatch(value) is not None


def _demand(holds: object, message_fr: str, message_en: str) -> None:
    if not holds:
        raise AccessInvalid(message_fr, message_en)
