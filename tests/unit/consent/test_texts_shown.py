"""The texts that people are shown never change once published, and a document that names one must mean those bytes."""

from __future__ import annotations

from consent import texts

PUBLISHED = {
    "accord-2026-11": "b34150c4a03eabacd3fc175471fc0c57b2ccc91701de528d4e7cc9b386dd5f3b",
    "accord-facile-2026-11": "6e5f591df4d3a56af53ec68c3866c5964b0b4df73e7a18b2f450ff9456854ab9",
    "agreement-2026-11": "e5b99310028800ae59b34679c5feee93fc6289e35723f7b09fa1830ed12a8534",
    "effacement-2026-11": "9634f1251ce08ac117dac61aad099b08d7bd75f442a504177b7cfedfd7ec807f",
    "mandat-2026-11": "9a5074d34dcb73e529dedc9f880b6efaa732187e3224448428da868fdcc7888f",
    "opposition-2026-11": "db90f32b63e734b2821cd9b607020f03d25557e7bffcc2a08eef6b733e5c5565",
    "urgence-2026-11": "0c29bbc8061a64ba2108fffb35f951b60b78a6c930a86a3d672339be5e350ab2",
    "sms-2026-11": "f96108703e31c02461e68a35145c7b0d162f32604d4a26882724bb959b8af98a",
}
"""A new version is a new file and a new line here; a line never changes."""


def shown(version: str, **changes: str) -> dict[str, str]:
    """The `text` of a consent document that names a version rightly, with changes."""
    text = texts.texts()[version]
    return {"version": version, "sha256": text.sha256, "language": text.language} | changes


def test_a_published_text_never_changes() -> None:
    """What people saw last year can be found again, to the byte."""
    assert PUBLISHED == {version: text.sha256 for version, text in texts.texts().items()}


def test_each_text_has_a_title_and_a_body_in_its_language() -> None:
    """A French text, one in simple words, one in English."""
    found = texts.texts()
    assert {"fr", "en"} == {text.language for text in found.values()}
    assert all(text.title and len(text.body) > 50 for text in found.values())
    assert "Accord pour partager mes informations" == found["accord-2026-11"].title


def test_one_of_ours_must_be_ours_to_the_byte_and_in_its_language() -> None:
    """A wrong digest or another language is a fault; a text of the partner's own is its own affair."""
    wrong_digest = texts.fault(shown("accord-2026-11", sha256="ab" * 32))
    wrong_language = texts.fault(shown("accord-2026-11", language="en"))
    assert wrong_digest is not None and ("text_altered", PUBLISHED["accord-2026-11"]) == (
        wrong_digest.code,
        wrong_digest.suggestion,
    )
    assert wrong_language is not None and "text_language" == wrong_language.code
    assert None is texts.fault(shown("accord-2026-11", language="fr-FR"))
    assert None is texts.fault({"version": "accord-relais-1", "sha256": "ab" * 32, "language": "fr"})
