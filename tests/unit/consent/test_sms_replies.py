"""What a reply to an SMS means: a bare yes, or no."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent.sms import means_yes


@pytest.mark.parametrize("reply", ["oui", "Oui", "OUI", " oui ", "Oui.", "\toui.\n", "oUi"])
def test_a_bare_yes_is_an_agreement(reply: str) -> None:
    """In any case, with spaces around it, with one final period."""
    assert means_yes(reply)


@pytest.mark.parametrize(
    "reply", ["", ".", "Oui;", "Oui non", "oui oui", "Oui..", "Oui .", "oui!", "non", "ok", "yes", "0", "o u i", "Óui"]
)
def test_everything_else_is_a_refusal(reply: str) -> None:
    """Nothing is interpreted: a reply in which a yes has to be looked for is none."""
    assert not means_yes(reply)


@given(st.text(max_size=12))
def test_only_three_letters_ever_agree(reply: str) -> None:
    """Whatever is sent, an agreement holds exactly these letters, and nothing else but spaces and one period."""
    letters = reply.strip().casefold()
    assert means_yes(reply) == (letters in ("oui", "oui."))
