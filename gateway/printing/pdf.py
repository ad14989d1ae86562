"""
The printed convention as PDF: the same content as the page, with its fonts inside, the same bytes for the same convention.
"""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Sequence
from functools import cache
from typing import Any, Final
from xml.sax.saxutils import escape

from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase.pdfmetrics import getFont, registerFont, registerFontFamily
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, KeepTogether, Paragraph, SimpleDocTemplate, Table, TableStyle

from gateway.printing.sheet import NEVER, RIGHTS, FlowSheet, PartySheet, Row, Sheet

_INK, _QUIET, _LINE = HexColor("#1c2430"), HexColor("#55606e"), HexColor("#c9d2dc")
_ACCENT, _WASH = HexColor("#17437a"), HexColor("#f2f5f8")
_MARGIN: Final = 18 * mm
_WIDTH: Final = A4[0] - 2 * _MARGIN - 12
"""Between the margins, less the 6 points that reportlab keeps free on each side."""

_FACES: Final = {"Vera": "Vera.ttf", "Vera-Bold": "VeraBd.ttf", "Vera-Italic": "VeraIt.ttf", "Vera-Both": "VeraBI.ttf"}
"""Bitstream Vera, which reportlab brings: embedded, so that the page looks the same everywhere."""

_BODY = ParagraphStyle("body", fontName="Vera", fontSize=8.3, leading=11.8, textColor=_INK)
_SMALL = ParagraphStyle("small", _BODY, fontSize=7.4, leading=10.4, textColor=_QUIET)
_HEAD = ParagraphStyle("head", _SMALL, fontName="Vera-Bold")
_WHAT = ParagraphStyle("what", _BODY, fontName="Vera-Bold", textColor=_ACCENT)
_TITLE = ParagraphStyle("title", _BODY, fontName="Vera-Bold", fontSize=17, leading=21, spaceBefore=2, spaceAfter=4)
_SECTION = ParagraphStyle("section", _WHAT, fontSize=11.5, leading=15, spaceBefore=13, spaceAfter=4, keepWithNext=1)
_FLOW = ParagraphStyle("flow", _BODY, fontName="Vera-Bold", fontSize=9.5, leading=13, spaceBefore=10, spaceAfter=3)
_CAPTION = ParagraphStyle("caption", _SMALL, spaceBefore=5, spaceAfter=1)
_ITEM = ParagraphStyle("item", _BODY, leftIndent=10, bulletIndent=1)
_SEAL = ParagraphStyle(
    "seal", _BODY, backColor=_WASH, borderPadding=7, leftIndent=7, rightIndent=7, spaceBefore=18, spaceAfter=12
)

_LINED = TableStyle(
    [
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LEFTPADDING", (0, 0), (-1, -1), 0),
        ("RIGHTPADDING", (0, 0), (-1, -1), 7),
        ("TOPPADDING", (0, 0), (-1, -1), 3.2),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 4),
        ("LINEBELOW", (0, 0), (-1, -1), 0.4, _LINE),
    ]
)
_UNLINED = TableStyle(
    [
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LEFTPADDING", (0, 0), (-1, -1), 0),
        ("TOPPADDING", (0, 0), (-1, -1), 0.5),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 1.5),
    ]
)


def convention_pdf(sheet: Sheet) -> bytes:
    """The convention as a PDF file, A4."""
    _register_fonts()
    output = io.BytesIO()
    document = SimpleDocTemplate(
        output,
        pagesize=A4,
        leftMargin=_MARGIN,
        rightMargin=_MARGIN,
        topMargin=_MARGIN,
        bottomMargin=_MARGIN + 4 * mm,
        title=f"{sheet.title}, convention {sheet.id}, version {sheet.version}",
        subject="Convention de partage de données",
        lang="fr",
        displayDocTitle=True,
        invariant=1,
    )
    document.build([*_heading(sheet), *_sections(sheet)], canvasmaker=_Numbered)
    return output.getvalue()


