"""A draft: the classes, keys, properties and relations that the tables of a source seem to be about.

Invariant: a relation is drafted only where the source declares it, or where the names agree and the values seen are keys of the
other table. A table without a column, or pair of columns, that tells its rows apart is left out and named.
"""

import gc
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations, islice, pairwise
from typing import Any, Final

from kg.errors import SourceError
from kg.ingest.drafting.columns import ROWS_MAX, Column, columns_of, same
from kg.ingest.drafting.naming import KEY_WORDS, class_name, field_name, plural, spellable, words
from kg.ingest.drafting.references import Looked, doubts, references
from kg.ingest.drafting.tables import Table, tables_of
from kg.ingest.mapping import TableMap
from kg.ingest.sources.row import Row, Source, Wanted

#: Types that a key may have.
KEYS: Final = frozenset({"string", "integer"})
#: Types of a key that the source declares; a day or time alone is too often unique by chance to be taken for one.
DECLARED: Final = KEYS | {"date", "dateTime"}
#: Columns of a table without a declared key that are tried in pairs.
PAIRED_MAX: Final = 8
#: A table of more columns is left out; nobody reads a draft of so many.
COLUMNS_MAX: Final = 500
_BROKEN: Final = re.compile("[\ud800-\udfff]")
#: A text column of which most values have so many words is searched for meaning.
_PROSE_WORDS: Final = 2
#: Words in a column's name that say that its values are about a person, each alone or as two words in a row.
_PERSONAL: Final = frozenset(
    {"email", "mail", "phone", "mobile", "fax", "contact", "birth", "birthday", "ssn", "iban", "passport", "salary"}
    | {"surname", "firstname", "lastname", "fullname", "givenname", "familyname"}
)
#: Words in a column's name that say that people look for its values.
_SOUGHT: Final = frozenset(
    {"name", "title", "label", "description", "summary", "subject", "text", "note", "notes", "comment"}
)


@dataclass(frozen=True, slots=True)
class Property:
    """A property and its column."""

    name: str
    column: Column
    personal: bool = False
    searchable: bool = False


@dataclass(frozen=True, slots=True)
class Relation:
    """A relation, the columns that spell the target's key, and what the way back is called."""

    name: str
    columns: tuple[str, ...]
    target: str
    by: tuple[str, ...]
    inverse: str


@dataclass(frozen=True, slots=True)
class Class:
    """A class, its table, and the names of the properties that are its key."""

    name: str
    table: str
    key: tuple[str, ...]
    properties: tuple[Property, ...]
    relations: tuple[Relation, ...] = ()
    rows: int = 0
    whole: bool = True
    #: Of its file, where that is not UTF-8.
    encoding: str | None = None
    #: Columns that are left out, with the reason.
    without: Mapping[str, str] = field(default_factory=dict)
    #: What a person should look at, a sentence each: rows that could not be read, columns that look like a relation and are none.
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Draft:
    """What a source seems to hold. `left`: tables without a class, with the reason."""

    classes: tuple[Class, ...]
    left: Mapping[str, str]


def draft(
    location: str,
    tables: Sequence[str] = (),
    *,
    encoding: str | None = None,
    taken: Collection[str] = (),
    personal: Callable[[str], bool],
    progress: Callable[[int, int], None] | None = None,
) -> Draft:
    """Look at the first ROWS_MAX rows of each table, or of those named.

    `encoding` is that of files that are not UTF-8 throughout; `taken` are names of classes that are not free; `personal` tells
    of a text whether it is about a person; `progress` is told of tables done, of so many.
    SourceError where the source cannot be read.
    """
    source, chosen = tables_of(location, tables)
    looked: list[Looked] = []
    left: dict[str, str] = {}
    try:
        for number, table in enumerate(chosen, 1):
            one = _look(source, table, encoding)
            if isinstance(one, str):
                left[table.name] = one
            else:
                looked.append(one)
            if progress is not None:
                progress(number, len(chosen))
    finally:
        source.close()
    return Draft(tuple(_classes(looked, set(taken), personal)), left)


def _look(source: Source, table: Table, encoding: str | None) -> Looked | str:
    """The table, or why nothing can be made of it."""
    if not spellable(table.name):
        return "a mapping cannot spell its name; give it another, or make a view of it"
    try:
        found, read_as = _first(source, table, encoding)
    except SourceError as error:
        return str(error)
    if len(found) == ROWS_MAX:
        # An iteration that dlt was left early in keeps its connection until it is found as garbage.
        gc.collect()
    rows = [row.data for row in found if row.fault is None]
    unread = [row.fault for row in found if row.fault is not None]
    if not rows:
        return f"none of its rows can be read; {unread[0]}" if unread else "it has no rows to look at"
    seen = columns_of(rows)
    if len(seen) > COLUMNS_MAX:
        return f"it has more than {COLUMNS_MAX} columns; pick some with a view, or write its mapping by hand"
    columns = {c.name: c if spellable(c.name) else replace(c, type="") for c in seen}
    key = table.key
    if not key or any(name not in columns or columns[name].type not in DECLARED for name in key):
        key = _key(list(columns.values()), rows)
    if not key:
        return _without_key(columns.values(), len(rows))
    faults = [f"{len(unread):,} of its {len(found):,} rows seen cannot be read; {unread[0]}"] if unread else []
    if garbled := sum(row.fault is None and _garbled(row) for row in found):
        faults.append(f"{garbled:,} of its {len(found):,} rows seen hold letters that are no {read_as or 'UTF-8'}, and will not "
                      "go in; say what the file is with --encoding (cp1252, latin-1)")  # fmt: skip
    return Looked(table, columns, len(rows), len(found) < ROWS_MAX, key, tuple(faults), read_as)


