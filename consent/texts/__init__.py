"""
The texts that people are shown before they answer: versioned by file name, proven by the SHA-256 of their exact bytes.

`{version}.{language}.md`. A published text never changes: other words are another version, in another file. What varies from
one person to the next (recipients, data, purposes, dates) stands in the lines of the agreement, beside the text.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from types import MappingProxyType

from schemas import Document, Issue


@dataclass(frozen=True, slots=True)
class Text:
    """
    One version of one text, in one language (ISO 639), as the bytes that are shown.
    """

    version: str
    language: str
    content: bytes = field(repr=False)

    @property
    def title(self) -> str:
        """
        What the text calls itself: its first line.
        """
        return self.content.decode().splitlines()[0].removeprefix("# ")

    @property
    def body(self) -> str:
        """
        What follows the title.
        """
        return self.content.decode().partition("\n")[2].strip()

    @property
    def sha256(self) -> str:
        """
        The digest that a consent document names, in hexadecimal.
        """
        return hashlib.sha256(self.content).hexdigest()


@cache
def texts() -> Mapping[str, Text]:
    """
    Every text of the package, by version.
    """
    found = {}
    for path in sorted(files(__name__).iterdir(), key=lambda path: path.name):
        if path.name.endswith(".md"):
            version, language = path.name.removesuffix(".md").rsplit(".", 1)
            found[version] = Text(version, language, path.read_bytes())
    return MappingProxyType(found)


def fault(shown: Document) -> Issue | None:
    """
    What is wrong with the `text` of a consent document that names a version of ours; None for right ones and for others'.
    """
    ours = texts().get(shown["version"])
    if ours is None:
        return None
    if shown["sha256"] != ours.sha256:
        return Issue(
            "text_altered",
            "/text/sha256",
            "Ce n'est pas l'empreinte de cette version du texte : reprenez celle de /v1/texts, ou nommez autrement votre propre texte.",
            "This is not the digest of that version of the text: take the one of /v1/texts, or give your own text another name.",
            suggestion=ours.sha256,
        )
    if shown["language"].split("-")[0] == ours.language:
        return None
    return Issue(
        "text_language",
        "/text/language",
        "Cette version du texte est écrite dans une autre langue.",
        "This version of the text is written in another language.",
        suggestion=ours.language,
    )
