"""PROV-N (W3C Recommendation, 30 April 2013): reads its text into the PROV-JSON form, which `kg.prov_constraints` checks.

Invariant: one statement of the text is one record of the form, with its arguments under the names of PROV-DM; ``-`` is a missing
one. Expressions of other vocabularies are read over. Linear in the text, bounded, without recursion; judges nothing.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from kg.errors import InputError
from kg.prov_constraints.document import OBJECTS, RELATIONS, STATEMENTS_MAX

#: Characters of one document.
TEXT_MAX: Final = 20_000_000
_SIGNS: Final = "()[],;="
_TOKEN = re.compile(
    r"(?P<skip>\s+|//[^\n]*|/\*.*?\*/)"
    r"|(?P<open>/\*)"
    r'|(?P<text>"""(?:\\.|[^\\])*?"""|"(?:\\.|[^"\\\n])*")'
    r"|(?P<quoted>'(?:\\.|[^'\\\n])*')"
    r"|(?P<iri><[^<>\s]*>)|(?P<of>%%)|(?P<language>@[A-Za-z]+(?:-[A-Za-z0-9]+)*)"
    rf"|(?P<sign>[{re.escape(_SIGNS)}])"
    r"|(?P<word>(?:\\.|%[0-9A-Fa-f]{2}|[^\s()\[\],;=\"'<>%\\])+)",
    re.DOTALL,
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_QNAMES: Final = {"prov:QUALIFIED_NAME", "xsd:QName"}

Token = tuple[str, str, int]


def read(text: str) -> dict[str, Any]:
    """The PROV-JSON form of a PROV-N document; InputError where it is none."""
    if len(text) > TEXT_MAX:
        raise InputError(f"the document has more than {TEXT_MAX:,} characters; check its bundles one by one")
    reader = _Reader(text, _tokens(text))
    reader.next()
    reader.word("document")
    document = reader.body("endDocument")
    if reader.kind:
        raise reader.wrong("nothing follows `endDocument`")
    return document


def _tokens(text: str) -> Iterator[Token]:
    place = 0
    while place < len(text):
        found = _TOKEN.match(text, place)
        if found is None:
            raise InputError(f"line {_line(text, place)}: {text[place : place + 20]!r} is no PROV-N; correct the file")
        if found.lastgroup == "open":
            raise InputError(f"line {_line(text, place)}: the comment that begins here has no end; close it with */")
        if found.lastgroup != "skip":
            yield str(found.lastgroup), found[0], place
        place = found.end()
    yield "", "", place


def _line(text: str, place: int) -> int:
    return text.count("\n", 0, place) + 1


@dataclass(slots=True)
class _Reader:
    """Reads expressions from tokens, always one token ahead."""

    text: str
    tokens: Iterator[Token]
    kind: str = ""
    value: str = ""
    place: int = 0
    count: int = 0
    _blank: int = field(default=0)

    def next(self) -> str:
        """Go on; gives the token that was ahead."""
        value = self.value
        self.kind, self.value, self.place = next(self.tokens, ("", "", len(self.text)))
        return value

    def wrong(self, wanted: str) -> InputError:
        """The error at the token ahead."""
        found = repr(self.value[:40]) if self.kind else "the end"
        return InputError(f"line {_line(self.text, self.place)}: {wanted}, found {found}; correct the PROV-N document")

    def word(self, *wanted: str) -> str:
        """A word, one of these if any are given."""
        if self.kind != "word" or (wanted and self.value not in wanted):
            raise self.wrong(f"expected {' or '.join(wanted) or 'a name'}")
        return self.next()

    def sign(self, wanted: str) -> None:
        """A sign."""
        if self.kind != "sign" or self.value != wanted:
            raise self.wrong(f"expected {wanted!r}")
        self.next()

    def is_sign(self, *wanted: str) -> bool:
        """Whether one of these signs is ahead."""
        return self.kind == "sign" and self.value in wanted

    def body(self, end: str) -> dict[str, Any]:
        """Declarations, expressions and bundles up to the closing word."""
        made: dict[str, Any] = {}
        while not (self.kind == "word" and self.value == end):
            name = self.word()
            if name in ("prefix", "default"):
                prefix = self.word() if name == "prefix" else "default"
                if self.kind != "iri":
                    raise self.wrong("expected an address in <>")
                made.setdefault("prefix", {})[prefix] = self.next()[1:-1]
            elif name == "bundle" and end == "endDocument":
                bundle = _name(self.word())
                if bundle in made.setdefault("bundle", {}):
                    raise self.wrong(f"bundle {bundle} is there twice")
                made["bundle"][bundle] = self.body("endBundle")
            else:
                self.expression(name, made)
        self.next()
        return made

    def expression(self, name: str, made: dict[str, Any]) -> None:
        """One expression, put into the form under its kind and id."""
        self.count += 1
        if self.count > STATEMENTS_MAX:
            raise InputError(f"the document has more than {STATEMENTS_MAX:,} statements; check its bundles one by one")
        self.sign("(")
        id, given, more = self.arguments(free=":" in name)
        if ":" in name:
            return
        formals = OBJECTS.get(name)
        if formals is not None:
            id, given = (given[0] if given else None), given[1:]
        elif (formals := RELATIONS.get(name)) is None:
            raise InputError(f"{name[:40]!r} is no expression of PROV-N; known are {', '.join([*OBJECTS, *RELATIONS])}")
        if (name in OBJECTS and id is None) or (name in RELATIONS and not any(given)) or len(given) > len(formals):
            raise self.wrong(
                f"{name} takes {'a name, then ' if name in OBJECTS else ''}{', '.join(formals)} before this"
            )
        record: dict[str, Any] = {f"prov:{k}": v for k, v in zip(formals, given, strict=False) if v is not None} | more
        if id is None:
            self._blank += 1
            id = f"_:n{self._blank}"
        made.setdefault(name, {}).setdefault(id, []).append(record)

    def arguments(self, *, free: bool) -> tuple[str | None, list[str | None], dict[str, Any]]:
        """The id before a semicolon, the arguments (of any kind where `free`), the attributes."""
        id: str | None = None
        given: list[str | None] = []
        more: dict[str, Any] = {}
        while not self.is_sign(")"):
            if self.is_sign("["):
                more = self.attributes()
                break
            word = self.next() if free and self.kind in ("text", "quoted") else self.word()
            given.append(None if word == "-" else _name(word))
            if self.is_sign(";") and id is None and len(given) == 1:
                self.next()
                id, given = given[0], []
            elif not self.is_sign(")"):
                self.sign(",")
        self.sign(")")
        return id, given, more

    def attributes(self) -> dict[str, Any]:
        """What stands in brackets; only types matter to the constraints."""
        self.sign("[")
        types: list[Any] = []
        while not self.is_sign("]"):
            name = _name(self.word())
            self.sign("=")
            value = self.literal()
            if name == "prov:type":
                types.append(value)
            if not self.is_sign("]"):
                self.sign(",")
        self.sign("]")
        return {"prov:type": types} if types else {}

    def literal(self) -> Any:
        """A literal as PROV-JSON has it."""
        if self.kind == "quoted":
            return {"$": _name(self.next()[1:-1]), "type": "prov:QUALIFIED_NAME"}
        if self.kind == "word":
            return self.next()
        if self.kind != "text":
            raise self.wrong("expected a value")
        raw = self.next()
        text = _name(raw[3:-3] if raw.startswith('"""') else raw[1:-1])
        if self.kind == "language":
            self.next()
        elif self.kind == "of":
            self.next()
            kind = self.next()[1:-1] if self.kind == "iri" else self.word()
            return {"$": text, "type": "prov:QUALIFIED_NAME" if kind in _QNAMES else kind}
        return text


def _name(text: str) -> str:
    """A name or text without its escapes."""
    return _ESCAPE.sub(r"\1", text) if "\\" in text else text
