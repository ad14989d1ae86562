"""
What is said to a partner whose bytes are not a JSON document that every reader would understand alike.
"""

from typing import Final

_SENTENCES: Final = {
    "too_large": (
        "Le document est trop gros : {limit} octets au plus.",
        "The document is too large: at most {limit} bytes.",
    ),
    "too_deep": (
        "Le document emboîte trop de niveaux : {limit} au plus.",
        "The document nests too many levels: at most {limit}.",
    ),
    "too_many_items": (
        "Le document contient trop de valeurs : {limit} au plus. Envoyez-le en plusieurs fois.",
        "The document holds too many values: at most {limit}. Send it in several parts.",
    ),
    "empty": ("Le document est vide.", "The document is empty."),
    "encoding": (
        "Le document n'est pas en UTF-8. Enregistrez-le en UTF-8 (et non en Windows-1252, Latin-1 ou UTF-16).",
        "The document is not UTF-8. Save it as UTF-8 (not Windows-1252, Latin-1 or UTF-16).",
    ),
    "duplicate_key": (
        "La même propriété est donnée deux fois dans cet objet. Gardez-en une seule.",
        "The same property is given twice in this object. Keep only one.",
    ),
    "not_a_number": (
        "NaN et Infinity n'existent pas en JSON. Omettez la propriété ou mettez null.",
        "NaN and Infinity do not exist in JSON. Leave the property out or write null.",
    ),
    "number_range": (
        "Ce nombre est trop grand pour être lu partout de la même façon. Écrivez un identifiant entre guillemets.",
        "This number is too large to be read alike everywhere. Write an identifier between quotes.",
    ),
    "lone_surrogate": (
        "Cet échappement \\u est une moitié de caractère sans l'autre moitié.",
        "This \\u escape is half of a character without its other half.",
    ),
    "bidi_control": (
        "Un caractère invisible change ici le sens de lecture (U+202A à U+202E, U+2066 à U+2069). Retirez-le.",
        "An invisible character changes the reading order here (U+202A to U+202E, U+2066 to U+2069). Remove it.",
    ),
    "nul": ("Le caractère nul (U+0000) n'est pas admis.", "The NUL character (U+0000) is not allowed."),
    "syntax": ("La syntaxe JSON est incorrecte ici.", "The JSON syntax is wrong here."),
    "missing_comma": (
        "Il manque ici une virgule, ou une accolade ou un crochet fermants.",
        "A comma, or a closing brace or bracket, is missing here.",
    ),
    "missing_colon": ("Il manque ici les deux-points.", "A colon is missing here."),
    "missing_value": ("Une valeur est attendue ici.", "A value is expected here."),
    "missing_name": (
        "Un nom de propriété entre guillemets doubles est attendu ici.",
        "A property name in double quotes is expected here.",
    ),
    "trailing_comma": ("Une virgule est de trop avant la fermeture.", "There is one comma too many before the end."),
    "unterminated": ("Cette chaîne n'est pas fermée.", "This string is not closed."),
    "control_character": (
        "Un saut de ligne ou un caractère de contrôle est écrit tel quel dans une chaîne. Échappez-le (\\n, \\t…).",
        "A line break or control character stands unescaped in a string. Escape it (\\n, \\t…).",
    ),
    "bad_escape": ("Cet échappement n'existe pas en JSON.", "This escape does not exist in JSON."),
    "extra_data": ("Il y a du texte après la fin du document.", "There is text after the end of the document."),
}


class MalformedJson(ValueError):
    """
    The bytes received are not a JSON document that every reader would understand alike.

    `code` for programs, a sentence in French and in English for people, `line` and `column` from 1 in characters.
    It holds nothing of the document.
    """

    def __init__(self, code: str, line: int = 1, column: int = 1, limit: int | None = None) -> None:
        french, english = _SENTENCES[code]
        self.code = code
        self.line = line
        self.column = column
        self.message_fr = french.format(limit=f"{limit:,}".replace(",", " ")) if limit else french
        self.message_en = english.format(limit=f"{limit:,}") if limit else english
        super().__init__(f"{self.message_fr} (ligne {line}, colonne {column})")
