"""A dossier as a PDF: the same texts as the page, set by reportlab with the fonts that it brings.

Invariant: texts are escaped before reportlab reads its own markup in them, and nothing is fetched. The document is made without
the time of making in its identity, so the same dossier gives the same bytes.
"""

from collections.abc import Sequence
from html import escape
from io import BytesIO
from typing import Any

from api.reports.letters import legible
from governance.answers import Answer

#: Characters of one paragraph; longer texts are in the bundle.
PARAGRAPH_MAX = 3_000
#: Characters of the title among the document's properties.
TITLE_MAX = 300


def paper(title: str, facts: Sequence[tuple[str, str]], answers: Sequence[Answer], how: Sequence[str]) -> bytes:
    """The PDF's bytes."""
    from reportlab.lib.pagesizes import A4
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.lib.units import mm
    from reportlab.platypus import Paragraph, SimpleDocTemplate, Spacer

    _fonts()
    plain = ParagraphStyle("plain", fontName="Vera", fontSize=8.5, leading=12, wordWrap="CJK", spaceAfter=2)
    head = ParagraphStyle(
        "head", parent=plain, fontName="VeraBd", fontSize=10.5, leading=14, spaceBefore=10, keepWithNext=1
    )
    top = ParagraphStyle("top", parent=head, fontSize=14, leading=18)
    parts: list[Any] = [Paragraph(_safe(title), top)]
    parts += [Paragraph(f'<font name="VeraBd">{_safe(name)}</font> {_safe(value)}', plain) for name, value in facts]
    for one in answers:
        parts.append(Paragraph(_safe(f"{one.number}. {one.question}"), head))
        parts += [Paragraph(_safe(line), plain) for line in one.lines]
        if one.rests:
            parts.append(Paragraph(_safe(f"Rests on changes {', '.join(map(str, sorted(one.rests)[:40]))}."), plain))
    parts += [Paragraph("How to check this", head), *(Paragraph(_safe(line), plain) for line in how), Spacer(1, 2 * mm)]
    out = BytesIO()
    made = SimpleDocTemplate(
        out,
        pagesize=A4,
        title=legible(title[:TITLE_MAX]),
        author="Noesis",
        invariant=1,
        leftMargin=18 * mm,
        rightMargin=18 * mm,
    )
    made.build(parts, onFirstPage=_numbered, onLaterPages=_numbered)
    return out.getvalue()


def _fonts() -> None:
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFont

    for name in ("Vera", "VeraBd"):
        if name not in pdfmetrics.getRegisteredFontNames():
            pdfmetrics.registerFont(TTFont(name, f"{name}.ttf"))


def _numbered(canvas: Any, document: Any) -> None:
    canvas.setFont("Vera", 7)
    canvas.drawCentredString(document.pagesize[0] / 2, 24, str(canvas.getPageNumber()))


def _safe(text: str) -> str:
    cut = text if len(text) <= PARAGRAPH_MAX else text[: PARAGRAPH_MAX - 1] + "…"
    return escape(legible(cut), quote=False)
