"""Reads Turtle by rdflib into triples that know their file and line. Does not know what the triples mean.

Invariant: a file is read once a process: every process loads the platform's own texts before it knows the project's beside them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from io import BytesIO
from typing import Any, Final
from urllib.parse import quote

from rdflib import BNode, Graph, Literal, URIRef
from rdflib.plugins.parsers.notation3 import BadSyntax, RDFSink, SinkParser
from rdflib.term import Node

from kg.errors import OntologyError
from kg.ontology.vocabulary import RDF, short

#: Characters of one file and triples of all; an ontology beyond this is data and belongs into a source.
TEXT_MAX: Final = 10_000_000
TRIPLES_MAX: Final = 500_000
LIST_ITEMS_MAX: Final = 10_000
#: Texts whose triples are kept.
FILES_KEPT: Final = 32

#: Subject, predicate and object.
Triple = tuple[Any, Any, Any]


class _Sink(RDFSink):
    """Takes the statements of one file and notes the line of each."""

    def __init__(self, file: str) -> None:
        super().__init__(Graph())
        self.parser: Any = None
        self.read: list[tuple[Triple, int]] = []
        self._file = file

    def makeStatement(self, quadruple: Any, why: Any = None) -> None:  # noqa: N802
        del why
        _, predicate, subject, object_ = quadruple
        triple = (self.normalise(None, subject), self.normalise(None, predicate), self.normalise(None, object_))
        if len(self.read) >= TRIPLES_MAX:
            raise _too_many(self._file)
        self.read.append((triple, self.parser.lines + 1))


@dataclass(slots=True)
class Document:
    """All triples of all files, each with the place it came from."""

    places: dict[Any, tuple[str, int]] = field(default_factory=dict)
    files: dict[Any, set[str]] = field(default_factory=dict)
    _about: dict[Any, dict[str, list[Any]]] = field(default_factory=dict)
    _having: dict[str, dict[Any, list[Any]]] = field(default_factory=dict)

    def note(self, triple: Triple, file: str, line: int) -> None:
        """Take a triple in, with the place where it, and first of all its subject, stands."""
        if triple in self.places:
            self.files[triple[0]].add(file)
            return
        if len(self.places) > TRIPLES_MAX:
            raise _too_many(file)
        subject, predicate, object_ = triple
        self.places[triple] = (file, line)
        self.places.setdefault(subject, (file, line))
        self.files.setdefault(subject, set()).add(file)
        self._about.setdefault(subject, {}).setdefault(str(predicate), []).append(object_)
        self._having.setdefault(str(predicate), {}).setdefault(object_, []).append(subject)

    def error(self, message: str, subject: Any, predicate: str | None = None, value: Any = None) -> OntologyError:
        """The error with the file and line of the statement, or of its subject."""
        triple = None
        if predicate is not None:
            value = value if value is not None else next(iter(self._objects(subject, predicate)), None)
            triple = (subject, URIRef(predicate), value)
        file, line = self.places.get(triple) or self.places.get(subject) or ("ontology", 0)
        return OntologyError(f"{file} line {line}: {message}" if line else f"{file}: {message}")

    def about(self, subject: Any) -> list[tuple[str, Node]]:
        """The predicates and objects of a subject, in the order of the files."""
        pairs = [(term, value) for term, values in self._about.get(subject, {}).items() for value in values]
        return sorted(pairs, key=lambda pair: self.places.get((subject, URIRef(pair[0]), pair[1]), ("", 0)))

    def pairs(self, predicate: str) -> Iterator[tuple[Node, Node]]:
        """Every subject and object of a predicate."""
        for value, subjects in self._having.get(predicate, {}).items():
            for subject in subjects:
                yield subject, value

    def subjects(self, predicate: str, value: Any = None) -> Iterator[Node]:
        """The subjects that have this predicate (and value), in the order of the files."""
        object_ = URIRef(value) if isinstance(value, str) else value
        having = self._having.get(predicate, {})
        found = {node for node, _ in self.pairs(predicate)} if object_ is None else having.get(object_, ())
        return iter(sorted(found, key=lambda node: (*self.places.get(node, ("", 0)), str(node))))

    def values(self, subject: Any, predicate: str) -> list[Node]:
        """The objects of a subject's predicate, in the order of the file."""
        found = list(self._objects(subject, predicate))
        if len(found) > 1:
            term = URIRef(predicate)
            found.sort(key=lambda node: (*self.places.get((subject, term, node), ("", 0)), str(node)))
        return found

    def one(self, subject: Any, predicate: str) -> Node | None:
        """The only object of a predicate, None where there is none; two are an error."""
        found = self.values(subject, predicate)
        if len(found) > 1:
            raise self.error(
                f"{name(subject)} has two values of {short(predicate)}; keep one", subject, predicate, found[1]
            )
        return found[0] if found else None

    def text(self, subject: Any, predicate: str) -> str:
        """A text for people: the English one where several languages are given, else the first."""
        found = [node for node in self.values(subject, predicate) if isinstance(node, Literal)]
        found.sort(key=lambda literal: (literal.language or "en") != "en")
        return str(found[0]) if found else ""

    def items(self, subject: Any, predicate: str, head: Any) -> list[Node]:
        """The items of an RDF list."""
        items: list[Node] = []
        seen: set[Any] = set()
        place = head
        while place is not None and place != _NIL and place not in seen and len(items) <= LIST_ITEMS_MAX:
            seen.add(place)
            items += self._objects(place, RDF + "first")[:1]
            place = next(iter(self._objects(place, RDF + "rest")), None)
        if not items or place != _NIL:
            raise self.error(f"{short(predicate)} is no proper list; write ( item item … )", subject, predicate, head)
        return items

    def _objects(self, subject: Any, predicate: str) -> list[Any]:
        return self._about.get(subject, {}).get(predicate, [])


