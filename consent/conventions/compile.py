"""
What a convention becomes in the machines: scopes of tokens, routes, field masks, retention jobs. All from the file.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from consent.conventions.convention import Convention, Flow, Limits, Route
from consent.conventions.retention import GATEWAY, Durations, purges
from schemas import Document, Kind


@dataclass(frozen=True, slots=True)
class Compiled:
    """
    A convention, compiled.

    `scopes` by SIRET, sorted; `routes` in the order of the file; `field_masks` by flow id: the most that may ever leave
    and, apart, what leaves without any agreement of the person; `retention` in months by class, as the file says, and `purges`
    for every class, as the keeper destroys; `channels` and `limits` as the gate and the volumes apply them, `signed_requests` as
    the door does.
    """

    id: str
    version: int
    hash: str
    scopes: Mapping[str, tuple[str, ...]]
    routes: tuple[Route, ...]
    field_masks: Mapping[str, "FieldMask"]
    retention: Mapping[str, int]
    purges: Mapping[str, int]
    channels: tuple[str, ...]
    signed_requests: bool
    limits: Limits

    def as_json(self) -> Document:
        """
        The same as JSON, in a stable order.
        """
        return {
            "id": self.id,
            "version": self.version,
            "hash": self.hash,
            "scopes": {siret: list(scopes) for siret, scopes in self.scopes.items()},
            "routes": [
                {
                    "kind": route.kind.value,
                    "from": route.sender,
                    "to": route.recipient,
                    "purposes": sorted(route.purposes),
                }
                for route in self.routes
            ],
            "field_masks": {
                flow: {"at_most": list(mask.at_most), "without_agreement": list(mask.without_agreement)}
                | ({"in_emergency": list(mask.in_emergency)} if mask.in_emergency else {})
                for flow, mask in self.field_masks.items()
            },
            "retention": dict(self.retention),
            "purges": dict(self.purges),
            "channels": list(self.channels),
            "signed_requests": self.signed_requests,
            "limits": {name: value for name, value in asdict(self.limits).items() if value is not None},
        }


@dataclass(frozen=True, slots=True)
class FieldMask:
    """
    The leaf patterns, sorted, that a flow lets leave with the widest agreement, with none (nothing where one is required),
    and when the glass is broken.
    """

    at_most: tuple[str, ...]
    without_agreement: tuple[str, ...]
    in_emergency: tuple[str, ...] = ()


def compile_convention(convention: Convention, own: Durations = GATEWAY) -> Compiled:
    """
    Compile a convention, whatever its state: the gateway applies it only while it is in force.

    `own` are the times of the gateway that will apply it.
    """
    flows = convention.flows
    return Compiled(
        id=convention.id,
        version=convention.version,
        hash=convention.hash,
        scopes={siret: _scopes(siret, flows) for siret in sorted(convention.parties)},
        routes=tuple(Route(flow.kind, flow.sender, flow.recipient, flow.purposes) for flow in flows),
        field_masks={flow.id: _field_mask(flow) for flow in flows},
        retention={rule["class"]: rule["months"] for rule in convention.document["retention"]},
        purges=purges(convention, own),
        channels=tuple(convention.document["channels"]),
        signed_requests=convention.signed_requests,
        limits=convention.limits,
    )


def _scopes(siret: str, flows: tuple[Flow, ...]) -> tuple[str, ...]:
    """
    `{kind}:send` for what a party sends, `mailbox:read` if it receives.

    A party whose exchanges rest on people's agreements may also record them: `consent:send`; one that may do without in an
    emergency, open it: `break-glass:open`.
    """
    sent = {f"{flow.kind.value}:send" for flow in flows if flow.sender == siret}
    records = {f"{Kind.CONSENT.value}:send" for flow in flows if flow.sender == siret and flow.agreement_required}
    read = {"mailbox:read" for flow in flows if flow.recipient == siret}
    opens = {"break-glass:open" for flow in flows if flow.sender == siret and flow.emergency}
    return tuple(sorted(sent | records | read | opens))


def _field_mask(flow: Flow) -> FieldMask:
    free = frozenset() if flow.agreement_required else flow.mask.free
    urgent = flow.mask.urgent(flow.emergency.categories) if flow.emergency else frozenset()
    return FieldMask(tuple(sorted(flow.mask.widest)), tuple(sorted(free)), tuple(sorted(urgent)))