def _first(source: Source, table: Table, encoding: str | None) -> tuple[list[Row], str | None]:
    """The first rows, and the encoding that they were read in where that is not UTF-8."""

    def read(name: str) -> list[Row]:
        return list(islice(source.rows(TableMap(0, table.name, "", {}, encoding=name), Wanted(None, ())), ROWS_MAX))

    if encoding is None:
        return read("utf-8"), None
    try:
        found = read("utf-8")
    except SourceError:
        return read(encoding), encoding
    if not any(row.fault is not None or _garbled(row) for row in found):
        return found, None
    again = read(encoding)
    faults = [sum(row.fault is not None or _garbled(row) for row in rows) for rows in (again, found)]
    return (again, encoding) if faults[0] < faults[1] else (found, None)


def _garbled(row: Row) -> bool:
    """Whether a text of the row was not in the encoding it was read in: its bytes are lone surrogates then."""
    return any(type(value) is str and not value.isascii() and _BROKEN.search(value) for value in row.data.values())


def _without_key(columns: Collection[Column], rows: int) -> str:
    """Why a table has no key, with the column that comes nearest, and what to do."""
    reason = "no column, and no two, tell its rows apart"
    nearest = max(columns, key=lambda column: len(column.values), default=None)
    if nearest is not None and len(nearest.values) * 2 > rows:
        return (
            f"{reason}; {nearest.name} comes nearest with {len(nearest.values):,} values in {rows:,} rows: correct the rows that "
            "repeat or lack one, or map it by hand (of rows with one key the first counts)"
        )
    return f"{reason}; map it by hand, with a key that jq or a query makes of what there is"


def _key(columns: Sequence[Column], rows: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """The columns that tell the rows apart: one that is called so before one that merely does, one before two."""
    usable = [column for column in columns if column.filled and column.type in KEYS]
    alone = [column for column in usable if column.unique]
    if alone:
        named = [column for column in alone if set(words(column.name)) & KEY_WORDS]
        return ((named or alone)[0].name,)
    for one, other in combinations([column.name for column in usable[:PAIRED_MAX]], 2):
        if len({(same(row[one]), same(row[other])) for row in rows}) == len(rows):
            return one, other
    return ()


def _classes(looked: Sequence[Looked], taken: set[str], personal: Callable[[str], bool]) -> list[Class]:
    names: dict[str, str] = {}
    for one in looked:
        names[one.table.name] = class_name(one.table.name, {*taken, *names.values()})
    pointing = references(looked, names)
    doubted = doubts(looked, names, pointing)
    fields: dict[str, list[str]] = {name: [] for name in names.values()}
    properties = {
        one.table.name: _properties(one, fields[names[one.table.name]], pointing, names, personal) for one in looked
    }
    keys = {
        one.table.name: tuple(
            p.name for column in one.key for p in properties[one.table.name] if p.column.name == column
        )
        for one in looked
    }
    made: list[Class] = []
    for one in looked:
        cls = names[one.table.name]
        relations: list[Relation] = []
        for reference in pointing[one.table.name]:
            target = names[reference.table]
            stem = words(reference.columns[0]) if len(reference.columns) == 1 else words(target)
            while len(stem) > 1 and stem[-1] in KEY_WORDS:
                stem.pop()
            name = field_name(stem if set(stem) - KEY_WORDS else words(target), cls, fields[cls])
            fields[cls].append(name)
            first, *rest = reversed(words(cls))
            back = field_name([*reversed(rest), plural(first)], target, fields[target])
            fields[target].append(back)
            relations.append(Relation(name, reference.columns, target, keys[reference.table], back))
        without = {
            c.name: "objects, lists, binary data or an odd name; pick a part with jq"
            if c.name.strip()
            else "it has no name; name it in the source"
            for c in one.columns.values()
            if not c.type
        }
        dated = [f"{c.name} stays text: {c.doubt}" for c in one.columns.values() if c.type and c.doubt]
        said = (*one.faults, *dated, *doubted[one.table.name])
        made.append(
            Class(cls, one.table.name, keys[one.table.name], tuple(properties[one.table.name]), tuple(relations), one.rows,
                  one.whole, one.encoding, without, said)
        )  # fmt: skip
    return made


def _properties(
    one: Looked,
    taken: list[str],
    pointing: Mapping[str, Sequence[Any]],
    names: Mapping[str, str],
    personal: Callable[[str], bool],
) -> list[Property]:
    referring = {column for reference in pointing[one.table.name] for column in reference.columns} - set(one.key)
    made: list[Property] = []
    for column in one.columns.values():
        if column.type and column.name not in referring:
            taken.append(field_name(words(column.name), names[one.table.name], taken))
            made.append(_property(taken[-1], column, personal))
    return made


def _property(name: str, column: Column, personal: Callable[[str], bool]) -> Property:
    said = words(column.name)
    together = {*said, *(one + other for one, other in pairwise(said))}
    texts = column.samples if column.type == "string" else ()
    about = bool(together & _PERSONAL) or sum(map(personal, texts)) * 2 > len(texts) > 0
    prose = sum(len(text.split()) >= _PROSE_WORDS for text in texts) * 2 > len(texts) > 0
    sought = column.type == "string" and (bool(set(said) & _SOUGHT) or (prose and not about))
    return Property(name, column, about, sought)