class _Numbered(Canvas):
    """Writes `page / pages` at the foot of each page, which asks to know how many there are before writing the first."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._pages: list[dict[str, Any]] = []

    def showPage(self) -> None:  # noqa: N802 - the name is reportlab's
        self._pages.append(dict(self.__dict__))
        self._startPage()  # type: ignore[attr-defined]  # not in the stubs

    def save(self) -> None:
        for number, page in enumerate(self._pages, start=1):
            self.__dict__.update(page)
            self.setFont("Vera", 7.4)
            self.setFillColor(_QUIET)
            self.drawRightString(A4[0] - _MARGIN, 11 * mm, f"{number} / {len(self._pages)}")
            super().showPage()
        super().save()


def _heading(sheet: Sheet) -> list[Flowable]:
    place = f"Territoire : {sheet.territory}. " if sheet.territory else ""
    reference = f"Référence {sheet.id}, version {sheet.version}."
    rule = Table([[""]], [_WIDTH], [5], style=TableStyle([("LINEBELOW", (0, 0), (-1, -1), 2, _ACCENT)]))
    return [
        _text("Convention de partage de données", _WHAT),
        _text(sheet.title, _TITLE),
        _text(f"{place}Du {sheet.since} au {sheet.until} inclus. {reference}", _SMALL),
        rule,
    ]


def _sections(sheet: Sheet) -> list[Flowable]:
    entitled = [Row(party.name, party.nir_ground) for party in sheet.parties if party.nir_ground]
    return [
        *_section("1. Les parties", _parties(sheet.parties)),
        *_section("2. Les finalités", *_listed(sheet.purposes)),
        _text("Ce sont les seules. Contrôler ou sanctionner n'en est pas une (CRPA L114-8 II)."),
        *_section("3. Les bases légales", _rows(("Texte", "RGPD", "Flux"), sheet.bases, (0.5, 0.25, 0.25))),
        *_section(
            "4. Ce qui est transmis", _text("Chaque flux est à sens unique. Ce qui n'est pas écrit ici ne sort pas.")
        ),
        *(part for flow in sheet.flows for part in _flow(flow)),
        *_section("5. Ce qui ne sort jamais", *_listed(NEVER)),
        *_section(
            "6. Le numéro de sécurité sociale (NIR)",
            _rows(("Partie habilitée à le recevoir", "Fondement"), entitled, (0.4, 0.6))
            if entitled
            else _text("Aucune partie ne le reçoit."),
        ),
        *_section(
            "7. La conservation", _rows(("Données", "Durée", "Justification"), sheet.retention, (0.45, 0.2, 0.35))
        ),
        *_section("8. L'information et les droits des personnes", *_listed(RIGHTS)),
        *_section(
            "9. La durée, les canaux et les volumes",
            _text(
                f"La convention s'applique du {sheet.since} au {sheet.until} inclus, une fois signée par toutes les parties. "
                "Chaque partie peut la suspendre ou la dénoncer : les échanges en cours s'arrêtent aussitôt."
            ),
            _text(f"Canaux : {' ; '.join(sheet.channels)}. {sheet.signed_requests} {sheet.volumes}"),
        ),
        KeepTogether(_signing(sheet)),
    ]


def _section(title: str, *content: Flowable) -> list[Flowable]:
    return [_text(title, _SECTION), *content]


def _parties(parties: Sequence[PartySheet]) -> Flowable:
    rows = []
    for party in parties:
        role = party.role + (f", agit pour {party.acts_for}" if party.acts_for else "")
        rows.append(
            [
                [_text(party.name, bold=True), _text(role, _SMALL)],
                _text(party.siret),
                [_text(party.dpo), _text(party.dpo_email, _SMALL)],
            ]
        )
    return _table(("Organisation", "SIRET", "Protection des données"), rows, (0.4, 0.22, 0.38))


def _flow(flow: FlowSheet) -> list[Flowable]:
    terms = [
        ("Émetteur", flow.sender),
        ("Destinataire", flow.recipient),
        ("Finalités", " ; ".join(flow.purposes)),
        ("Base légale", flow.basis),
        ("Accord de la personne", flow.agreement),
        *([("Données sensibles", flow.special)] if flow.special else []),
        *([("Accès d'urgence", flow.emergency)] if flow.emergency else []),
    ]
    about = [[_text(name, _SMALL), _text(said)] for name, said in terms]
    rows = [
        [
            _text(group.label, bold=True),
            [_fields(within, titles) for within, titles in group.fields.items()],
        ]
        for group in flow.groups
    ]
    beginning = [
        _text(f"{flow.document} (flux « {flow.id} »)", _FLOW),
        Table(about, [0.2 * _WIDTH, 0.8 * _WIDTH], style=_UNLINED),
        _text(f"Données qui peuvent sortir : {flow.count} champs au plus", _CAPTION),
    ]
    widths = [0.27 * _WIDTH, 0.73 * _WIDTH]
    # The beginning of a flow stays with the first of its categories.
    first = KeepTogether([*beginning, Table(rows[:1], widths, style=_LINED)])
    return [first, Table(rows[1:], widths, style=_LINED)] if rows[1:] else [first]


def _fields(within: str, titles: Sequence[str]) -> Paragraph:
    before = f'<i><font color="#55606e">{escape(_drawable(within))} :</font></i> ' if within else ""
    return Paragraph(f"{before}{escape(_drawable(', '.join(titles)))}.", _BODY)


def _signing(sheet: Sheet) -> list[Flowable]:
    rows = []
    for signature in sheet.signatures:
        key = f"clé « {signature.kid} »"
        signed = [_text(f"Signée électroniquement le {signature.signed}"), _text(key, _SMALL)]
        rows.append([_text(signature.party, bold=True), "", signed if signature.signed else ""])
    titles = ("Partie", "Nom et qualité du signataire", "Date et signature")
    return [
        *_section("10. Les signatures", _table(titles, rows, (0.38, 0.31, 0.31), height=17 * mm)),
        _text(
            "Les parties signent aussi, chacune avec sa clé, l'empreinte du fichier dont cette page est tirée (SHA-256 de la forme "
            f"RFC 8785). C'est ce fichier que la passerelle applique. {sheet.hash}",
            _SEAL,
        ),
        _text(
            "Les articles cités sont ceux que les parties ont retenus ; le juriste et le délégué à la protection des données de "
            "chacune les confirment.",
            _SMALL,
        ),
    ]


def _listed(sentences: Sequence[str]) -> list[Flowable]:
    return [Paragraph(escape(_drawable(sentence)), _ITEM, bulletText="•") for sentence in sentences]


def _rows(titles: Sequence[str], rows: Sequence[Row], widths: Sequence[float]) -> Flowable:
    cells = [[_text(row.name, bold=True), _text(row.value), _text(row.remark)][: len(titles)] for row in rows]
    return _table(titles, cells, widths)


def _table(
    titles: Sequence[str], rows: Sequence[list[Any]], widths: Sequence[float], height: float | None = None
) -> Flowable:
    heights = [None, *[height for _ in rows]]
    head = [_text(title, _HEAD) for title in titles]
    columns = [share * _WIDTH for share in widths]
    return Table([head, *rows], columns, heights, style=_LINED, repeatRows=1)


def _text(text: str, style: ParagraphStyle = _BODY, *, bold: bool = False) -> Paragraph:
    shown = escape(_drawable(text))
    return Paragraph(f"<b>{shown}</b>" if bold else shown, style)


def _drawable(text: str) -> str:
    """The text in the characters of the font: a letter that it lacks loses its accents, anything else becomes a `?`."""
    known = _glyphs()
    kept = []
    for character in unicodedata.normalize("NFC", text):
        plain = [part for part in unicodedata.normalize("NFKD", character) if ord(part) in known]
        kept.append(character if ord(character) in known else "".join(plain) or "?")
    return "".join(kept)


@cache
def _glyphs() -> frozenset[int]:
    _register_fonts()
    font = getFont("Vera")
    assert isinstance(font, TTFont)
    return frozenset(font.face.charToGlyph)


@cache
def _register_fonts() -> None:
    for name, file in _FACES.items():
        registerFont(TTFont(name, file))
    registerFontFamily("Vera", *_FACES)
