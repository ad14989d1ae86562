"""
What the adapters' tests share: the ordinary flow that traps are set in.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

# Public test files of other projects stand beside the project or not at all; without them there is nothing to collect.
PUBLIC_SAMPLES = Path(__file__).parents[3].parent / "shared" / "samples"
collect_ignore = [] if PUBLIC_SAMPLES.is_dir() else ["test_partner_samples.py"]

Edit = tuple[str, str]


@pytest.fixture(scope="session")
def ordinary() -> Callable[..., str]:
    """A function that gives the text of an ordinary B flow, one lone parent and her child, after some edits."""
    import adapters.cnaf_rsa

    folder = Path(adapters.cnaf_rsa.__file__).parent / "samples" / "lone-parent-payable"
    text = (folder / "partner.xml").read_bytes().decode("cp1252")

    def edited(*edits: Edit) -> str:
        result = text
        for old, new in edits:
            assert old in result, old
            result = result.replace(old, new)
        return result

    return edited


@pytest.fixture(scope="session")
def read_flow() -> Callable[[str], Any]:
    """A function that translates a flow given as text in windows-1252."""
    from adapters.cnaf_rsa.adapter import CnafRsa
    from adapters.testing import EXAM_CONTEXT

    adapter = CnafRsa()

    def read(text: str) -> Any:
        return adapter.to_shared(text.encode("cp1252"), EXAM_CONTEXT)

    return read
