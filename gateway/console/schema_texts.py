"""
The words in which a schema is told on its page: types, formats, rules, relations, categories, in French and in English.
"""

import re
from typing import Final, Literal, TypeAlias

Language: TypeAlias = Literal["fr", "en"]
LANGUAGES: Final[tuple[Language, ...]] = ("fr", "en")

_FRENCH_SPACE: Final = re.compile(r" (?=[:;!?»])|(?<=«) ")


def spaced(text: str, language: Language) -> str:
    """
    A text in which French punctuation never begins a line: its spaces are no-break ones.
    """
    return _FRENCH_SPACE.sub("\u00a0", text) if language == "fr" else text


TYPES: Final[dict[Language, dict[str, str]]] = {
    "fr": {
        "const": "toujours « {} »",
        "code": "code",
        "array": "liste",
        "of": " : ",
        "object": "objet",
        "map": "objet aux noms libres",
        "boolean": "vrai ou faux (true, false)",
        "integer": "nombre entier",
        "number": "nombre",
        "string": "texte",
        "longest": ", {} caractères au plus",
        "between": " de {} à {}",
        "at_most": " d'au plus {}",
        "at_least": " d'au moins {}",
    },
    "en": {
        "const": "always “{}”",
        "code": "code",
        "array": "list",
        "of": ": ",
        "object": "object",
        "map": "object with free names",
        "boolean": "true or false",
        "integer": "integer",
        "number": "number",
        "string": "text",
        "longest": ", at most {} characters",
        "between": " from {} to {}",
        "at_most": " of at most {}",
        "at_least": " of at least {}",
    },
}

FORMATS: Final[dict[Language, dict[str, str]]] = {
    "fr": {
        "date": "date AAAA-MM-JJ",
        "date-time": "date et heure avec décalage (RFC 3339)",
        "siret": "SIRET (14 chiffres, clé vérifiée)",
        "nir": "NIR de 15 caractères",
        "partial_date": "date AAAA-MM-JJ, mois ou jour inconnus à 00",
        "cog_commune": "code officiel géographique d'une commune",
        "cog_country": "code officiel géographique d'un pays",
    },
    "en": {
        "date": "date YYYY-MM-DD",
        "date-time": "date and time with offset (RFC 3339)",
        "siret": "SIRET (14 digits, check digits verified)",
        "nir": "NIR of 15 characters",
        "partial_date": "date YYYY-MM-DD, unknown month or day as 00",
        "cog_commune": "official geographic code of a commune",
        "cog_country": "official geographic code of a country",
    },
}

RULES: Final[dict[Language, dict[str, str]]] = {
    "fr": {
        "sets": "Il faut au moins : {}.",
        "where": "{} (où {})",
        "if": "Si {} : {}.",
        "never": "Refusé : {}.",
        "other": "Règle telle qu'elle est écrite : {}.",
        "of": "{} {}",
        "needs": "il faut {}",
        "or": " ; ou ",
        "and": " et ",
        "comma": ", ",
        "const": "vaut {}",
        "one_of": "vaut l'un de {}",
        "one_of_listed": "vaut l'un des {} codes ci-dessous",
        "minimum": "est d'au moins {}",
        "maximum": "est d'au plus {}",
        "minItems": "a au moins {} éléments",
        "maxItems": "a au plus {} éléments",
        "filled": "n'est pas vide",
        "is_not": "n'est pas {}",
        "pattern": "suit la forme {}",
        "required": "{} est obligatoire",
        "are_required": "{} sont obligatoires",
    },
    "en": {
        "sets": "At least one of these is needed: {}.",
        "where": "{} (where {})",
        "if": "If {}: {}.",
        "never": "Refused: {}.",
        "other": "Rule as it is written: {}.",
        "of": "{} {}",
        "needs": "one needs {}",
        "or": "; or ",
        "and": " and ",
        "comma": ", ",
        "const": "is {}",
        "one_of": "is one of {}",
        "one_of_listed": "is one of the {} codes below",
        "minimum": "is at least {}",
        "maximum": "is at most {}",
        "minItems": "has at least {} items",
        "maxItems": "has at most {} items",
        "filled": "is not empty",
        "is_not": "is not {}",
        "pattern": "follows the form {}",
        "required": "{} is required",
        "are_required": "{} are required",
    },
}