_NIL: Final = URIRef(RDF + "nil")


def _too_many(file: str) -> OntologyError:
    return OntologyError(f"{file}: more than {TRIPLES_MAX:,} statements; an ontology holds no data, ingest it instead")


def name(node: Any) -> str:
    """How a node is shown in a message: its prefixed form, its local name in quotes, or "an anonymous node"."""
    if isinstance(node, BNode):
        return "an anonymous node"
    return short(str(node))


def read(texts: Mapping[str, str]) -> Document:
    """All triples of the named Turtle texts; OntologyError with file and line where one is malformed."""
    document = Document()
    for file, text in texts.items():
        if len(text) > TEXT_MAX:
            raise OntologyError(
                f"{file}: longer than {TEXT_MAX:,} characters; an ontology holds no data, ingest it instead"
            )
        for triple, line in _triples(file, text):
            document.note(triple, file, line)
    return document


@lru_cache(maxsize=FILES_KEPT)
def _triples(file: str, text: str) -> tuple[tuple[Triple, int], ...]:
    """The triples of one file, each with its line."""
    sink = _Sink(file)
    parser = SinkParser(sink, baseURI=f"urn:noesis:file:{quote(file)}#", turtle=True)
    sink.parser = parser
    try:
        parser.loadStream(BytesIO(text.encode()))
    except BadSyntax as error:
        raise OntologyError(f"{file} line {error.lines + 1}: not valid Turtle ({_reason(error)}); correct it") from None
    except UnicodeEncodeError:
        raise OntologyError(f"{file}: holds a broken character (lone surrogate); save it as UTF-8") from None
    except OntologyError:
        raise
    except RecursionError:
        raise OntologyError(f"{file} line {parser.lines + 1}: nested too deep; flatten it") from None
    except Exception as error:
        # rdflib lets plain ValueError, KeyError and the like escape for broken literals and addresses.
        raise OntologyError(
            f"{file} line {parser.lines + 1}: not valid Turtle ({type(error).__name__}); correct it"
        ) from None
    return tuple(sink.read)


def _reason(error: BadSyntax) -> str:
    text = " ".join(str(error._why).split())
    return text[:160]
