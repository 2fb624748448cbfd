"""Reads Turtle by rdflib into triples that know their file and line. Does not know what the triples mean."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

from rdflib import BNode, Graph, Literal, URIRef
from rdflib.collection import Collection
from rdflib.plugins.parsers.notation3 import BadSyntax, RDFSink, SinkParser
from rdflib.term import Node

from kg.errors import OntologyError
from kg.ontology.vocabulary import short

#: Characters of one file and triples of all; an ontology beyond this is data and belongs into a source.
TEXT_MAX = 10_000_000
TRIPLES_MAX = 500_000
LIST_ITEMS_MAX = 10_000


class _Sink(RDFSink):
    """Takes the statements of one file and notes the line of each."""

    def __init__(self, graph: Graph, document: "Document", file: str) -> None:
        super().__init__(graph)
        self.parser: Any = None
        self._document = document
        self._file = file

    def makeStatement(self, quadruple: Any, why: Any = None) -> None:  # noqa: N802
        super().makeStatement(quadruple, why)
        _, predicate, subject, object_ = quadruple
        triple = tuple(self.normalise(None, part) for part in (subject, predicate, object_))
        self._document.note(triple, self._file, self.parser.lines + 1)


@dataclass(slots=True)
class Document:
    """All triples of all files, each with the place it came from."""

    graph: Graph = field(default_factory=Graph)
    places: dict[Any, tuple[str, int]] = field(default_factory=dict)
    files: dict[Any, set[str]] = field(default_factory=dict)

    def note(self, triple: Any, file: str, line: int) -> None:
        """Remember where a triple, and first of all its subject, stands."""
        if len(self.places) > TRIPLES_MAX:
            raise OntologyError(
                f"{file}: more than {TRIPLES_MAX:,} statements; an ontology holds no data, ingest it instead"
            )
        self.places.setdefault(triple, (file, line))
        self.places.setdefault(triple[0], (file, line))
        self.files.setdefault(triple[0], set()).add(file)

    def error(self, message: str, subject: Any, predicate: str | None = None, value: Any = None) -> OntologyError:
        """The error with the file and line of the statement, or of its subject."""
        triple = None
        if predicate is not None:
            value = value if value is not None else self.graph.value(subject, URIRef(predicate))
            triple = (subject, URIRef(predicate), value)
        file, line = self.places.get(triple) or self.places.get(subject) or ("ontology", 0)
        return OntologyError(f"{file} line {line}: {message}" if line else f"{file}: {message}")

    def subjects(self, predicate: str, value: Any = None) -> Iterator[Node]:
        """The subjects that have this predicate (and value), in the order of the files."""
        object_ = URIRef(value) if isinstance(value, str) else value
        found = set(self.graph.subjects(URIRef(predicate), object_))
        return iter(sorted(found, key=lambda node: (*self.places.get(node, ("", 0)), str(node))))

    def values(self, subject: Any, predicate: str) -> list[Node]:
        """The objects of a subject's predicate, in the order of the file."""
        found = list(self.graph.objects(subject, URIRef(predicate)))
        return sorted(
            found, key=lambda node: (*self.places.get((subject, URIRef(predicate), node), ("", 0)), str(node))
        )

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
        try:
            for item in Collection(self.graph, head):
                items.append(item)
                if len(items) > LIST_ITEMS_MAX:
                    break
        except ValueError:  # rdflib: "List contains a recursive rdf:rest reference"
            items = []
        if not items or len(items) > LIST_ITEMS_MAX:
            raise self.error(f"{short(predicate)} is no proper list; write ( item item … )", subject, predicate, head)
        return items


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
        sink = _Sink(document.graph, document, file)
        parser = SinkParser(sink, baseURI=f"urn:noesis:file:{len(document.places)}#", turtle=True)
        sink.parser = parser
        try:
            parser.loadStream(BytesIO(text.encode()))
        except BadSyntax as error:
            raise OntologyError(
                f"{file} line {error.lines + 1}: not valid Turtle ({_reason(error)}); correct it"
            ) from None
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
    return document


def _reason(error: BadSyntax) -> str:
    text = " ".join(str(error._why).split())
    return text[:160]
