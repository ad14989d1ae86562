"""
The part of a mapping file's JSON Schema that describes the partner's file itself.
"""

from typing import Any, Final

ENCODINGS: Final = ("utf-8", "windows-1252", "iso-8859-1", "iso-8859-15")
TEXT: Final[dict[str, Any]] = {"type": "string", "minLength": 1, "maxLength": 500}


def source_schema() -> dict[str, Any]:
    """
    The key `source`: the container of a partner's file, whatever it says.
    """
    return {
        "title": "Fichier du partenaire",
        "x-title-en": "The partner's file",
        "type": "object",
        "required": ["format"],
        "additionalProperties": False,
        "properties": {
            "format": {"title": "Format", "enum": ["csv", "xlsx", "json", "xml", "fixed"]},
            "encoding": {
                "title": "Encodage",
                "description": "Sans lui : marque d'ordre (BOM), sinon UTF-8 strict, sinon windows-1252. Jamais deviné.",
                "enum": list(ENCODINGS),
            },
            "separator": {
                "title": "Séparateur ; de plusieurs, celui que la première ligne contient le plus",
                "type": "string",
                "minLength": 1,
                "maxLength": 4,
            },
            "header": {"title": "La première ligne nomme les colonnes", "type": "boolean"},
            "skip": {"title": "Lignes non vides à passer avant les noms de colonnes", "type": "integer", "minimum": 0, "maximum": 1000},
            "sheet": {**TEXT, "title": "Feuille"},
            "lines": {"title": "Un objet JSON par ligne", "type": "boolean"},
            "single": {"title": "Un document seul s'écrit comme un objet JSON, sans liste", "type": "boolean"},
            "records": {**TEXT, "title": "Chemin des enregistrements"},
            "columns": {
                "title": "Colonnes, dans l'ordre ; en largeur fixe, NOM: [début, longueur]",
                "type": ["array", "object"],
                "items": TEXT,
                "additionalProperties": {
                    "type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 2, "maxItems": 2,
                },
            },
            "optional": {"title": "Colonnes qui peuvent manquer", "type": "array", "items": TEXT},
            "aliases": {
                "title": "Autres noms d'une colonne",
                "type": "object",
                "additionalProperties": {"type": "array", "items": TEXT, "minItems": 1},
            },
            "nothing": {"title": "Mots qui veulent dire « rien »", "type": "array", "items": {"type": "string"}},
            "open_end": {"title": "La dernière ligne peut ne pas être finie", "type": "boolean"},
            "trimmed": {"title": "Les espaces de fin de ligne peuvent manquer", "type": "boolean"},
            "short_rows": {"title": "Les dernières cellules vides d'une ligne peuvent manquer", "type": "boolean"},
            "line_end": {"title": "Fin de ligne écrite", "enum": ["lf", "crlf"]},
            "bom": {"title": "Écrire la marque d'ordre (BOM) que les tableurs attendent", "type": "boolean"},
        },
    }  # fmt: skip
