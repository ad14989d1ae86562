"""
Tokens made for one exchange (RFC 9396): what they let through, and that they do it once.

The conventions and the person decide as for any other document; this only narrows what the bearer of the token may try.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from gateway.auth.caller import Caller
from gateway.auth.replay import use_once
from gateway.crossing import Arrival, Crossing
from gateway.errors import Problem
from gateway.store.database import Transaction


def check(crossings: Sequence[Crossing], caller: Caller) -> None:
    """Demand that a message is the one exchange that its token was made for; raises `Problem` forbidden."""
    detail = caller.detail
    if detail is None:
        return
    for crossing in crossings:
        named = {target.get("siret") for target in crossing.document.get("recipients", [])}
        same = (crossing.kind, crossing.document.get("purpose")) == (detail.kind, detail.purpose)
        if len(crossings) > 1 or not same or not named or not named <= detail.recipients:
            raise Problem(
                "forbidden",
                "Ce jeton n'a été demandé que pour un échange : un document de ce genre, pour cette finalité, qui nomme ces destinataires.",
                "This token was asked for one exchange only: a document of that kind, for that purpose, naming those recipients.",
            )


async def spend(tx: Transaction, arrivals: Sequence[Arrival]) -> None:
    """Let each such token serve once: a message that comes with one already used is refused; the retry of the same is not."""
    for arrival in arrivals:
        caller = arrival.caller
        if caller.detail is None or not arrival.waiting:
            continue
        until = datetime.fromtimestamp(caller.expires_at, UTC)
        # No client_id holds a colon: this owner meets neither assertions nor proofs.
        if not await use_once(tx, f"once:{caller.client_id}"[:64], caller.token_id, until):
            arrival.refusal = Problem(
                "forbidden",
                "Ce jeton a déjà servi à l'échange pour lequel il a été demandé : demandez-en un autre.",
                "This token has already served the exchange it was asked for: ask for another.",
            )
