"""A draft as the files of a project: an ontology in Turtle and a mapping in YAML, with what a person should look at as comments.

Invariant: what is written is read by `kg.ontology.load` and `load_mapping`, whatever tables and columns are called.
"""

import re
from collections.abc import Iterator
from typing import Final

from kg.ingest.drafting.columns import ROWS_MAX
from kg.ingest.drafting.draft import Class, Draft, Property, Relation

_HEAD = """@prefix : <urn:{name}#> .
@prefix n: <urn:noesis:ns#> .
@prefix owl: <http://www.w3.org/2002/07/owl#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix sh: <http://www.w3.org/ns/shacl#> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
"""
#: What a comment keeps of a text that is not ours.
_TOLD_MAX: Final = 200
_PLAIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")
#: Plain words that are no texts (YAML 1.1, bool and null).
_WORDS_OF_YAML: Final = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})


def ontology(draft: Draft, name: str) -> str:
    """The classes of a draft as Turtle; `name` goes into their namespace and must be letters, digits and hyphens."""
    parts = [_HEAD.format(name=name), *map(_class, draft.classes)]
    return "\n".join(parts)


def _class(cls: Class) -> str:
    key = " ".join(f'"{name}"' for name in cls.key)
    members = [*(_property(one, cls.key == (one.name,)) for one in cls.properties), *map(_relation, cls.relations)]
    seen = f"{cls.rows:,} rows" if cls.whole else f"the first {ROWS_MAX:,} rows"
    return (
        f"# {_told(cls.table)}: read off {seen}.\n"
        f":{cls.name} a owl:Class, sh:NodeShape ; n:key {f'( {key} )' if len(cls.key) > 1 else key} ;\n"
        "  sh:property\n    " + " ,\n    ".join(members) + " .\n"
    )


def _property(one: Property, key: bool) -> str:
    said = [f"sh:path :{one.name}", f"sh:datatype xsd:{one.column.type}"]
    if one.column.type == "string":
        said.append(f"n:searchable {str(one.searchable).lower()}")
    if key:
        said.append("n:indexed true")
    if one.personal:
        said += ["n:personal true", 'n:sensitivity "pii"']
    return f"[ {' ; '.join(said)} ]"


def _relation(one: Relation) -> str:
    return f'[ sh:path :{one.name} ; sh:class :{one.target} ; sh:maxCount 1 ; n:inverse "{one.inverse}" ]'


def mapping(draft: Draft, name: str) -> str:
    """The tables of a draft as a mapping; `name` is that of the source system."""
    lines = [
        f"source: {name}",
        "time_zone: UTC  # of dates and times that come without one: put the source's own here",
        "tables:",
        *(line for cls in draft.classes for line in _table(cls)),
    ]
    lines += [f"  # {_told(table)} is left out: {_told(reason)}" for table, reason in draft.left.items()]
    return "\n".join(lines) + "\n"


def _table(cls: Class) -> Iterator[str]:
    columns = {one.name: one for one in cls.properties}
    yield f"  - from: {_text(cls.table)}"
    yield f"    class: {cls.name}"
    if cls.encoding is not None:
        yield f"    encoding: {_text(cls.encoding)}"
    yield f"    key: {{ {', '.join(f'{name}: {_pick(columns[name])}' for name in cls.key)} }}"
    plain = [one for one in cls.properties if one.name not in cls.key]
    if plain:
        yield "    properties:"
        yield from (f"      {one.name}: {_pick(one)}" for one in plain)
    if cls.relations:
        yield "    relations:"
        yield from (f"      {one.name}: {_pointing(one)}" for one in cls.relations)
    yield from (f"    # {_named(column)} is left out: {reason}" for column, reason in cls.without.items())
    yield from (f"    # {_told(doubt)}" for doubt in cls.doubts)


def _pick(one: Property) -> str:
    more = {"round": one.column.round, "format": one.column.format}
    said = [f"{name}: {_text(value)}" for name, value in more.items() if value is not None]
    return f"{{ column: {_text(one.column.name)}, {', '.join(said)} }}" if said else _text(one.column.name)


def _pointing(one: Relation) -> str:
    if len(one.columns) == 1:
        return _text(one.columns[0])
    return f"{{ column: [{', '.join(map(_text, one.columns))}], by: [{', '.join(one.by)}] }}"


def _text(value: str | int) -> str:
    """A scalar of YAML 1.1 that is read back as it is: plain where that is safe, else in double quotes."""
    if isinstance(value, int):
        return str(value)
    if _PLAIN.match(value) and value.lower() not in _WORDS_OF_YAML:
        return value
    kept = (c if c.isprintable() and c not in '"\\' else f"\\U{ord(c):08x}" for c in value)
    return f'"{"".join(kept)}"'


def _named(column: str) -> str:
    return _told(column) if column.strip() else "a column"


def _told(text: str) -> str:
    """A text in a comment: one line, printable, not long."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:_TOLD_MAX])
