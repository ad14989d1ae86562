"""
Adapters are found by the word of their address.
"""

import pytest

from adapters.registry import ADAPTERS, UnknownAdapter, get


def test_every_adapter_is_found_by_its_name():
    """The registry's keys are the adapters' own names."""
    assert {"cnaf-rsa", "shared-json", "webrsa-orientation"} <= set(ADAPTERS)
    assert {name: get(name).name for name in ADAPTERS} == {name: name for name in ADAPTERS}


def test_an_unknown_name_is_refused_without_being_repeated():
    """The sentence lists what exists, in French and English, and not what was asked for."""
    with pytest.raises(UnknownAdapter) as error:
        get("2840299612034")
    assert "cnaf-rsa" in error.value.message_fr and "cnaf-rsa" in error.value.message_en
    assert "2840299612034" not in str(error.value)
