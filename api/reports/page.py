"""A dossier as one HTML page: no script, no remote resource, every text escaped, made to be printed.

Invariant: whatever the graph holds is shown as text; the page forbids everything but its own style (Content-Security-Policy).
"""

from collections.abc import Sequence
from html import escape
from typing import Final

from api.reports.letters import legible
from governance.answers import Answer

STYLE: Final = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 52rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .4rem; border-top: 1px solid #8886; padding-top: 1rem; }
p { margin: .35rem 0; overflow-wrap: anywhere; white-space: pre-wrap; }
table { border-collapse: collapse; width: 100%; font-size: .85rem; }
th, td { text-align: left; vertical-align: top; padding: .25rem .6rem .25rem 0; border-bottom: 1px solid #8884; }
td { overflow-wrap: anywhere; }
code, .fact { font-family: ui-monospace, monospace; font-size: .85em; } .quiet { opacity: .7; font-size: .85rem; }
@page { margin: 18mm; } @media print { body { max-width: none; margin: 0; font-size: 10pt; } h2 { break-after: avoid; } }
"""
POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
#: Quoted values shown under an answer; all are in the bundle.
QUOTES_MAX: Final = 40


def page(title: str, facts: Sequence[tuple[str, str]], answers: Sequence[Answer], how: Sequence[str]) -> str:
    """The page: title, a table of facts about the dossier, the answers, and how to check it."""
    head = "".join(f"<tr><th>{_show(name)}</th><td>{_show(value)}</td></tr>" for name, value in facts)
    index = "".join(f'<li><a href="#q{one.number}">{_show(one.question)}</a></li>' for one in answers)
    body = "".join(map(_answer, answers))
    steps = "".join(f"<p><code>{_show(line)}</code></p>" for line in how)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="referrer" content="no-referrer">'
        f"<title>{_show(title)}</title><style>{STYLE}</style></head><body><h1>{_show(title)}</h1><table>{head}</table>"
        f"<ol>{index}</ol>{body}<h2>How to check this</h2>{steps}</body></html>\n"
    )


def _answer(one: Answer) -> str:
    lines = "".join(f"<p>{_show(line)}</p>" for line in one.lines)
    rows = "".join(
        f"<tr><td>{position}</td><td>{_show(name)}</td><td class=fact>{_show(_value(value))}</td></tr>"
        for position, name, value in one.quotes[:QUOTES_MAX]
    )
    more = f"<p class=quiet>{len(one.quotes) - QUOTES_MAX} more quotations are in the bundle.</p>"
    table = f"<table><tr><th>change</th><th>property</th><th>recorded value</th></tr>{rows}</table>" if rows else ""
    rest = (
        f"<p class=quiet>Rests on changes {', '.join(map(str, sorted(one.rests)[:QUOTES_MAX]))}.</p>"
        if one.rests
        else ""
    )
    return (
        f'<section id="q{one.number}"><h2>{one.number}. {_show(one.question)}</h2>{lines}{rest}{table}'
        f"{more if len(one.quotes) > QUOTES_MAX else ''}</section>"
    )


def _value(value: object) -> str:
    if isinstance(value, dict):
        return " ".join(map(str, value.values()))
    if isinstance(value, list):
        return "; ".join(_value(item) for item in value)
    return str(value)


def _show(text: str) -> str:
    """Escaped text, legible."""
    return escape(legible(text), quote=True)