RELATIONS: Final[dict[Language, dict[str, str]]] = {
    "fr": {
        "exact": "le même sens",
        "close": "assez proche pour traduire",
        "broader": "plus général",
        "narrower": "plus précis",
        "related": "à savoir, jamais pour traduire",
    },
    "en": {
        "exact": "the same meaning",
        "close": "close enough to translate",
        "broader": "more general",
        "narrower": "more precise",
        "related": "worth knowing, never to translate",
    },
}

CATEGORIES: Final[dict[str, tuple[str, str]]] = {
    "exchange": ("Ce qu'il faut pour que le document arrive et soit compris : qui l'envoie, quand, pour quoi, au sujet de quel pseudonyme. Toute convention la permet.", "What a document needs to arrive and be understood: who sends it, when, what for, about which pseudonym. Every convention permits it."),
    "identity": ("Les traits d'identité de la personne, tels que l'état civil les écrit.", "The person's identity traits, as the civil register writes them."),
    "nir": ("Un numéro national ne part que vers un organisme que la convention nomme, avec le texte qui l'y autorise.", "A national number leaves only for a body that the convention names, with the text that entitles it."),
    "partner_identifier": ("Le numéro de la personne dans le logiciel d'un partenaire.", "The person's number in a partner's software."),
    "contact": ("Téléphone, adresse électronique, préférences de contact.", "Telephone, email, contact preferences."),
    "address": ("Où la personne vit ou reçoit son courrier.", "Where the person lives or receives mail."),
    "family": ("Composition du foyer, situation familiale, enfants.", "Household, family situation, children."),
    "situation": ("Logement, emploi, formation, mobilité.", "Housing, work, training, mobility."),
    "needs": ("Ce que la personne demande, ce qui la freine, l'urgence, ses disponibilités.", "What the person asks for, what holds them back, urgency, availability."),
    "rights": ("Les droits concernés et leur état, hors ceux qui révèlent une donnée particulière.", "The rights concerned and their state, except those that reveal special data."),
    "amounts": ("Tranches de montants et de ressources ; jamais retenues par défaut.", "Bands of amounts and income; never included by default."),
    "orientation": ("La décision d'orientation, le parcours, le référent désigné.", "The orientation decision, the pathway, the appointed caseworker."),
    "professional": ("Les agents qui interviennent : nom, fonction, moyens de les joindre.", "The professionals involved: name, role, how to reach them."),
    "agreement": ("L'accord de la personne, sa preuve, ses limites, l'information qui lui a été donnée.", "The person's agreement, its proof, its limits, the information given."),
    "status": ("Ce que devient une orientation, jusqu'au droit ouvert.", "What becomes of a referral, up to the right being opened."),
    "health": ("Santé, handicap, violences, justice, séjour : ne part que si la convention le dit et que la loi ou l'accord le couvre.", "Health, disability, violence, justice, residence: leaves only if the convention says so and the law or the agreement covers it."),
    "attachments": ("La description des pièces jointes : nom, type, taille, empreinte ; jamais leur contenu.", "The description of attachments: name, type, size, digest; never their content."),
    "free_text": ("Ce que quelqu'un a écrit librement et que personne ne peut vérifier d'avance : ne part que si une convention le dit deux fois.", "What somebody wrote freely and nobody can check beforehand: leaves only if a convention says so twice."),
    "secret": ("Des notes internes : aucune convention ne peut les nommer, elles ne quittent jamais l'émetteur.", "Internal notes: no convention can name them, they never leave the sender."),
}  # fmt: skip
"""What each data category holds, French then English."""
